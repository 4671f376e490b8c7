"""Ids of any kind as rows of an embedding table, before the model."""

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


def hash_ids(ids: Any, num_buckets: int, mask_zero: bool = False) -> Any:
    r"""Ids as numbers below `num_buckets`, DeepCTR's `Hash` layer in NumPy.

    $$h(x) = \mathrm{fingerprint64}(x) \bmod n, \qquad
      h_0(x) = \begin{cases} 0 & x = \texttt{0} \\
        1 + \mathrm{fingerprint64}(x) \bmod (n - 1) & \text{else} \end{cases}$$

    $h_0$ with `mask_zero`; $x$ are the bytes of the id as text: of 7 and "7"
    alike, in UTF-8. A model with `use_hash=True` in DeepCTR is the same model
    here without, given hashed ids.

    Args:
        ids: integers, or strings, as an array of any shape, or what NumPy makes
            one of.
        num_buckets: $n$, the embedding table's rows.
        mask_zero: True: 0 and "0", the padding, give 0, and nothing else does.
            DeepCTR's choice for sequences.

    Returns:
        int64 of the shape of `ids`, from 0 to `num_buckets` - 1.

    Raises:
        ValueError: `ids` are no array, or neither of integers nor strings
            (floats have more than one text), or hold half of a surrogate pair,
            or come with a mask; or `num_buckets` is less than 1, or than 2 with
            `mask_zero`, or more than int64 holds.

    Differences from DeepCTR:
        A function of arrays, not a layer: it runs before the model, on every
        backend alike. No floats, no file of a vocabulary
        (`keras.layers.StringLookup` reads one).

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
        few = "2 with mask_zero" if mask_zero else "1"
        raise_invalid("num_buckets", f"{few} to 2**63 - 1", num_buckets)
    if isinstance(ids, np.ma.MaskedArray):
        raise_invalid("ids", "ids without a mask", Unquoted("a masked array"))
    array = _as_array(ids)
    lengths, take = _texts(array.ravel())
    hashed = _fingerprints(lengths, take)
    is_zero = (lengths == 1) & (hashed == ZERO)
    hashed = (hashed % np.uint64(num_buckets - mask_zero)).astype("int64")
    if mask_zero:
        hashed = np.where(is_zero, 0, hashed + 1)
    return hashed.reshape(array.shape)


def _as_array(ids: Any) -> Any:
    """What NumPy makes of ids, but with the texts of a list as objects.

    NumPy gives each of them the memory of the longest.
    """
    try:
        if not _are_texts(ids):
            return np.asarray(ids)
        objects = np.asarray(ids, object)
    except ValueError:  # ragged
        raise_invalid("ids", "integers or strings, as one array", ids)
    # Without what NumPy's strings drop: each "\0" at the end.
    texts = [_as_bytes(x).rstrip(b"\0") for x in objects.ravel().tolist()]
    return np.array(texts, object).reshape(objects.shape)


def _are_texts(ids: Any) -> bool:
    """Whether a list begins with texts, and has but integers besides."""
    texts = {str, bytes, np.str_, np.bytes_}
    return (
        isinstance(ids, (list, tuple))
        # One item first: a list of integers is faster left to NumPy.
        and _kinds(ids[:1]) <= texts
        and _kinds(ids) <= texts | {int}
    )


def _kinds(ids: Any) -> set[type]:
    return {*map(type, np.asarray(ids, object).ravel().tolist())}


# Gives the texts of some rows, which are all of one length, as bytes
# `(rows, length)`.
Take = Callable[[Any, int], Any]


def _texts(ids: Any) -> tuple[Any, Take]:
    """The length in bytes of each id, and a function for the bytes."""
    if ids.dtype.kind in "iu":
        ids = ids.astype("S21")
    if ids.dtype.kind == "S":
        table = ids.view("uint8").reshape(len(ids), ids.dtype.itemsize)
        return np.char.str_len(ids), lambda rows, length: table[rows, :length]
    if ids.dtype.kind not in "UTO" and ids.size:
        raise_invalid(
            "ids", "integers or strings", Unquoted(f"dtype {ids.dtype}")
        )
    # One by one is faster than np.char.encode, and keeps a "\0" at the end.
    texts = [_as_bytes(value) for value in ids.tolist()]

    def take(rows: Any, length: int) -> Any:
        joined = b"".join([texts[row] for row in rows.tolist()])
        return np.frombuffer(joined, "uint8").reshape(len(rows), length)

    return np.array([len(text) for text in texts], "int64"), take


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    # In an array of objects, such as a column of a table that had gaps.
    if not isinstance(value, str):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise_invalid("ids", "integers or strings", value)
        value = str(value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise_invalid("ids", "strings that UTF-8 can hold", value)


# FarmHash's Fingerprint64: constants and steps are its own, and each step does
# all texts of one length. Arrays of uint64 wrap around silently.
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _fingerprints(lengths: Any, take: Take) -> Any:
    result = np.empty(len(lengths), "uint64")
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        result[rows] = _of_length(length)(take(rows, length))
    return result


def _of_length(length: int) -> Callable[[Any], Any]:
    if length > 64:
        return _from_65
    if length > 32:
        return _from_33_to_64
    if length > 16:
        return _from_17_to_32
    if length >= 8:
        return _from_8_to_16
    if length >= 4:
        return _from_4_to_7
    return _from_1_to_3 if length else _empty


def _u64(number: int) -> Any:
    return np.uint64(number % 2**64)


def _fetch(texts: Any, at: int, dtype: str = "<u8") -> Any:
    """The number that begins at a byte, counted from the end if negative."""
    at %= texts.shape[1]
    size = np.dtype(dtype).itemsize
    part = np.ascontiguousarray(texts[:, at : at + size])
    return part.view(dtype)[:, 0].astype("uint64")


def _rotate(x: Any, bits: int) -> Any:
    return (x >> _u64(bits)) | (x << _u64(64 - bits))


def _shift_mix(x: Any) -> Any:
    return x ^ (x >> _u64(47))


def _mix(u: Any, v: Any, mul: Any) -> Any:
    a = _shift_mix((u ^ v) * mul)
    return _shift_mix((v ^ a) * mul) * mul


def _mul(texts: Any) -> Any:
    return _u64(K2 + 2 * texts.shape[1])


def _empty(texts: Any) -> Any:
    return np.full(len(texts), K2, "uint64")


def _from_1_to_3(texts: Any) -> Any:
    length = texts.shape[1]
    wide = texts.astype("uint64")
    first, middle, last = wide[:, 0], wide[:, length // 2], wide[:, -1]
    y = first + (middle << _u64(8))
    z = _u64(length) + (last << _u64(2))
    return _shift_mix(y * _u64(K2) ^ z * _u64(K0)) * _u64(K2)


def _from_4_to_7(texts: Any) -> Any:
    first, last = _fetch(texts, 0, "<u4"), _fetch(texts, -4, "<u4")
    u = _u64(texts.shape[1]) + (first << _u64(3))
    return _mix(u, last, _mul(texts))


def _from_8_to_16(texts: Any) -> Any:
    mul = _mul(texts)
    a, b = _fetch(texts, 0) + _u64(K2), _fetch(texts, -8)
    c = _rotate(b, 37) * mul + a
    d = (_rotate(a, 25) + b) * mul
    return _mix(c, d, mul)


def _from_17_to_32(texts: Any) -> Any:
    mul = _mul(texts)
    a, b = _fetch(texts, 0) * _u64(K1), _fetch(texts, 8)
    c, d = _fetch(texts, -8) * mul, _fetch(texts, -16) * _u64(K2)
    return _mix(
        _rotate(a + b, 43) + _rotate(c, 30) + d,
        a + _rotate(b + _u64(K2), 18) + c,
        mul,
    )


def _from_33_to_64(texts: Any) -> Any:
    mul = _mul(texts)
    a, b = _fetch(texts, 0) * _u64(K2), _fetch(texts, 8)
    c, d = _fetch(texts, -8) * mul, _fetch(texts, -16) * _u64(K2)
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y, a + _rotate(b + _u64(K2), 18) + c, mul)
    e, f = _fetch(texts, 16) * mul, _fetch(texts, 24)
    g, h = (y + _fetch(texts, -32)) * mul, (z + _fetch(texts, -24)) * mul
    return _mix(
        _rotate(e + f, 43) + _rotate(g, 30) + h,
        e + _rotate(f + a, 18) + g,
        mul,
    )


def _from_65(texts: Any) -> Any:
    """56 bytes of state, moved by 64 bytes of text at a time."""
    length = texts.shape[1]
    rest = (length - 1) % 64
    x = _u64(81 * K2) + _fetch(texts, 0)
    y = np.full(len(texts), _u64(81 * K1 + 113))
    z = _shift_mix(y * _u64(K2) + _u64(113)) * _u64(K2)
    v = w = np.zeros_like(y), np.zeros_like(y)
    for at in range(0, length - 1 - rest, 64):
        x, y, z, v, w = _step(texts, at, x, y, z, v, w, _u64(K1))
    # And over the last 64 bytes, with factors of its own.
    mul = _u64(K1) + ((z & _u64(0xFF)) << _u64(1))
    w = w[0] + _u64(rest), w[1]
    v = v[0] + w[0], v[1]
    w = w[0] + v[0], w[1]
    x, y, z, v, w = _step(texts, length - 64, x, y, z, v, w, mul, times=9)
    return _mix(
        _mix(v[0], w[0], mul) + _shift_mix(y) * _u64(K0) + z,
        _mix(v[1], w[1], mul) + x,
        mul,
    )


Pair = tuple[Any, Any]


def _step(
    texts: Any,
    at: int,
    x: Any,
    y: Any,
    z: Any,
    v: Pair,
    w: Pair,
    mul: Any,
    times: int = 1,
) -> tuple[Any, Any, Any, Pair, Pair]:
    x = _rotate(x + y + v[0] + _fetch(texts, at + 8), 37) * mul
    y = _rotate(y + v[1] + _fetch(texts, at + 48), 42) * mul
    x = x ^ (w[1] * _u64(times))
    y = y + v[0] * _u64(times) + _fetch(texts, at + 40)
    z = _rotate(z + w[0], 33) * mul
    v = _weak(texts, at, v[1] * mul, x + w[0])
    w = _weak(texts, at + 32, z + w[1], y + _fetch(texts, at + 16))
    return z, y, x, v, w


def _weak(texts: Any, at: int, a: Any, b: Any) -> Pair:
    """32 bytes of text and two seeds, mixed into two numbers."""
    first, second, third, fourth = (_fetch(texts, at + 8 * i) for i in range(4))
    a = a + first
    b = _rotate(b + a + fourth, 21)
    total = a + second + third
    return total + fourth, b + _rotate(total, 44) + a


# Of texts of one byte, no other has this fingerprint.
ZERO = _from_1_to_3(np.array([[ord("0")]], "uint8"))[0]
