"""Record the buckets of integers and strings in DeepCTR's Hash layer."""

from __future__ import annotations

import numpy as np
import oracle  # must be imported before TensorFlow: it sets the environment
from deepctr.layers.utils import Hash

# The largest number shows nearly all bits of the fingerprint.
BUCKETS = (2, 3, 10, 1000, 2**31 - 1, 2**63 - 1)
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:/ "
TEXTS = (
    *("0", "00", "0.0", " 0", "-1", "None"),
    *("é", "ß", "日本語", "путь", "🙂", "a\u0301", "näïve", "日本語" * 20),
)


def record_hashes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ids = {
        "text": np.array([*TEXTS, *_texts_of_all_lengths(rng)]),
        "int32": _integers("int32", rng),
        "int64": _integers("int64", rng),
        "uint64": _integers("uint64", rng),
    }
    return {
        "buckets": np.array(BUCKETS),
        **{f"ids/{kind}": array for kind, array in ids.items()},
        **{
            f"hashed/{kind}/{mask_zero}": np.stack(
                [_hash(array, n, mask_zero) for n in BUCKETS]
            )
            for kind, array in ids.items()
            for mask_zero in (False, True)
        },
    }


def _texts_of_all_lengths(rng):
    letters = np.array(list(ALPHABET))
    lengths = [*range(141), 191, 192, 193, 255, 256, 257, 1000]
    return ["".join(rng.choice(letters, size=n)) for n in lengths]


def _integers(dtype, rng):
    limits = np.iinfo(dtype)
    digits = 10 ** np.arange(len(str(limits.max)), dtype=dtype)
    random = rng.integers(limits.min, limits.max, 40, dtype)
    signs = (1, -1) if limits.min < 0 else (1,)
    first = np.array([0, 1, 2, limits.min, limits.max], dtype)
    powers = [sign * digits for sign in signs]
    return np.concatenate([first, *powers, random]).astype(dtype)


def _hash(ids, buckets, mask_zero):
    ids = ids.astype(object) if ids.dtype.kind == "U" else ids
    return Hash(buckets, mask_zero)(oracle.tf.constant(ids)).numpy()
