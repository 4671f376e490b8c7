"""Records of random arrays, and comparisons with one changed number."""

import copy
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kseq.agreement.compare import compare_records
from kseq.agreement.record import load_record, new_record, to_numpy
from kseq.agreement.tables import tolerance
from tests.fuzz.examples import examples

pytestmark = pytest.mark.once

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.sampled_from(["float64", "float32", "float16", "int32", "bool"])
ANY = arrays.arrays(DTYPES, SHAPES)
NAMES = st.text(
    st.characters(exclude_characters="/").filter(str.isprintable),
    min_size=1,
    max_size=20,
)
KEYS = st.tuples(
    NAMES,
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["forward", "forward_compiled", "gradients"]),
)


def make_record(results, name="first"):
    record = new_record(name, "cpu", "fingerprint")
    for (case, dtype, kind), values in results.items():
        record.add(case, dtype, kind, values)
    record.run.finished = True
    return record


@examples(1 / 3, 3)
@given(
    results=st.dictionaries(KEYS, st.dictionaries(NAMES, ANY), max_size=4),
    references=st.dictionaries(KEYS, st.dictionaries(NAMES, ANY), max_size=2),
    reason=st.text(),
)
def test_a_record_is_loaded_as_it_was_saved(results, references, reason):
    record = make_record(results)
    for key, values in references.items():
        record.add_references(*key, values)
        record.leave_out(*key, reason)
        record.fail(*key, ValueError(reason))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.npz"
        record.save(path)
        loaded = load_record(path)
    for name in ("run", "dtypes", "left_out", "errors"):
        assert getattr(loaded, name) == getattr(record, name)
    for name in ("values", "references"):
        found, expected = getattr(loaded, name), getattr(record, name)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key].dtype == value.dtype
            np.testing.assert_array_equal(found[key], value)


FINITE = arrays.arrays(
    st.sampled_from(["float32", "float64"]),
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=4),
    elements=st.floats(-100, 100, width=32),
)


@examples(1 / 3, 3)
@given(
    results=st.dictionaries(
        KEYS, st.dictionaries(NAMES, FINITE, min_size=1), min_size=1, max_size=3
    ),
    data=st.data(),
)
def test_a_comparison_reports_only_the_changed_number(results, data):
    first = make_record(results)
    second = copy.deepcopy(first)
    second.run.name = "second"
    assert compare_records([first, second]).agrees
    key = data.draw(st.sampled_from(sorted(first.values)))
    value = second.values[key]
    index = data.draw(st.integers(0, value.size - 1))
    _, dtype, kind, _ = key.split("/", 3)
    computation = key.rsplit("/", 1)[0]
    scale = max(
        np.abs(to_numpy(v)).max()
        for k, v in first.values.items()
        if k.startswith(computation + "/")
    )
    change = 3 * tolerance(kind, dtype).limit * max(scale, 1e-3)
    # At least 4 ulps, because 1e-12 is lost in float32.
    value.flat[index] += np.maximum(
        change, 4 * np.spacing(np.abs(value.flat[index]))
    ) * data.draw(st.sampled_from((-1, 1)))
    comparison = compare_records([first, second])
    assert [(f.kind, f.where) for f in comparison.failures] == [
        ("tolerance", key)
    ]
    beyond = [d for d in comparison.differences if not d.within]
    assert [f"{d.case}/{d.dtype}/{d.kind}/{d.array}" for d in beyond] == [key]
