"""Promises of layers and ops, for random inputs."""

import tempfile

import keras
import numpy as np
import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st
from keras import ops

from kseq.agreement import probes
from kseq.agreement.computation import dtype_scope
from kseq.agreement.measure import measure, to_numpy
from kseq.agreement.numbers import seed_weights
from kseq.agreement.reference import references
from kseq.agreement.tables import left_out, tolerance
from kseq.ops.dtypes import HALF_DTYPES, LOWEST
from tests.fuzz.draws import EMPTY, TINY, Draws
from tests.fuzz.examples import each, examples, only_fast
from tests.layers.catalog import LAYERS
from tests.ops.examples import EXAMPLES as OPS

BACKEND = keras.backend.backend()
# A mask of pairs of steps is not drawn.
EXAMPLES = [e for e in OPS if "attention_mask" not in e.axes]
BOTH = (*LAYERS, *EXAMPLES)
WITH_GRADIENTS = (*LAYERS, *(e for e in EXAMPLES if e.has_gradients))
PADDED_LAYERS = [x for x in LAYERS if x.name != "PredictionLayer"]
OF_ROWS = [x for x in BOTH if x.name != "AuxiliaryLoss"]
PADDED = (*PADDED_LAYERS, *(e for e in EXAMPLES if e.has_mask))


def can(kind, *dtypes):
    return tuple(d for d in dtypes if left_out(BACKEND, kind, d) is None)


FORWARD = can("forward", "float64", "float32", *HALF_DTYPES)
needs_gradients = pytest.mark.skipif(
    not can("gradients", "float64"), reason=f"{BACKEND} has no gradients"
)
needs_compiler = pytest.mark.skipif(
    not can("forward_compiled", "float64"), reason=f"{BACKEND} has no compiler"
)
seeds = given(seed=st.integers(0, 2**32 - 1))
ALL_KINDS = ("tiny", "huge", "integers")
pytestmark = [
    only_fast,
    # Keras's sigmoid on NumPy, of large negative numbers; the result is right.
    pytest.mark.filterwarnings("ignore:overflow encountered in exp"),
    # NumPy warns of a padded step that becomes infinite in float16, because it
    # is far from the mean, in units of a deviation of about 0.
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),
]


def draw(families, seed, dtypes=FORWARD, kinds=ALL_KINDS):
    """Return the choices, to draw more, and a trial."""
    d = Draws(seed, dtypes, kinds)
    family = d.one_of(families)
    note(family.name)
    return d, d.layer(family) if family in LAYERS else d.op(family)


def draw_padded(families, seed, *options):
    """Return a trial, and the same with a random value in padded steps."""
    d, drawn = draw(families, seed, *options)
    assume(drawn.valid and drawn.inert)
    return drawn, drawn.filled(draw_filling(d, drawn))


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
            names = [n for n in drawn.order if n in
                     {**drawn.features, **drawn.lengths}]  # fmt: skip
            for name, lengths in drawn.lengths.items():
                inputs[names.index(name)] = ops.convert_to_tensor(lengths)
        outputs = probes.forward(built.function, (inputs,), built.kwargs, False)
        return [to_numpy(output) for output in keras.tree.flatten(outputs)]


def assert_close(got, expected, drawn, kind="forward"):
    """Assert equality within the table's limit.

    Where terms cancel, the limit is in units of the terms.
    """
    assert got.shape == expected.shape
    expected = expected.astype("float64")
    scale = max(drawn.unit, np.abs(expected).max(initial=0))
    distance = np.abs(got.astype("float64") - expected).max(initial=0)
    assert distance <= tolerance(kind, drawn.dtype).limit * scale


def assert_all_close(got, expected, drawn):
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, drawn)


def assert_equal(got, expected):
    keras.tree.map_structure(np.testing.assert_array_equal, got, expected)


def assert_measured(drawn, kind):
    computation = drawn.computation()
    expected = references(computation, drawn.dtype, kind)
    got = measure(computation, drawn.dtype, kind).values
    assert got.keys() >= expected.keys()
    for name, value in expected.items():
        note(name)
        # None: no output depends on the argument.
        found = np.zeros_like(value) if got[name] is None else got[name]
        assert_close(found, value, drawn, kind)


@each(BOTH)
@examples()
@seeds
def test_outputs_equal_the_reference(families, seed):
    _, drawn = draw(families, seed)
    expected = references(drawn.computation(), drawn.dtype, "forward")
    assert_all_close(call(drawn), expected.values(), drawn)


# Gradients of tiny features: to TensorFlow and XLA denormal numbers are 0, and
# the largest of them are ties. Those of huge ones are sums that cancel.
@needs_gradients
@each(WITH_GRADIENTS)
@examples()
@seeds
def test_gradients_equal_the_reference(families, seed):
    _, drawn = draw(families, seed, ("float64",), ())
    assert_measured(drawn, "gradients")


@needs_compiler
@each(WITH_GRADIENTS)
@examples(1 / 6, 1)
@seeds
def test_compiled_equals_the_reference(families, seed):
    kind = ("forward", "gradients")[seed % 2]
    kinds = ALL_KINDS if kind == "forward" else ()
    _, drawn = draw(families, seed, ("float64", "float32"), kinds)
    assert_measured(drawn, f"{kind}_compiled")


@each(PADDED)
@examples()
@seeds
def test_padding_is_inert(families, seed):
    drawn, filled = draw_padded(families, seed)
    assert_equal(drawn.shown(call(filled)), drawn.shown(call(drawn)))


@needs_gradients
@each([family for family in PADDED if family in WITH_GRADIENTS])
@examples(1 / 2)
@seeds
def test_padding_is_inert_in_gradients(families, seed):
    drawn, filled = draw_padded(
        families, seed, ("float64", "float32"), ("tiny",)
    )
    expected = measure(drawn.computation(), drawn.dtype, "gradients").values
    got = measure(filled.computation(), drawn.dtype, "gradients").values
    for name, value in got.items():
        note(name)
        np.testing.assert_array_equal(value, expected[name])


@each(PADDED_LAYERS)
@examples()
@seeds
def test_more_padding_changes_nothing(families, seed):
    d, drawn = draw(families, seed)
    assume(drawn.valid and drawn.grows and drawn.inert)
    longer = drawn.longer(d.one_of((1, 4)), draw_filling(d, drawn))
    got, expected = drawn.shown(call(longer)), drawn.shown(call(drawn))
    assert_all_close(got, expected, drawn)


@each(OF_ROWS)
@examples()
@seeds
def test_rows_are_independent(families, seed):
    """Another order of the rows, or two batches, give the same."""
    d, drawn = draw(families, seed)
    assume(drawn.independent_rows)
    whole = call(drawn)
    order = d.rng.permutation(drawn.batch)
    at = d.one_of(range(drawn.batch + 1))
    moved = call(drawn.rows(order))
    parts = [
        call(drawn.rows(part))
        for part in (slice(at), slice(at, None))
        if EMPTY or range(drawn.batch)[part]
    ]
    for i, expected in enumerate(whole):
        assert_close(moved[i], expected[order], drawn)
        both = np.concatenate([part[i] for part in parts])
        assert_close(both, expected, drawn)


@each(LAYERS)
@examples(1 / 5, 1)
@seeds
def test_a_model_takes_any_steps_and_is_restored(families, seed):
    """By `predict`, from the config, and from a file."""
    d, drawn = draw(families, seed, ("float32",))
    drawn = drawn.predicting()
    assume(drawn.any_steps and drawn.batch)
    with dtype_scope(drawn.dtype):
        layer = drawn.make()
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config
        model = drawn.model()
        seed_weights(model)
        for steps in d.rng.permutation((0, 1, 4)) if drawn.grows else ():
            longer = drawn.longer(steps, draw_filling(d, drawn))
            got = longer.shown(longer.predict(model))
            assert_all_close(got, longer.shown(call(longer)), drawn)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            loaded = keras.saving.load_model(f"{folder}/model.keras")
        assert_equal(drawn.predict(loaded), drawn.predict(model))
