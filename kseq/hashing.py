"""Hash ids of any kind to rows of an embedding table, before the model."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_positive_int,
    raise_invalid,
)


def hash_ids(ids: Any, num_buckets: int, *, mask_zero: bool) -> Any:
    r"""Hash integers or strings to bucket numbers, as DeepCTR's `Hash` layer.

    $$h(x) = \mathrm{fingerprint64}(x) \bmod n, \qquad
      h_0(x) = \begin{cases} 0 & x = \texttt{0} \\
        1 + \mathrm{fingerprint64}(x) \bmod (n - 1) & \text{else} \end{cases}$$

    $h_0$ applies with `mask_zero`. $x$ is the id as text in UTF-8, so that 7
    and "7" are equal. A DeepCTR model with `use_hash=True` becomes a model of
    kseq without that argument, on hashed ids. Needs the package `cityhash`:
    `pip install 'kseq[deepctr]'`.

    Args:
        ids: integers or strings, as an array of any shape or as nested lists.
        num_buckets: $n$, the number of rows of the embedding table.
        mask_zero: True for histories and for the candidate, which share a
            table: 0 and "0", the padding, give 0, and no other id does. False,
            as in DeepCTR, for other features. It has no default, because ids
            hashed with different values share no row.

    Returns:
        int64 of the shape of `ids`, from 0 to `num_buckets` - 1.

    Raises:
        ValueError: `ids` are ragged, masked, neither integers nor strings
            (a float has more than one text), or strings with lone surrogates;
            or `num_buckets` is less than 1 (2 with `mask_zero`) or exceeds
            int64.
        ImportError: `cityhash` is not installed.

    Differences from DeepCTR:
        This is a function of arrays, not a layer: it runs before the model, in
        the same way on every backend. `mask_zero` must be given. Floats raise
        an error, and there is no vocabulary file (`keras.layers.StringLookup`
        reads one).

    Reference:
        FarmHash, `Fingerprint64`, which is also
        `tf.strings.to_hash_bucket_fast`:
        https://github.com/google/farmhash

    Example:

    >>> from kseq.hashing import hash_ids
    >>> hash_ids(["0", "user", "7"], 1000, mask_zero=True).tolist()
    [0, 84, 332]
    >>> hash_ids([[0, -1], [7, 2**62]], 1000, mask_zero=True).tolist()
    [[0, 139], [332, 688]]
    """
    num_buckets = check_positive_int("num_buckets", num_buckets)
    mask_zero = check_bool("mask_zero", mask_zero)
    if not mask_zero <= num_buckets - 1 < 2**63 - 1:
        low = "2 with mask_zero" if mask_zero else "1"
        raise_invalid("num_buckets", f"{low} to 2**63 - 1", num_buckets)
    array = _as_array(ids)
    # Not `_encode` for all: it takes several times as long for integers.
    encode = b"%d".__mod__ if array.dtype.kind in "iu" else _encode
    texts = list(map(encode, array.ravel().tolist()))
    hashed = np.fromiter(map(_fingerprint64(), texts), "uint64", len(texts))
    hashed = (hashed % np.uint64(num_buckets - mask_zero)).astype("int64")
    if mask_zero:
        hashed = np.where([text == b"0" for text in texts], 0, hashed + 1)
    return hashed.reshape(array.shape)


def _fingerprint64() -> Callable[[bytes], int]:
    try:
        from farmhash import Fingerprint64
    except ImportError as error:
        raise ImportError(
            "hash_ids needs the package cityhash: pip install 'kseq[deepctr]'"
        ) from error
    return Fingerprint64


def _as_array(ids: Any) -> Any:
    if isinstance(ids, np.ma.MaskedArray):
        raise_invalid("ids", "ids without a mask", Unquoted("a masked array"))
    try:
        if isinstance(ids, (list, tuple)):
            # NumPy's strings would all take the memory of the longest.
            objects = np.asarray(ids, object)
            if any(isinstance(x, (str, bytes)) for x in objects.flat):
                return objects
        array = np.asarray(ids)
    except ValueError:
        raise_invalid("ids", "integers or strings, as one array", ids)
    if array.dtype.kind not in "iuSUTO" and array.size:
        raise_invalid(
            "ids", "integers or strings", Unquoted(f"dtype {array.dtype}")
        )
    return array


def _encode(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise_invalid("ids", "integers or strings", value)
        value = str(value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise_invalid("ids", "strings that UTF-8 can encode", value)
