"""What is exported: each layer of sequences in a model of one output, and the
models, with inputs to run them."""

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


def made(name, known_steps):
    """The model of a layer, or a model, and its example inputs."""
    if name in MODELS:
        example = examples.BY_NAME[MODELS[name]]
        model = example.make() if known_steps else example.unknown_steps()
        return model, examples.inputs_of(model)
    steps = STEPS if known_steps else None
    if name == "BiasEncoding":
        return sessions(steps)
    model = everything(steps, [BY_NAME[LAYERS[name]]])
    (output,) = model.output.values()
    # Not a dict: PyTorch's tracer takes none.
    model = keras.Model(model.inputs, output)
    return model, dict(
        zip([x.name for x in model.inputs], model_inputs(model), strict=True)
    )


def sessions(steps):
    inputs = [keras.Input((steps, DIM), name=f"session_{i}") for i in range(2)]
    outputs = BiasEncoding(2, max_steps=STEPS)(inputs)
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    seed_weights(model)
    return model, {
        x.name: draw(4, STEPS, DIM + i)[..., :DIM] for i, x in enumerate(inputs)
    }
