"""DeepCTR's buckets for ids of every kind."""

import sys
import tracemalloc

import numpy as np
import pytest

from kseq.hashing import hash_ids
from tests.golden.load import hashes

pytestmark = pytest.mark.once
RECORDED = hashes()
TEXTS = ["0", "7", "", "-12", "日本語", "a" * 70]


@pytest.mark.parametrize("name", RECORDED)
def test_buckets_equal_deepctrs(name):
    case = RECORDED[name]
    for buckets, expected in zip(case.buckets, case.hashed, strict=True):
        hashed = hash_ids(case.ids, buckets, mask_zero=case.mask_zero)
        assert hashed.dtype == np.int64
        np.testing.assert_array_equal(hashed, expected)


@pytest.mark.parametrize(
    "ids",
    [
        TEXTS,
        tuple(TEXTS),
        ["0", 7, b"", np.int64(-12), np.str_("日本語"), np.bytes_(b"a" * 70)],
        np.array([0, 7, *TEXTS[2:]], object),
        np.array([text.encode() for text in TEXTS]),
        np.array(TEXTS, np.dtypes.StringDType()),
        np.array([TEXTS[::-1]] * 2)[0, ::-1],
    ],
    ids=["list", "tuple", "mixed", "object", "bytes", "StringDType", "strided"],
)
def test_texts_of_every_kind_are_equal(ids):
    expected = hash_ids(np.array(TEXTS), 2**40, mask_zero=True)
    hashed = hash_ids(ids, 2**40, mask_zero=True)
    np.testing.assert_array_equal(hashed, expected)


def test_only_zero_is_padding():
    ids = np.arange(20000).reshape(50, 400)
    hashed = hash_ids(ids, 3, mask_zero=True)
    assert hashed.shape == ids.shape
    assert hashed[0, 0] == 0
    assert {*hashed.ravel()[1:]} == {1, 2}
    assert {*hash_ids(ids, 3, mask_zero=False).ravel()} == {0, 1, 2}
    assert all(hash_ids(["0\0", "00", ""], 2, mask_zero=True) == 1)


def test_a_long_text_does_not_pad_the_others():
    tracemalloc.start()
    try:
        hash_ids(["a"] * 2000 + ["b" * 100_000], 1000, mask_zero=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, 2.0], "integers or strings; received dtype float64"),
        (["a", None], "integers or strings; received None"),
        (np.array([7, True], object), "integers or strings; received True"),
        (["a", "\ud800"], r"strings that UTF-8 can encode; .*'\\ud800'"),
        (np.ma.array([1], mask=[True]), "ids without a mask; received a mask"),
        ([["a", "b"], ["c"]], "integers or strings, as one array"),
    ],
)
def test_other_ids_raise_value_error(ids, message):
    with pytest.raises(ValueError, match=f"^ids: expected {message}"):
        hash_ids(ids, 10, mask_zero=False)


def test_numbers_of_buckets():
    """0 is one more bucket with `mask_zero`."""
    with pytest.raises(ValueError, match=r"^num_buckets: expected 2 with mask"):
        hash_ids([1], 1, mask_zero=True)
    assert hash_ids([5], 1, mask_zero=False) == 0
    assert hash_ids([5], 2, mask_zero=True) == 1


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "farmhash", None)
    with pytest.raises(ImportError, match=r"cityhash: .*'kseq\[deepctr\]'"):
        hash_ids([1], 10, mask_zero=False)
