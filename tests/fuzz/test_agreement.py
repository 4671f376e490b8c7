"""Files of random results, and comparisons with one changed number."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kseq.agreement.record import (
    Entry,
    Result,
    load_result,
    result_file,
    save_result,
)
from kseq.agreement.values import Limits, find_difference
from tests.fuzz.examples import examples

pytestmark = pytest.mark.once

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.sampled_from(["float64", "float32", "float16", "int32", "bool"])
NAMED = st.dictionaries(
    st.text(st.characters().filter(str.isprintable), max_size=20),
    arrays.arrays(DTYPES, SHAPES),
    max_size=4,
)


@examples(1 / 3, 3)
@given(values=NAMED, references=NAMED, texts=st.tuples(st.text(), st.text()))
def test_a_result_is_loaded_as_it_was_saved(values, references, texts):
    entry = Entry(0, texts[0], "float32", "forward", values)
    entry.references = references
    result = Result(texts[1], text=texts[0], entries=[entry])
    with tempfile.TemporaryDirectory() as folder:
        save_result(Path(folder), result)
        loaded = load_result(Path(folder) / result_file(texts[1]))
    np.testing.assert_equal(asdict(loaded), asdict(result), strict=True)


FINITE = arrays.arrays(
    st.sampled_from(["float32", "float64"]),
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=4),
    elements=st.floats(-100, 100, width=32),
)


@examples(1 / 3, 3)
@given(x=FINITE, data=st.data(), sign=st.sampled_from((-1, 1)))
def test_only_the_changed_number_differs(x, data, sign):
    limits = Limits(2e-6, "float32")
    assert find_difference({"a": x, "b": x.copy()}, limits) is None
    index = data.draw(st.integers(0, x.size - 1))
    other = x.copy()
    scale = np.abs(x).max() or 1.0
    other.flat[index] += sign * 3 * 2e-6 * max(scale, 1e-30)
    found = find_difference({"a": x, "b": other, "c": x}, limits)
    where = tuple(map(int, np.unravel_index(index, x.shape)))
    assert found.text.startswith(f"b alone differs at {where}: b ")
    assert found.groups == (("a", "c"), ("b",))
