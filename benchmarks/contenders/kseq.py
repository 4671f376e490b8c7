"""kseq's layers, on the backend that KERAS_BACKEND names."""

import keras

from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)

FRAMEWORK = keras.backend.backend()


def din(work, weights):
    layer = AttentionSequencePoolingLayer(work["hidden_units"])
    return _ready(layer, work, weights)


def augru(work, weights):
    layer = DynamicGRU(work.units, "AUGRU", return_sequence=False)
    return _ready(layer, work, weights)


def bilstm(work, weights):
    layer = BiLSTM(work.units, layers=1, dropout_rate=0.0, merge_mode="concat")
    return _ready(layer, work, weights)


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
    call, variables = _ready(layer, work, weights)
    return lambda inputs, v: call(_twice(inputs), v), variables


def _twice(inputs):
    x, lengths = inputs
    return [x, x, lengths, lengths]


def pooling(work, weights):
    return _ready(SequencePoolingLayer(work["mode"]), work, weights)


def weighted(work, weights):
    each, total = WeightedSequenceLayer(), SequencePoolingLayer("sum")

    def call(inputs, variables):
        return total([each(_order(inputs)), inputs[1]])

    return call, []


def _order(inputs):
    x, lengths, weights = inputs
    return [x, lengths, weights]


def _ready(layer, work, weights):
    inputs = work.inputs()
    layer.build(
        [
            tuple(x.shape)
            for x in (_twice(inputs) if work.kind == "transformer" else inputs)
        ]
    )
    if weights:
        layer.set_weights(weights)
    if FRAMEWORK == "jax":
        values = [v.value for v in layer.trainable_variables]

        def call(inputs, variables):
            output, _ = layer.stateless_call(variables, [], inputs)
            return output

        return call, values
    values = [v.value for v in layer.trainable_variables]
    return lambda inputs, variables: layer(inputs), values
