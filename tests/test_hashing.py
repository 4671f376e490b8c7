import tracemalloc

import numpy as np
import pytest

from kseq.hashing import hash_ids
from tests.golden.load import hashes

RECORDED = hashes()


@pytest.mark.parametrize("name", RECORDED)
def test_the_buckets_are_deepctrs(name):
    case = RECORDED[name]
    for buckets, expected in zip(case.buckets, case.hashed, strict=True):
        got = hash_ids(case.ids, buckets, case.mask_zero)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, expected)


def test_every_length_of_text_is_recorded():
    texts = RECORDED["text/False"].ids
    lengths = {len(text.encode()) for text in texts}
    assert lengths >= {*range(141), 255, 256, 257, 1000}
    assert {"0", "00", "0.0"} <= {*texts}


TEXTS = ["0", "7", "", "-12", "日本語", "a" * 70]


@pytest.mark.parametrize(
    "ids",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS, object),
        np.array([text.encode() for text in TEXTS]),
        np.array([text.encode() for text in TEXTS], object),
        np.array(TEXTS, np.dtypes.StringDType()),
    ],
    ids=["list", "tuple", "object", "bytes", "bytes objects", "StringDType"],
)
def test_texts_of_every_kind_are_alike(ids):
    expected = hash_ids(np.array(TEXTS), 1000, mask_zero=True)
    np.testing.assert_array_equal(hash_ids(ids, 1000, mask_zero=True), expected)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint64"])
def test_an_integer_is_its_text(dtype):
    numbers = np.array([0, 1, 9, 10, 99, 100, 127], dtype)
    expected = hash_ids([str(n) for n in numbers], 50, mask_zero=True)
    got = hash_ids(numbers, 50, mask_zero=True)
    np.testing.assert_array_equal(got, expected)


def test_integers_and_texts_may_be_mixed_as_objects():
    ids = np.array([0, np.int64(7), "7", b"7", -12, 2**64], object)
    expected = hash_ids([str(int(n)) for n in ids], 1000, mask_zero=True)
    got = hash_ids(ids, 1000, mask_zero=True)
    np.testing.assert_array_equal(got, expected)


def test_only_zero_is_padding():
    ids = np.arange(20000).reshape(50, 400)
    masked = hash_ids(ids, 3, mask_zero=True)
    assert masked.shape == ids.shape
    assert masked[0, 0] == 0
    assert {*masked.ravel()[1:]} == {1, 2}
    assert {*hash_ids(ids, 3).ravel()} == {0, 1, 2}


def test_a_text_may_end_with_nothing():
    """As an object, that is: NumPy's own strings drop a "\\0" at the end."""
    ids = np.array(["a", "a\0", "0\0"], object)
    hashed = hash_ids(ids, 2**40, mask_zero=True)
    assert len({*hashed}) == 3
    assert all(hashed > 0)


def test_in_a_list_nothing_ends_a_text():
    """As in NumPy's own strings, which a list was made of once."""
    ids = ["a", "a\0", b"0\0", 7, "7"]
    expected = hash_ids(["a", "a", "0", "7", "7"], 1000, mask_zero=True)
    got = hash_ids(ids, 1000, mask_zero=True)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "ids",
    [
        ["a"] * 2000 + ["b" * 100_000],
        [b"a"] * 2000 + [b"b" * 100_000],
        ["a", 7] * 1000 + ["b" * 100_000],
        np.array(["a"] * 2000 + ["b" * 100_000], object),
    ],
    ids=["list", "bytes", "mixed", "object"],
)
def test_a_long_text_makes_the_others_no_longer(ids):
    tracemalloc.start()
    try:
        hash_ids(ids, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6


@pytest.mark.parametrize("dtype", ["int64", "U3", "S3", "float64", "object"])
@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_no_ids_give_no_buckets(dtype, shape):
    hashed = hash_ids(np.empty(shape, dtype), 5)
    assert hashed.shape == shape
    assert hashed.dtype == np.int64


def test_a_scalar_stays_one():
    assert hash_ids("item", 10**6).shape == ()
    assert hash_ids("item", 10**6) == hash_ids(["item"], 10**6)[0]


def test_ids_in_another_memory_order():
    ids = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(hash_ids(ids.T, 99), hash_ids(ids, 99).T)


def test_one_bucket():
    assert not hash_ids(["a", "b"], 1).any()
    np.testing.assert_array_equal(hash_ids([0, 5], 2, mask_zero=True), [0, 1])


@pytest.mark.parametrize(
    ("ids", "came"),
    [
        ([1.0, 2.0], "dtype float64"),
        ([True], "dtype bool"),
        ([-1, 2**63], "dtype float64"),
        (np.array([7, True], object), "True"),
        (["a", None], "None"),
        (np.array(["a", 1.5], object), "1.5"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"dtype datetime64\[D\]"),
    ],
)
def test_other_ids_are_refused(ids, came):
    with pytest.raises(
        ValueError,
        match=f"ids: expected integers or strings; received {came}$",
    ):
        hash_ids(ids, 10)


@pytest.mark.parametrize("kind", [list, np.array])
def test_half_of_a_surrogate_pair_has_no_bytes(kind):
    said = r"ids: expected strings that UTF-8 can hold; received '\\ud800'$"
    with pytest.raises(ValueError, match=said):
        hash_ids(kind(["a", "\ud800"]), 10)


def test_a_mask_is_not_passed_over():
    ids = np.ma.array([1, 2], mask=[False, True])
    said = "ids: expected ids without a mask; received a masked array$"
    with pytest.raises(ValueError, match=said):
        hash_ids(ids, 10)


@pytest.mark.parametrize("ids", [[["a", "b"], ["c"]], [[1, 2], [3]]])
def test_ragged_ids_are_no_array(ids):
    with pytest.raises(ValueError, match="integers or strings, as one array"):
        hash_ids(ids, 10)


@pytest.mark.parametrize("buckets", [0, -1, 1.5, True, "9", None])
def test_no_number_of_buckets_is_refused(buckets):
    with pytest.raises(ValueError, match="num_buckets: expected a positive"):
        hash_ids([1], buckets)


@pytest.mark.parametrize(
    ("buckets", "mask_zero", "expected"),
    [(1, True, "2 with mask_zero to"), (2**63, False, "1 to")],
)
def test_buckets_out_of_range_are_refused(buckets, mask_zero, expected):
    with pytest.raises(ValueError, match=f"num_buckets: expected {expected}"):
        hash_ids([1], buckets, mask_zero)


def test_mask_zero_is_a_bool():
    with pytest.raises(ValueError, match="mask_zero: expected True or False"):
        hash_ids([1], 10, 1)
