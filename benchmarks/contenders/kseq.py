"""kseq's layers, on the backend that KERAS_BACKEND names."""

import inspect

import keras

from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)

FRAMEWORK = keras.backend.backend()


def din(workload, weights):
    layer = AttentionSequencePoolingLayer(workload["hidden_units"])
    return _prepare(layer, workload, weights)


def augru(workload, weights):
    layer = DynamicGRU(workload.units, "AUGRU", return_sequence=False)
    return _prepare(layer, workload, weights)


def gru(workload, weights):
    return _prepare(DynamicGRU(workload.units, "GRU"), workload, weights)


def bilstm(workload, weights):
    layer = BiLSTM(
        workload.units, layers=1, dropout_rate=0.0, merge_mode="concat"
    )
    return _prepare(layer, workload, weights)


def transformer(workload, weights):
    layer = Transformer(
        workload.units,
        workload["heads"],
        use_res=False,
        use_feed_forward=False,
        use_layer_norm=False,
        use_positional_encoding=False,
        blinding=workload["blinding"],
        output_type=None,
    )
    # Self-attention: the same sequence as queries and keys.
    return _prepare(layer, workload, weights, lambda x, n: [x, x, n, n])


def pooling(workload, weights):
    return _prepare(SequencePoolingLayer(workload["mode"]), workload, weights)


def weighted(workload, weights):
    weigh, total = WeightedSequenceLayer(), SequencePoolingLayer("sum")
    return lambda inputs, *_: total([weigh(inputs), inputs[1]]), []


def k_max(workload, weights):
    return _prepare(KMaxPooling(workload["k"]), workload, weights)


def positions(workload, weights):
    return _prepare(PositionEncoding(), workload, weights, lambda x, n: x)


def bias(workload, weights):
    call, variables = _prepare(
        BiasEncoding(1), workload, weights, lambda x, n: [x]
    )
    return lambda *args: call(*args)[0], variables


def _prepare(layer, workload, weights, arrange=lambda *inputs: [*inputs]):
    layer(arrange(*workload.inputs()))
    if weights:
        layer.set_weights(weights)
    variables = layer.trainable_variables
    has_training = "training" in inspect.signature(layer.call).parameters

    def call(inputs, values, training):
        options = {"training": training} if has_training else {}
        # JAX differentiates a function of the values.
        with keras.StatelessScope([*zip(variables, values, strict=True)]):
            return layer(arrange(*inputs), **options)

    def call_directly(inputs, values, training):
        options = {"training": training} if has_training else {}
        return layer(arrange(*inputs), **options)

    run = call if FRAMEWORK == "jax" else call_directly
    return run, [v.value for v in variables]
