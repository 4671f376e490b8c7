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


def din(work, weights):
    layer = AttentionSequencePoolingLayer(work["hidden_units"])
    return _ready(layer, work.inputs(), weights)


def augru(work, weights):
    layer = DynamicGRU(work.units, "AUGRU", return_sequence=False)
    return _ready(layer, work.inputs(), weights)


def bilstm(work, weights):
    layer = BiLSTM(work.units, layers=1, dropout_rate=0.0, merge_mode="concat")
    return _ready(layer, work.inputs(), weights)


def transformer(work, weights):
    layer = Transformer(
        work.units,
        work["heads"],
        use_res=False,
        use_feed_forward=False,
        use_layer_norm=False,
        use_positional_encoding=False,
        blinding=work["blinding"],
        output_type=None,
    )
    call, variables = _ready(layer, _twice(work.inputs()), weights)
    return lambda inputs, *others: call(_twice(inputs), *others), variables


def _twice(inputs):
    x, lengths = inputs
    return [x, x, lengths, lengths]


def pooling(work, weights):
    return _ready(SequencePoolingLayer(work["mode"]), work.inputs(), weights)


def weighted(work, weights):
    each, total = WeightedSequenceLayer(), SequencePoolingLayer("sum")
    return lambda inputs, *_: total([each(inputs), inputs[1]]), []


def k_max(work, weights):
    return _ready(KMaxPooling(work["k"]), work.inputs(), weights)


def positions(work, weights):
    call, variables = _ready(PositionEncoding(), work.inputs()[0], weights)
    return lambda inputs, *others: call(inputs[0], *others), variables


def bias(work, weights):
    call, variables = _ready(BiasEncoding(1), work.inputs()[:1], weights)
    return lambda inputs, *others: call(inputs[:1], *others)[0], variables


def _ready(layer, inputs, weights):
    layer.build(keras.tree.map_structure(lambda x: x.shape, inputs))
    if weights:
        layer.set_weights(weights)
    variables = [v.value for v in layer.trainable_variables]
    learns = "training" in inspect.signature(layer.call).parameters

    def call(inputs, variables, training):
        options = {"training": training} if learns else {}
        if FRAMEWORK == "jax":  # whose gradients are those of a function
            return layer.stateless_call(variables, [], inputs, **options)[0]
        return layer(inputs, **options)

    return call, variables
