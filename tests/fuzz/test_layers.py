"""What the layers promise, for inputs that nobody chose: `tox run -e fuzz`."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from kseq.agreement import probes
from kseq.agreement.measure import built, dtype_scope, measure, reference_values
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import left_out, tolerance
from tests.fuzz.examples import examples
from tests.fuzz.layers import FAMILIES, family, normalization

BACKEND = keras.backend.backend()
FILLINGS = (np.nan, np.inf, -np.inf, 3e38, -3e38, 7.0)


def can(kind, dtype="float32"):
    return left_out(BACKEND, kind, dtype) is None


FORWARD = [
    dtype
    for dtype in ("float64", "float32", "bfloat16", "float16")
    if can("forward", dtype)
]
needs_gradients = pytest.mark.skipif(
    not can("gradients"), reason=f"{BACKEND} has no gradients"
)
needs_compiler = pytest.mark.skipif(
    not can("forward_compiled"), reason=f"{BACKEND} has no compiler"
)
each = pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__)
data = given(data=st.data())


def call(drawn):
    """What the layer gives, in float32."""
    case = drawn.case()
    with dtype_scope("float32"):
        layer, inputs, kwargs = built(case, "float32")
        outputs = probes.forward(layer, inputs, kwargs, False)
        return [to_numpy(output) for output in outputs]


def assert_close(got, expected, kind="forward", dtype="float32"):
    """Within the table's limit, in units of the largest number.

    What goes in is of the order of 1: where terms cancel, that is the unit.
    """
    assert got.shape == expected.shape
    assert np.all(np.isfinite(got))
    scale = max(1.0, np.abs(expected).max(initial=0))
    distance = np.abs(got.astype("float64") - expected).max(initial=0)
    assert distance <= tolerance(kind, dtype).limit * scale


def assert_measured(drawn, kind, dtype):
    case = drawn.case()
    expected = reference_values(case, dtype, kind)
    got = measure(case, dtype, kind)
    assert got.keys() == expected.keys()
    for name, value in got.items():
        note(name)
        assert_close(to_numpy(value), expected[name], kind, dtype)


@each
@examples()
@data
def test_equals_the_reference(make, data):
    drawn = data.draw(family(make))
    assert_measured(drawn, "forward", data.draw(st.sampled_from(FORWARD)))


@needs_gradients
@each
@examples()
@data
def test_gradients_equal_the_reference(make, data):
    assert_measured(data.draw(family(make)), "gradients", "float64")


@needs_compiler
@each
@examples(1 / 4)
@data
def test_compiled_equals_the_reference(make, data):
    kind = data.draw(st.sampled_from(("forward", "gradients")))
    assert_measured(data.draw(family(make)), f"{kind}_compiled", "float64")


@each
@examples()
@data
def test_padding_is_inert(make, data):
    drawn = data.draw(family(make))
    assume(not drawn.counts_padding)
    filling = data.draw(st.sampled_from(FILLINGS))
    for got, expected in zip(
        call(drawn.filled(filling)), call(drawn), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@needs_gradients
@each
@examples(1 / 2)
@data
def test_padding_is_inert_in_gradients(make, data):
    drawn = data.draw(family(make))
    assume(not drawn.counts_padding)
    filled = drawn.filled(data.draw(st.sampled_from(FILLINGS)))
    expected = measure(drawn.case(), "float32", "gradients")
    got = measure(filled.case(), "float32", "gradients")
    for name, value in got.items():
        note(name)
        np.testing.assert_array_equal(to_numpy(value), to_numpy(expected[name]))


@each
@examples()
@data
def test_more_padding_changes_nothing(make, data):
    drawn = data.draw(family(make))
    assume(not drawn.counts_padding)
    steps = data.draw(st.sampled_from((1, 4)))
    filling = data.draw(st.sampled_from(FILLINGS))
    for got, expected in zip(
        call(drawn.longer(steps, filling)), call(drawn), strict=True
    ):
        assert_close(drawn.cut(got), expected)


@each
@examples()
@data
def test_rows_stay_apart(make, data):
    """In another order, and in two batches, they are what they were."""
    drawn = data.draw(family(make))
    assume(drawn.rows_apart)
    whole = call(drawn)
    batch = len(next(iter(drawn.features.values())))
    order = np.array(data.draw(st.permutations(range(batch))), int)
    at = data.draw(st.integers(0, batch))
    moved = call(drawn.rows(order))
    parts = [call(drawn.rows(part)) for part in (slice(at), slice(at, None))]
    for i, expected in enumerate(whole):
        assert_close(moved[i], expected[order])
        assert_close(np.concatenate([part[i] for part in parts]), expected)


@pytest.mark.parametrize(
    "make",
    [make for make in FAMILIES if make is not normalization],
    ids=lambda make: make.__name__,
)
@examples()
@data
def test_lengths_and_masks_are_the_same(make, data):
    drawn = data.draw(family(make))
    assume(drawn.lengths is not None)
    for got, expected in zip(call(drawn.by_masks()), call(drawn), strict=True):
        assert_close(got, expected)
