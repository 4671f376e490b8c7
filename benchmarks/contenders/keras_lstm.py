"""Keras's bidirectional LSTM, without a mask."""

import keras

FRAMEWORK = keras.backend.backend()


def bilstm(workload, weights):
    layer = keras.layers.Bidirectional(
        keras.layers.LSTM(workload.units, return_sequences=True)
    )
    layer.build((workload.batch, workload.steps, workload.dim))
    layer.set_weights(weights)
    variables = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]

    def call(inputs, variables, training):
        if FRAMEWORK == "jax":
            output, _ = layer.stateless_call(variables, others, inputs[0])
            return output
        return layer(inputs[0])

    return call, variables
