"""DeepCTR 0.9.4's layers, on TensorFlow and Keras 2 (tf_keras).

- DIN scores one candidate. For several, the history is repeated.
- DeepCTR's DynamicGRU needs parts of TensorFlow that 2.21 no longer has, so its
  AUGRU cell and the loop around it are reimplemented here.
"""

import os

# DeepCTR needs Keras 2 as tf.keras. Must be set before the import.
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf
from deepctr.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)

FRAMEWORK = "tensorflow"


def din(workload, weights):
    layer = AttentionSequencePoolingLayer(workload["hidden_units"])
    inputs = _repeat_history(*_first_example(workload))
    variables = _build(layer, inputs, weights)

    def call(inputs, variables, training):
        query = inputs[0]
        return tf.reshape(layer(_repeat_history(*inputs)), query.shape)

    return call, variables


def _repeat_history(query, keys, lengths):
    """One example for each candidate."""
    candidates, dim = query.shape[1:]
    if candidates == 1:
        return [query, keys, lengths]
    return [
        tf.reshape(query, (-1, 1, dim)),
        tf.repeat(keys, candidates, axis=0),
        tf.repeat(lengths, candidates, axis=0),
    ]


def augru(workload, weights):
    return _augru, [tf.Variable(w) for w in weights]


def _augru(inputs, variables, training):
    x, lengths, scores = inputs
    kernel, bias, candidate_kernel, candidate_bias = variables
    batch, steps, dim = x.shape
    units = candidate_bias.shape[0]
    lengths = tf.squeeze(lengths, 1)
    xs = tf.TensorArray(x.dtype, steps).unstack(tf.transpose(x, (1, 0, 2)))

    def step(t, h, outputs):
        x_t = tf.ensure_shape(xs.read(t), (batch, dim))
        gates = tf.matmul(tf.concat([x_t, h], 1), kernel)
        r, u = tf.split(tf.sigmoid(tf.nn.bias_add(gates, bias)), 2, 1)
        c = tf.matmul(tf.concat([x_t, r * h], 1), candidate_kernel)
        c = tf.tanh(tf.nn.bias_add(c, candidate_bias))
        u = (1.0 - scores[:, t]) * u
        new_h = u * h + (1.0 - u) * c
        ended = (t >= lengths)[:, None]
        outputs = outputs.write(t, tf.where(ended, 0.0, new_h))
        return t + 1, tf.where(ended, h, new_h), outputs

    _, h, _ = tf.while_loop(
        lambda t, *_: t < steps,
        step,
        (0, tf.zeros((batch, units)), tf.TensorArray(x.dtype, steps)),
        maximum_iterations=steps,
    )
    return h[:, None]


def bilstm(workload, weights):
    layer = BiLSTM(
        workload.units, layers=1, dropout_rate=0.0, merge_mode="concat"
    )
    x, _ = _first_example(workload)
    variables = _build(layer, x, weights)
    return lambda inputs, variables, training: layer(inputs[0]), variables


def transformer(workload, weights):
    layer = Transformer(
        workload.units,
        workload["heads"],
        use_positional_encoding=False,
        use_res=False,
        use_feed_forward=False,
        use_layer_norm=False,
        blinding=workload["blinding"],
        output_type=None,
    )

    def twice(inputs):
        x, lengths = inputs
        return [x, x, lengths, lengths]

    variables = _build(layer, twice(_first_example(workload)), weights)
    return lambda inputs, variables, training: layer(twice(inputs)), variables


def pooling(workload, weights):
    layer = SequencePoolingLayer(workload["mode"])
    return lambda inputs, variables, training: layer(inputs), []


def weighted(workload, weights):
    each, total = WeightedSequenceLayer(), SequencePoolingLayer("sum")

    def call(inputs, variables, training):
        _, lengths, _ = inputs
        return total([each(inputs), lengths])

    return call, []


def _first_example(workload):
    return [tf.constant(x[:1]) for x in workload.inputs()]


def _build(layer, inputs, weights):
    layer(inputs)
    layer.set_weights(weights)
    return layer.trainable_variables
