"""A model that does not know the number of steps."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers import (
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    SequencePoolingLayer,
    WeightedSequenceLayer,
)
from tests.layers.checks import assert_close, skip_left_out
from tests.layers.examples import (
    ARRAYS,
    BY_NAME,
    CANDIDATES,
    EXAMPLES,
    LENGTHS,
    STEPS,
    everything,
    fill,
    names,
    predict,
    with_steps,
)
from tests.layers.training import losses

each = pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
OF_ONE_STEP = [example for example in EXAMPLES if example.least_steps == 1]


@pytest.mark.parametrize(
    ("examples", "fewest"),
    [(OF_ONE_STEP, 1), ([BY_NAME["k-max"]], 2)],
    ids=["all", "k-max"],
)
def test_the_number_of_steps_may_change(examples, fewest):
    """With the same steps that count, whatever the padding behind them."""
    model = everything(None, examples)
    for steps in (STEPS, fewest):
        lengths = np.minimum(LENGTHS, steps)
        valid = np.arange(steps) < lengths[:, None]
        arrays = fill(with_steps(steps), 0.0, valid)
        expected = predict(model, arrays, lengths)
        padded = with_steps(STEPS + 3, arrays, np.nan)
        for name, output in predict(model, padded, lengths).items():
            example = BY_NAME[name]
            if example.steps_at is not None:
                output = np.take(output, range(steps), axis=example.steps_at)
            assert_close(
                example.shown(output, valid),
                example.shown(expected[name], valid),
                name=f"{name}, {steps} steps",
            )


def test_a_history_of_one_step_warns_of_nothing():
    example = BY_NAME["attention-softmax"]
    example.call(example.built(), with_steps(1), np.minimum(LENGTHS, 1))


@pytest.mark.parametrize(
    ("is_input", "layer"),
    [
        (True, WeightedSequenceLayer()),
        (True, WeightedSequenceLayer(False)),
        (True, DynamicGRU(4, gru_type="AUGRU")),
        (False, DynamicGRU(4)),
        (False, BiLSTM(4)),
        (False, SequencePoolingLayer("max", supports_masking=True)),
        (False, KMaxPooling(2, axis=1)),
        (False, KMaxPooling(2, axis=2)),
    ],
)
def test_a_single_step_is_not_spread_over_the_others(is_input, layer):
    """Not by TensorFlow either, which has seen others and knows no steps."""
    skip_left_out("forward_compiled")
    x = keras.Input((None, 4))
    given = keras.Input((None, 1))
    if is_input:
        output = layer([x, 5.0 * ops.ones_like(x[:, 0, :1]), given])
    else:
        output = layer(x, mask=given[..., 0] > 0)
    model = keras.Model([x, given], output)
    ones = np.ones((3, 6, 4), "float32")
    for steps in (6, 5):
        model.predict([ones[:, :steps], ones[:, :steps, :1]], verbose=0)
    with pytest.raises(Exception, match=r"expected|Graph execution"):
        model.predict([ones[:, :5], ones[:, :1, :1]], verbose=0)


# With fewer steps than `dim` DIN's first layer takes its other form.
@pytest.mark.parametrize("steps", [2, 5])
def test_a_model_of_known_steps_gives_the_same(steps):
    known, unknown = everything(steps), everything()
    assert known.output["sum"].shape == (None, 1, 3)
    assert known.output["attention-score"].shape == (None, CANDIDATES, steps)
    arrays = with_steps(steps)
    expected = predict(unknown, arrays)
    for name, output in predict(known, arrays).items():
        assert_close(output, expected[name], name=name)


def test_trains_with_another_number_of_steps_each_batch():
    skip_left_out("fit")
    for loss in losses(everything(), [with_steps(n) for n in (STEPS, 3)]):
        for name, value in loss.items():
            assert np.isfinite(value), name


def test_more_padding_in_a_batch_changes_no_training():
    skip_left_out("fit")
    names = ("max", "k-max", "attention-dice", "attention-softmax")
    expected = losses(pooled(*names), [ARRAYS] * 3)
    longer = with_steps(STEPS + 3, filling=np.nan)
    got = losses(pooled(*names), [ARRAYS, longer, ARRAYS])
    for step, loss in enumerate(got):
        for name, value in loss.items():
            assert_close(value, expected[step][name], "fit", name=name)
    assert got[-1]["loss"] < got[0]["loss"]


def pooled(*names):
    """A model of the examples whose outputs have no steps."""
    return everything(
        None,
        [
            example
            for example in EXAMPLES
            if example.steps_at is None and (not names or example.name in names)
        ],
    )


def test_trains_alike_compiled_and_not():
    skip_left_out("fit")
    if keras.backend.backend() == "torch":
        pytest.skip("Keras compiles by inductor, which needs a C++ compiler")
    # Not compiled, JAX compiles each operation by itself: one will do.
    found = {}
    for compiled in (True, False):
        model = pooled("attention-dice")
        found[compiled] = losses(model, [ARRAYS] * 2, jit_compile=compiled)
    for step, loss in enumerate(found[True]):
        for name, value in loss.items():
            assert_close(value, found[False][step][name], "fit", name=name)


@pytest.mark.skipif(
    keras.backend.backend() not in ("tensorflow", "jax"),
    reason="jit_compile=True is XLA's, of tensorflow and jax",
)
def test_every_layer_trains_under_xla_with_another_number_of_steps():
    batches = [with_steps(n) for n in (STEPS, 3)]
    compiled = losses(everything(), batches, jit_compile=True)
    usual = losses(everything(), batches)
    for got, expected in zip(compiled, usual, strict=True):
        for name, value in got.items():
            assert_close(value, expected[name], "fit", name=name)


@each
def test_shapes_are_unknown_where_they_should_be(example):
    model = everything(None, [example])
    known = example.call(example.built()).shape
    expected = list(known)
    expected[0] = None
    if example.steps_at is not None:
        expected[example.steps_at] = None
    assert model.output[example.name].shape == tuple(expected)
