"""The exported models: each sequence layer in a model, and kseq's models."""

import keras

from tests.layers.catalog import BY_NAME
from tests.layers.models import everything, inputs_of
from tests.models import examples

LAYERS = {
    "SequencePoolingLayer": "pooling-mean-lengths",
    "WeightedSequenceLayer": "weighted-softmax-lengths",
    "KMaxPooling": "k-max-steps-lengths",
    "AttentionSequencePoolingLayer": "attention-sigmoid",
    "DynamicGRU": "gru-augru-paper",
    "BiLSTM": "bilstm-ave",
    "BiasEncoding": "bias-encoding",
    "PositionEncoding": "positions-trained",
    "Transformer": "transformer-masked-mean-mask",
}
MODELS = {
    "DIN": "DIN",
    "DIEN": "DIEN-AUGRU-negatives",
    "DSIN": "DSIN-bias",
    "BST": "BST",
}


def build(name, known_steps):
    """Return a model and its example inputs."""
    if name in MODELS:
        example = examples.BY_NAME[MODELS[name]]
        model = example.make() if known_steps else example.unknown_steps()
        return model, examples.inputs_of(model)
    example = BY_NAME[LAYERS[name]]
    steps = example.trial().features.popitem()[1].shape[1]
    model = everything([example], steps if known_steps else None)
    # PyTorch's tracer does not accept a dict of outputs.
    model = keras.Model(model.inputs, [*model.output.values()])
    names = [x.name for x in model.inputs]
    arrays = inputs_of({example.name: example.trial()})
    return model, dict(zip(names, arrays, strict=True))
