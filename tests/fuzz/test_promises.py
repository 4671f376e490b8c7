"""What layers and ops promise, for inputs that nobody chose."""

import tempfile

import keras
import numpy as np
import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st
from keras import ops

from kseq.agreement import probes
from kseq.agreement.measure import (
    built,
    dtype_scope,
    measure,
    reference_values,
)
from kseq.agreement.numbers import cotangents_of, seed_weights
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import DTYPES, left_out, tolerance
from kseq.ops.dtypes import LOWEST
from tests.fuzz.draws import EMPTY, TINY, family
from tests.fuzz.examples import each, examples
from tests.fuzz.layers import LAYERS, WITH_LENGTHS, auxiliary_loss
from tests.fuzz.layers import PADDED as PADDED_LAYERS
from tests.fuzz.ops import OPS, resolve_mask
from tests.fuzz.ops import PADDED as PADDED_OPS

BACKEND = keras.backend.backend()
BOTH = (*LAYERS, *OPS)
PADDED = (*PADDED_LAYERS, *PADDED_OPS)


def without(families, *others):
    return [make for make in families if make not in others]


def can(kind, *dtypes):
    return tuple(d for d in dtypes if left_out(BACKEND, kind, d) is None)


FORWARD = can("forward", *DTYPES)
needs_gradients = pytest.mark.skipif(
    not can("gradients", "float64"), reason=f"{BACKEND} has no gradients"
)
needs_compiler = pytest.mark.skipif(
    not can("forward_compiled", "float64"), reason=f"{BACKEND} has no compiler"
)
data = given(data=st.data())
ALL_KINDS = ("tiny", "huge", "integers")
# Of features for gradients: to TensorFlow and XLA denormal numbers are 0, and
# the largest of them are ties.
USUAL = ()
pytestmark = [
    # Keras's sigmoid on NumPy, of large negative numbers; the result is right.
    pytest.mark.filterwarnings("ignore:overflow encountered in exp"),
    # NumPy tells what others do in silence: a padded step that is far from a
    # mean, in units of a deviation of about 0, is infinitely far in float16.
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),
]


def draw(data, make, dtypes=FORWARD, kinds=ALL_KINDS):
    return data.draw(family(make, dtypes, kinds))


def draw_filling(data, drawn):
    """Something that must not matter."""
    if not drawn.inert:
        return 7.0
    lowest, tiny = LOWEST[drawn.dtype], TINY[drawn.dtype]
    fillings = [-lowest, lowest, tiny, 7.0]
    # OpenVINO makes no bfloat16 tensor of one number that is not finite.
    if (BACKEND, drawn.dtype) != ("openvino", "bfloat16"):
        fillings += [np.nan, np.inf, -np.inf]
    return data.draw(st.sampled_from(fillings))


def call(drawn):
    """What the layer gives."""
    with dtype_scope(drawn.dtype):
        layer, inputs, kwargs = built(drawn.case(), drawn.dtype)
        if drawn.lengths_in_list:
            # Lengths may be floats of another dtype than the policy's.
            names = [n for n in drawn.order if n in
                     {**drawn.features, **drawn.lengths}]  # fmt: skip
            for name, lengths in drawn.lengths.items():
                inputs[names.index(name)] = ops.convert_to_tensor(lengths)
        outputs = probes.forward(layer, inputs, kwargs, False)
        return [to_numpy(output) for output in outputs]


def assert_close(got, expected, drawn, kind="forward"):
    """Within the table's limit, in units of the largest number.

    What goes in is of the order of `drawn.size`: where terms cancel, that is
    the unit.
    """
    assert got.shape == expected.shape
    assert np.all(np.isfinite(got))
    expected = expected.astype("float64")
    scale = max(drawn.unit, np.abs(expected).max(initial=0))
    distance = np.abs(got.astype("float64") - expected).max(initial=0)
    assert distance <= tolerance(kind, drawn.dtype).limit * scale


def assert_all_close(got, expected, drawn):
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, drawn)


def assert_equal(got, expected):
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(g, e)


def assert_measured(drawn, kind):
    case = drawn.case()
    expected = reference_values(case, drawn.dtype, kind)
    got = measure(case, drawn.dtype, kind)
    assert got.keys() == expected.keys()
    for name, value in got.items():
        note(name)
        assert_close(to_numpy(value), expected[name], drawn, kind)


@each(BOTH)
@examples()
@data
def test_equals_the_reference(make, data):
    drawn = draw(data, make)
    expected = reference_values(drawn.case(), drawn.dtype, "forward")
    assert_all_close(call(drawn), expected.values(), drawn)


@needs_gradients
@each(BOTH)
@examples()
@data
def test_gradients_equal_the_reference(make, data):
    assert_measured(draw(data, make, ("float64",), USUAL), "gradients")


@needs_gradients
@each(BOTH)
@examples(1 / 2)
@data
def test_gradients_equal_central_differences(make, data):
    """Of the backend's own forward pass, in a direction of all numbers."""
    # Lengths as floats are numbers that must not move.
    drawn = draw(data, make, ("float64",), USUAL).by_masks()
    case = drawn.case()
    gradients = measure(case, "float64", "gradients")
    along = {
        name: np.random.default_rng([1, i]).normal(size=tuple(g.shape))
        for i, (name, g) in enumerate(gradients.items())
    }
    slope = sum(
        np.sum(to_numpy(g) * along[name]) for name, g in gradients.items()
    )
    scale = 1.0 + sum(np.abs(to_numpy(g)).sum() for g in gradients.values())
    # Where a maximum or a ReLU turns between two points, a smaller step helps.
    errors = []
    for step in (1e-5, 1e-6, 1e-7):
        ahead, behind = (moved(case, along, s * step) for s in (1, -1))
        errors.append(abs((ahead - behind) / (2 * step) - slope))
        if errors[-1] <= 1e-6 * scale:
            return
    raise AssertionError(f"{slope}: wrong by {errors} of {scale}")


def moved(case, along, step):
    """The loss whose gradients are measured, with all numbers moved."""
    with dtype_scope("float64"):
        layer, inputs, kwargs = built(case, "float64")
        flat, at = keras.tree.flatten(inputs), 0
        for i, x in enumerate(flat):
            if keras.backend.is_float_dtype(x.dtype):
                flat[i] = x + step * ops.convert_to_tensor(along[f"input {at}"])
                at += 1
        trainable = [w for w in getattr(layer, "weights", []) if w.trainable]
        for i, w in enumerate(trainable):
            value = to_numpy(w.value) + step * along[f"weight {i} {w.name}"]
            w.assign(ops.convert_to_tensor(value))
        inputs = keras.tree.pack_sequence_as(inputs, flat)
        outputs = probes.forward(layer, inputs, kwargs, False)
        return sum(
            np.sum(to_numpy(o) * c)
            for o, c in zip(
                outputs, cotangents_of(outputs, "float64"), strict=True
            )
        )


@needs_compiler
@each(BOTH)
@examples(1 / 4)
@data
def test_compiled_equals_the_reference(make, data):
    kind = data.draw(st.sampled_from(("forward", "gradients")))
    kinds = ALL_KINDS if kind == "forward" else USUAL
    drawn = draw(data, make, ("float64", "float32"), kinds)
    assert_measured(drawn, f"{kind}_compiled")


@each(PADDED)
@examples()
@data
def test_padding_is_inert(make, data):
    drawn = draw(data, make)
    assume(drawn.valid and drawn.inert)
    filled = drawn.filled(draw_filling(data, drawn))
    assert_equal(drawn.shown(call(filled)), drawn.shown(call(drawn)))


@needs_gradients
@each(PADDED)
@examples(1 / 2)
@data
def test_padding_is_inert_in_gradients(make, data):
    drawn = draw(data, make, ("float64", "float32"), ["tiny"])
    assume(drawn.valid and drawn.inert)
    filled = drawn.filled(draw_filling(data, drawn))
    expected = measure(drawn.case(), drawn.dtype, "gradients")
    got = measure(filled.case(), drawn.dtype, "gradients")
    for name, value in got.items():
        note(name)
        np.testing.assert_array_equal(to_numpy(value), to_numpy(expected[name]))


@each(without(PADDED, resolve_mask))
@examples()
@data
def test_more_padding_changes_nothing(make, data):
    drawn = draw(data, make)
    assume(drawn.valid and drawn.grows and drawn.inert)
    longer = drawn.longer(
        data.draw(st.sampled_from((1, 4))), draw_filling(data, drawn)
    )
    got, expected = drawn.shown(call(longer)), drawn.shown(call(drawn))
    assert_all_close(got, expected, drawn)


@each(without(BOTH, auxiliary_loss, resolve_mask))
@examples()
@data
def test_rows_stay_apart(make, data):
    """In another order, and in two batches, they are what they were."""
    drawn = draw(data, make)
    assume(drawn.independent_rows)
    whole = call(drawn)
    order = np.array(data.draw(st.permutations(range(drawn.batch))), int)
    at = data.draw(st.integers(0, drawn.batch))
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


@each(WITH_LENGTHS)
@examples()
@data
def test_lengths_and_masks_are_the_same(make, data):
    drawn = draw(data, make)
    assume(drawn.lengths_in_list)
    assert_all_close(call(drawn.by_masks()), call(drawn), drawn)


@each(PADDED_LAYERS)
@examples(1 / 5)
@data
def test_one_model_takes_any_number_of_steps(make, data):
    """Traced and compiled for what it does not know, as Keras predicts."""
    drawn = draw(data, make, ("float32",)).predicting()
    assume(drawn.any_steps and drawn.grows and drawn.batch)
    with dtype_scope(drawn.dtype):
        model = drawn.model()
        seed_weights(model)
        for steps in data.draw(st.permutations((0, 1, 4))):
            longer = drawn.longer(steps, draw_filling(data, drawn))
            got = longer.shown(longer.predict(model))
            assert_all_close(got, longer.shown(call(longer)), drawn)


@each(LAYERS)
@examples(1 / 5)
@data
def test_is_made_again_alike(make, data):
    """By its config, and by a file with its weights."""
    drawn = draw(data, make, ("float32",)).predicting()
    assume(drawn.any_steps and drawn.batch)
    with dtype_scope(drawn.dtype):
        layer = drawn.make()
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config
        model = drawn.model()
        seed_weights(model)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            loaded = keras.saving.load_model(f"{folder}/model.keras")
        assert_equal(drawn.predict(loaded), drawn.predict(model))
