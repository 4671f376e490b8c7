"""Asks DeepCTR's Hash layer for the buckets of integers and strings."""

from __future__ import annotations

import numpy as np
import oracle  # first: it sets TensorFlow's environment
from deepctr.layers.utils import Hash

# The last but one shows nearly all of the fingerprint's bits.
BUCKETS = (2, 3, 10, 1000, 2**31 - 1, 2**63 - 1)
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:/ "
TEXTS = (
    *("0", "00", "0.0", " 0", "-1", "None"),
    *("é", "ß", "日本語", "путь", "🙂", "a\u0301", "näïve", "日本語" * 20),
)


def record_hashes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ids = {
        "text": np.array([*TEXTS, *_texts_of_each_length(rng)]),
        "int32": _integers("int32", rng),
        "int64": _integers("int64", rng),
        "uint64": _integers("uint64", rng),
    }
    return {
        "buckets": np.array(BUCKETS),
        **{f"ids/{kind}": array for kind, array in ids.items()},
        **{
            f"hashed/{kind}/{mask_zero}": np.stack(
                [_hashed(array, n, mask_zero) for n in BUCKETS]
            )
            for kind, array in ids.items()
            for mask_zero in (False, True)
        },
    }


def _texts_of_each_length(rng: np.random.Generator) -> list[str]:
    letters = np.array(list(ALPHABET))
    lengths = [*range(141), 191, 192, 193, 255, 256, 257, 1000]
    return ["".join(rng.choice(letters, size=n)) for n in lengths]


def _integers(dtype: str, rng: np.random.Generator) -> np.ndarray:
    ends = np.iinfo(dtype)
    digits = 10 ** np.arange(len(str(ends.max)), dtype=dtype)
    drawn = rng.integers(ends.min, ends.max, 40, dtype)
    signs = (1, -1) if ends.min < 0 else (1,)
    small = [sign * digits for sign in signs]
    return np.concatenate(
        [np.array([0, 1, 2, ends.min, ends.max], dtype), *small, drawn]
    ).astype(dtype)


def _hashed(ids: np.ndarray, buckets: int, mask_zero: bool) -> np.ndarray:
    texts = ids.astype(object) if ids.dtype.kind == "U" else ids
    return Hash(buckets, mask_zero)(oracle.tf.constant(texts)).numpy()
