"""The exported models: each sequence layer in a model, and kseq's models."""

import keras

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import BiasEncoding
from tests.layers.examples import (
    BY_NAME,
    DIM,
    STEPS,
    draw,
    everything,
    model_inputs,
)
from tests.models import examples

LAYERS = {
    "SequencePoolingLayer": "mean",
    "WeightedSequenceLayer": "weighted",
    "KMaxPooling": "k-max",
    "AttentionSequencePoolingLayer": "attention",
    "DynamicGRU": "augru-last",
    "BiLSTM": "bilstm",
    "BiasEncoding": "",
    "PositionEncoding": "position-encoding",
    "Transformer": "transformer",
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
    steps = STEPS if known_steps else None
    if name == "BiasEncoding":
        return build_bias_encoding(steps)
    model = everything(steps, [BY_NAME[LAYERS[name]]])
    # PyTorch's tracer does not accept a dict of outputs.
    model = keras.Model(model.inputs, *model.output.values())
    names = [x.name for x in model.inputs]
    return model, dict(zip(names, model_inputs(model), strict=True))


def build_bias_encoding(steps):
    inputs = [keras.Input((steps, DIM), name=f"session_{i}") for i in range(2)]
    outputs = BiasEncoding(2, max_steps=STEPS)(inputs)
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    seed_weights(model)
    return model, {
        x.name: draw(4, STEPS, DIM + i)[..., :DIM] for i, x in enumerate(inputs)
    }
