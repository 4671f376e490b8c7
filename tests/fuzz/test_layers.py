"""Promises of layers for random arguments and inputs.

A few examples in each run, the same each time. Many new ones:

    tox run -e torch -- tests/fuzz --hypothesis-profile=many
"""

import keras
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from keras import ops

from kseq.agreement import probes
from kseq.agreement.computation import dtype_scope
from kseq.agreement.measure import measure, to_numpy
from kseq.agreement.reference import references
from kseq.agreement.tables import left_out
from kseq.ops.dtypes import HALF_DTYPES, LOWEST
from tests import support
from tests.fuzz.draws import EMPTY, TINY, Draws

BACKEND = keras.backend.backend()
MANY = settings.default.max_examples > 100
pytestmark = [
    pytest.mark.skipif(
        not MANY and BACKEND not in ("numpy", "torch"),
        reason="a few random inputs take minutes",
    ),
    # Keras's sigmoid on NumPy, of large negative numbers; the result is right.
    pytest.mark.filterwarnings("ignore:overflow encountered in exp"),
    # NumPy warns of a padded step that becomes infinite in float16, because it
    # is far from the mean, in units of a deviation of about 0.
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),
]


def can(kind, *dtypes):
    return tuple(d for d in dtypes if left_out(BACKEND, kind, d) is None)


FORWARD = can("forward", "float64", "float32", *HALF_DTYPES)
seeds = given(seed=st.integers(0, 2**32 - 1))


def draw(seed, dtypes=FORWARD, kinds=("tiny", "integers")):
    d = Draws(seed, dtypes, kinds)
    drawn = d.trial()
    note(repr(drawn))
    return d, drawn


def draw_filling(d, drawn):
    lowest = LOWEST[drawn.dtype]
    fillings = [-lowest, lowest, TINY[drawn.dtype], 7.0]
    # OpenVINO creates no bfloat16 tensor of one number that is not finite.
    if (BACKEND, drawn.dtype) != ("openvino", "bfloat16"):
        fillings += [np.nan, np.nan, np.inf, -np.inf]
    return d.one_of(fillings) if drawn.inert else 7.0


def call(drawn):
    with dtype_scope(drawn.dtype):
        built = drawn.computation().built(drawn.dtype)
        (inputs,) = built.args
        if drawn.lengths_in_list:
            # Lengths may be floats of another dtype than the policy's.
            given = {**drawn.features, **drawn.lengths}
            names = [n for n in drawn.order if n in given]
            for name, lengths in drawn.lengths.items():
                inputs[names.index(name)] = ops.convert_to_tensor(lengths)
        outputs = probes.forward(built.function, (inputs,), built.kwargs, False)
        return [to_numpy(output) for output in keras.tree.flatten(outputs)]


def assert_close(got, expected, drawn, kind="forward"):
    """Within the table's limit, of 1 where terms cancel."""
    for g, e in zip(got, expected, strict=True):
        support.assert_close(g, e, kind, drawn.dtype, scale=1.0)


def assert_equal(got, expected):
    keras.tree.map_structure(np.testing.assert_array_equal, got, expected)


@seeds
def test_outputs(seed):
    """They equal the reference; padding and other rows have no effect."""
    d, drawn = draw(seed)
    expected = references(drawn.computation(), drawn.dtype, "forward")
    got = call(drawn)
    assert_close(got, expected.values(), drawn)
    if drawn.valid and drawn.inert:
        filled = drawn.filled(draw_filling(d, drawn))
        assert_equal(drawn.shown(call(filled)), drawn.shown(got))
        if drawn.grows:
            longer = drawn.longer(d.one_of((1, 4)), draw_filling(d, drawn))
            found = drawn.shown(call(longer))
            assert_close(found, drawn.shown(got), drawn)
    if drawn.independent_rows and (EMPTY or drawn.batch):
        order = d.rng.permutation(drawn.batch)[: d.one_of((1, None))]
        found = call(drawn.rows(order))
        assert_close(found, [y[order] for y in got], drawn)


# Of tiny features: to TensorFlow and XLA denormal numbers are 0, and the
# largest of them are ties.
@pytest.mark.skipif(
    not can("gradients", "float64"), reason=f"{BACKEND} has no gradients"
)
@seeds
def test_gradients(seed):
    """They equal the reference; padding has no effect."""
    d, drawn = draw(seed, ("float64",), ())
    computation = drawn.computation()
    found = measure(computation, drawn.dtype, "gradients").values
    for name, value in references(
        computation, drawn.dtype, "gradients"
    ).items():
        # None: no output depends on the argument.
        got = np.zeros_like(value) if found[name] is None else found[name]
        assert_close([got], [value], drawn, "gradients")
    if drawn.valid and drawn.inert:
        filled = drawn.filled(draw_filling(d, drawn)).computation()
        for name, value in measure(
            filled, drawn.dtype, "gradients"
        ).values.items():
            np.testing.assert_array_equal(value, found[name])
