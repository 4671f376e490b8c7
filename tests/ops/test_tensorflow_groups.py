"""TensorFlow's form by groups: the same as all examples at once."""

import keras
import numpy as np
import pytest

from kseq.layers.sequence import AttentionSequencePoolingLayer

if keras.backend.backend() != "tensorflow":
    pytest.skip("the form is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from kseq.ops.backends import tensorflow_groups

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 5, 4))
# Full, one, empty, with a hole, padded in front, short.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 1, 0, 0],
    ],
    bool,
)


@pytest.fixture(autouse=True)
def short_sequences_too(monkeypatch):
    monkeypatch.setattr(tensorflow_groups, "LEAST_STEPS", 1)


def results(layer, candidates, *, training, known=True, xla=False, x=X):
    """Output and gradients of the inputs and the weights."""
    query = np.random.default_rng(1).normal(size=(6, candidates, 4))
    upstream = tf.constant(np.random.default_rng(2).normal(size=query.shape))

    def find(query, x, mask):
        with tf.GradientTape() as tape:
            tape.watch([query, x])
            output = layer([query, x], mask=[None, mask], training=training)
            loss = tf.reduce_sum(output * tf.cast(upstream, output.dtype))
        weights = [w.value for w in layer.trainable_variables]
        return output, *tape.gradient(loss, [query, x, *weights])

    dtype = layer.compute_dtype
    signature = None
    if not known:
        signature = [
            tf.TensorSpec((None, candidates, 4), dtype),
            tf.TensorSpec((None, None, 4), dtype),
            tf.TensorSpec((None, None), "bool"),
        ]
    find = tf.function(find, signature, jit_compile=xla)
    given = tf.constant(query, dtype), tf.constant(x, dtype), MASK
    return [tf.convert_to_tensor(y).numpy() for y in find(*given)]


def make(dtype="float64", **options):
    layer = AttentionSequencePoolingLayer((3, 2), dtype=dtype, **options)
    layer.build([(None, 1, 4), (None, None, 4)])
    return layer


def calls(monkeypatch):
    """Counts of the groups that are cut, one for each call."""
    seen = []
    cut = tensorflow_groups._cut

    def counted(x, groups, longest):
        seen.append(len(groups))
        return cut(x, groups, longest)

    monkeypatch.setattr(tensorflow_groups, "_cut", counted)
    return seen


def close(got, expected, tolerance=1e-12):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


# More groups than examples: some are empty.
@pytest.mark.parametrize("number", [1, 3, 8])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("candidates", [1, 2])
def test_any_number_of_groups_gives_the_same(
    number, normalize, candidates, monkeypatch
):
    layer = make(weight_normalization=normalize)
    whole = results(layer, candidates, training=False)
    seen = calls(monkeypatch)
    monkeypatch.setattr(tensorflow_groups, "GROUPS", number)
    close(results(layer, candidates, training=True), whole)
    assert seen == [number, number]  # of the keys and of the mask


def test_shapes_need_not_be_known(monkeypatch):
    layer = make()
    whole = results(layer, 2, training=False)
    seen = calls(monkeypatch)
    close(results(layer, 2, training=True, known=False), whole)
    assert seen


def test_padding_stays_out():
    layer = make()
    whole = results(layer, 1, training=False)
    padded = np.where(MASK[..., None], X, np.nan)
    close(results(layer, 1, training=True, x=padded), whole)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_goes_through(dtype):
    layer = make(dtype)
    whole = results(layer, 1, training=False)
    close(results(layer, 1, training=True), whole, tolerance=2e-2)


def test_xla_and_eager_calls_are_not_cut(monkeypatch):
    layer = make()
    whole = results(layer, 1, training=False)
    seen = calls(monkeypatch)
    close(results(layer, 1, training=True, xla=True), whole)
    layer([X[:, :1], X], mask=[None, MASK], training=True)
    assert not seen


def test_statistics_of_the_batch_are_of_all_of_it(monkeypatch):
    layer = make(att_activation="dice")
    seen = calls(monkeypatch)
    results(layer, 1, training=True)
    assert not seen


def test_gradients_have_gradients():
    layer = make()

    @tf.function
    def twice(x, training):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                inputs = [x[:, :1], x]
                y = layer(inputs, mask=[None, MASK], training=training)
                loss = tf.reduce_sum(y**2)
            once = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(once, x)

    x = tf.constant(X)
    close([twice(x, True)], [twice(x, False)])
