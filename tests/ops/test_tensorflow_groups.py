"""TensorFlow's form by groups: the same as all examples at once."""

import keras
import numpy as np
import pytest

from kseq.layers.sequence import AttentionSequencePoolingLayer, Transformer

if keras.backend.backend() != "tensorflow":
    pytest.skip("the form is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from kseq.ops.backends import tensorflow_groups
from tests.ops.unequal import MASK, QUERY, RNG, X

ALL = np.ones((6, 2), bool)
OTHER = RNG.normal(size=(6, 3, 4))
OTHER_MASK = MASK[::-1, :3]
LAYERS = {
    "din": (
        AttentionSequencePoolingLayer,
        {"att_hidden_units": (3, 2)},
        [QUERY, X],
        [ALL, MASK],
    ),
    "din-normalized": (
        AttentionSequencePoolingLayer,
        {"weight_normalization": True},
        [QUERY[:, :1], X],
        [ALL[:, :1], MASK],
    ),
    "transformer": (
        Transformer,
        {"att_embedding_size": 2, "head_num": 2, "output_type": None},
        [OTHER, X],
        [OTHER_MASK, MASK],
    ),
    "transformer-blinding": (
        Transformer,
        {
            "att_embedding_size": 2,
            "head_num": 2,
            "blinding": True,
            "attention_type": "additive",
            "output_type": "masked_mean",
            "max_steps": 5,
        },
        [X, X],
        [MASK, MASK],
    ),
}


@pytest.fixture(autouse=True)
def short_sequences_too(monkeypatch):
    monkeypatch.setattr(tensorflow_groups, "LEAST_STEPS", 1)


def make(layer, dtype="float64"):
    """One of LAYERS, the same each time."""
    keras.utils.set_random_seed(0)
    make, options, _, _ = LAYERS[layer]
    return make(**options, dtype=dtype)


def results(name, *, training, known=True, xla=False, dtype="float64", x=X):
    """Output and gradients of the inputs and the weights."""
    _, _, inputs, masks = LAYERS[name]
    layer = make(name, dtype)
    dtype = layer.compute_dtype
    inputs = [tf.constant(x if y is X else y, dtype) for y in inputs]
    masks = [tf.constant(m) for m in masks]
    outputs = layer(inputs, mask=masks)
    upstream = np.random.default_rng(2).normal(size=outputs.shape)

    def find(inputs, masks):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, mask=masks, training=training)
            loss = tf.reduce_sum(output * tf.constant(upstream, output.dtype))
        weights = [w.value for w in layer.trainable_variables]
        return output, *tape.gradient(loss, [*inputs, *weights])

    signature = None
    if not known:
        signature = tf.nest.map_structure(
            lambda y: tf.TensorSpec([None, None, *y.shape[2:]], y.dtype),
            [inputs, masks],
        )
    find = tf.function(find, signature, jit_compile=xla)
    return [tf.convert_to_tensor(y).numpy() for y in find(inputs, masks)]


def calls(monkeypatch):
    """Counts of the groups that are cut, one for each call."""
    seen = []
    cut = tensorflow_groups._cut

    def counted(x, rows):
        seen.append(len(rows))
        return cut(x, rows)

    monkeypatch.setattr(tensorflow_groups, "_cut", counted)
    return seen


def close(got, expected, tolerance=1e-12):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_any_number_of_groups_gives_the_same(name, number, monkeypatch):
    whole = results(name, training=False)
    seen = calls(monkeypatch)
    monkeypatch.setattr(tensorflow_groups, "GROUPS", number)
    close(results(name, training=True), whole)
    assert set(seen) == {number}


# Some of the groups are empty then.
@pytest.mark.parametrize("name", LAYERS)
def test_shapes_need_not_be_known(name, monkeypatch):
    whole = results(name, training=False)
    seen = calls(monkeypatch)
    close(results(name, training=True, known=False), whole)
    assert set(seen) == {tensorflow_groups.GROUPS}


@pytest.mark.parametrize("name", LAYERS)
def test_padding_stays_out(name):
    whole = results(name, training=False)
    padded = np.where(MASK[..., None], X, np.nan)
    close(results(name, training=True, x=padded), whole)


@pytest.mark.parametrize("name", LAYERS)
def test_nan_that_counts_stays_in_its_example(name):
    spoilt = X.copy()
    spoilt[4, 2] = np.nan
    others = np.arange(len(X)) != 4
    got, whole = (results(name, training=True, x=x)[0] for x in (spoilt, X))
    close([got[others]], [whole[others]])
    assert np.isnan(got[4]).any()


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_half_precision_goes_through(name, dtype):
    whole = results(name, training=False, dtype=dtype)
    got = results(name, training=True, dtype=dtype)
    close(got, whole, tolerance=5e-2)


@pytest.mark.parametrize("name", LAYERS)
def test_xla_and_eager_calls_are_not_cut(name, monkeypatch):
    whole = results(name, training=False)
    seen = calls(monkeypatch)
    close(results(name, training=True, xla=True), whole)
    _, _, inputs, masks = LAYERS[name]
    make(name)(inputs, mask=masks, training=True)
    assert not seen


def test_statistics_of_the_batch_are_of_all_of_it(monkeypatch):
    monkeypatch.setitem(LAYERS["din"][1], "att_activation", "dice")
    seen = calls(monkeypatch)
    results("din", training=True)
    assert not seen


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_have_gradients(name):
    layer = make(name)
    _, _, inputs, masks = LAYERS[name]

    @tf.function
    def twice(x, training):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                given = [x if y is X else y for y in inputs]
                y = layer(given, mask=masks, training=training)
                loss = tf.reduce_sum(y**2)
            once = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(once, x)

    x = tf.constant(X)
    close([twice(x, True)], [twice(x, False)])
