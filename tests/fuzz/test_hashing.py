"""Ids of any kind, hashed one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kseq.hashing import hash_ids
from tests.fuzz.examples import examples
from tests.reference.farmhash import fingerprint64

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
INTEGERS = st.one_of(
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
).flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))
# As objects: NumPy's own strings drop a "\0" at the end.
TEXTS = arrays.arrays(
    object,
    SHAPES,
    elements=st.one_of(
        # No half of a surrogate pair: it has no bytes.
        st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
        st.sampled_from(["0", "00", "-0", ""]),
        st.integers(-(2**63), 2**64 - 1).map(str),
    ),
)


@examples(10)
@given(
    ids=st.one_of(INTEGERS, TEXTS),
    buckets=st.one_of(st.integers(2, 100), st.integers(2, 2**63 - 1)),
    mask_zero=st.booleans(),
)
def test_equals_the_slow_reference(ids, buckets, mask_zero):
    def expected(id_):
        text = str(id_)
        if not mask_zero:
            return fingerprint64(text.encode()) % buckets
        if text == "0":
            return 0
        return 1 + fingerprint64(text.encode()) % (buckets - 1)

    hashed = hash_ids(ids, buckets, mask_zero)
    assert hashed.dtype == np.int64
    assert hashed.shape == ids.shape
    assert hashed.ravel().tolist() == [expected(i) for i in ids.ravel()]


@examples(2)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
        min_size=1,
    )
)
def test_texts_of_every_kind_are_alike(texts):
    """Where NumPy's own strings hold them."""
    texts = [text.rstrip("\0") for text in texts]
    expected = hash_ids(np.array(texts, object), 10**6).tolist()
    for kind in (
        np.array(texts),
        np.array([text.encode() for text in texts]),
        np.array([text.encode() for text in texts], object),
        np.array(texts, np.dtypes.StringDType()),
    ):
        assert hash_ids(kind, 10**6).tolist() == expected
