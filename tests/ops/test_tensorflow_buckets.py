"""TensorFlow's buckets give what the whole batch gives."""

from pathlib import Path

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("the form is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from kseq.ops import multi_head_attention, plain_forms
from kseq.ops.backends import tensorflow_buckets
from tests.ops.unequal import (
    ARRAYS,
    LAYERS,
    assert_close,
    each_function,
    in_buckets,
    pooled,
)


@pytest.fixture(autouse=True)
def _short_sequences_too(monkeypatch):
    monkeypatch.setattr(tensorflow_buckets, "MIN_STEPS", 1)


def run(function, sequence, arrays=ARRAYS, known=True, training=True, **jit):
    """Output, gradients and the number of calls."""
    calls = []

    def differentiate(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors[:3])
            output, calls[:] = in_buckets(function, sequence, tensors, training)
            weights = tf.range(tf.size(output, tf.int64))
            weights = tf.reshape(weights, tf.shape(output))
            loss = tf.reduce_sum(output**2 * tf.cast(weights, output.dtype))
        found = tape.gradient(loss, tensors[:3])
        return output, *map(tf.convert_to_tensor, found)

    tensors = [tf.constant(a) for a in arrays]
    signature = None
    if not known:
        shapes = [(None, 4), *2 * [(None, None, 4)], *2 * [(None, None)]]
        signature = [
            tf.TensorSpec(shape, x.dtype)
            for shape, x in zip(shapes, tensors, strict=True)
        ]
    compiled = tf.function(differentiate, signature, **jit)
    return [y.numpy() for y in compiled(*tensors)], len(calls)


@each_function
@pytest.mark.parametrize(
    ("number", "known"), [(1, True), (3, True), (8, False)]
)
def test_any_number_of_buckets(function, sequence, number, known, monkeypatch):
    monkeypatch.setattr(tensorflow_buckets, "BUCKETS", number)
    whole, calls = run(function, sequence, training=False)
    assert calls == 1
    got, calls = run(function, sequence, known=known)
    assert_close(got, whole)
    assert calls == number


@each_function
def test_padding_and_nan_of_another_example_have_no_effect(function, sequence):
    whole, _ = run(function, sequence)
    example, x, other, valid, other_valid = ARRAYS
    x = np.where(valid[..., None], x, np.nan)
    got, _ = run(function, sequence, (example, x, other, valid, other_valid))
    assert_close(got, whole)
    x[4, 2] = np.nan  # a valid step
    got, _ = run(function, sequence, (example, x, other, valid, other_valid))
    others = np.arange(6) != 4
    assert_close([got[0][others]], [whole[0][others]])
    assert np.isnan(got[0][4]).any()


def test_where_the_batch_is_not_cut(monkeypatch):
    whole, calls = run(pooled, False)
    assert calls == 6  # BUCKETS, or as many as there are examples
    got, calls = run(pooled, False, jit_compile=True)
    assert_close(got, whole)
    assert calls == 1
    with plain_forms():
        assert run(pooled, False)[1] == 1
    tf.config.run_functions_eagerly(True)
    try:
        assert run(pooled, False)[1] == 1
    finally:
        tf.config.run_functions_eagerly(False)
    for least, calls in ((5, 6), (6, 1)):  # there are 5 steps
        monkeypatch.setattr(tensorflow_buckets, "MIN_STEPS", least)
        assert run(pooled, False)[1] == calls


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-12), ("mixed_float16", 5e-2)]
)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_buckets(name, dtype, tolerance, monkeypatch):
    layer_class, config, arrays, masks = LAYERS[name]
    layer = layer_class(**config, dtype=dtype)
    inputs = [tf.constant(x, layer.compute_dtype) for x in arrays]
    masks = [None if m is None else tf.constant(m) for m in masks]
    layer(inputs, mask=masks)
    seen = []
    cut = tensorflow_buckets._cut
    monkeypatch.setattr(
        tensorflow_buckets, "_cut", lambda *a: seen.append(a) or cut(*a)
    )

    @tf.function
    def results(training):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, mask=masks, training=training)
            loss = tf.reduce_sum(output**2)
        weights = [w.value for w in layer.trainable_variables]
        found = tape.gradient(loss, [*inputs, *weights])
        return output, *map(tf.convert_to_tensor, found)

    whole = results(False)
    assert not seen
    assert_close(results(True), whole, tolerance)
    assert seen


def test_statistics_of_the_batch_are_those_of_all_examples(monkeypatch):
    layer_class, config, arrays, masks = LAYERS["din"]
    layer = layer_class(**config | {"att_activation": "dice"}, dtype="float64")
    monkeypatch.setattr(tensorflow_buckets, "_cut", None)  # not called
    tf.function(layer)(
        [tf.constant(x) for x in arrays],
        mask=[None, tf.constant(masks[1])],
        training=True,
    )


def test_an_eager_tape_does_not_keep_the_scores_of_chunks():
    pages = Path("/proc/self/statm")
    x, valid = tf.ones((1, 1, 4000, 2)), tf.ones((1, 4000), "bool")
    with tf.GradientTape() as tape:
        tape.watch(x)
        before = int(pages.read_text().split()[1])
        y = multi_head_attention(x, x, x, valid)
        kept = 4096 * (int(pages.read_text().split()[1]) - before)
    assert kept < 4 * 4000**2  # the float32 scores
    assert tape.gradient(y, x) is not None
