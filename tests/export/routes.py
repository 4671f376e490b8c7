"""What is exported, and the routes that docs/export.md promises."""

from typing import NamedTuple

import keras

from tests.layers.catalog import BY_NAME
from tests.layers.models import everything, inputs_of
from tests.models import examples

# Each sequence layer in a model, and kseq's models, by their examples.
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
# Not 2: when batch_size * steps equals the width of the histories, as in DIN
# here, LiteRT (TensorFlow 2.21) computes something else, and is rejected.
ONE_SIZE = {"batch_size": 3}
# The formats of each backend, with the options of `export`.
FORMATS = {
    "tensorflow": {
        "tf_saved_model": {},
        "onnx": {},
        "openvino": {},
        "litert": ONE_SIZE,
    },
    "torch": {"onnx": {}, "openvino": {}, "litert": ONE_SIZE, "torch": {}},
    "jax": {"tf_saved_model": {}, "onnx": {}},
}
BACKENDS = tuple(FORMATS)


class Route(NamedTuple):
    """A backend exports every layer and model, but those excluded."""

    title: str  # the format's name on the page
    format: str
    backend: str
    known_steps: tuple[bool, ...]  # of the models
    excluded: tuple[str, ...] = ()


NO_K_MAX = ("KMaxPooling",)
ROUTES = (
    Route("SavedModel", "tf_saved_model", "tensorflow", (True, False)),
    Route("ONNX", "onnx", "torch", (True,)),
    Route("ONNX", "onnx", "tensorflow", (True, False), NO_K_MAX),
    Route("OpenVINO", "openvino", "torch", (True,)),
    Route("SavedModel", "tf_saved_model", "jax", (True, False), NO_K_MAX),
    Route("LiteRT", "litert", "tensorflow", (True, False)),
    Route("torch.export", "torch", "torch", (True,)),
)


def lost_exports(measured):
    """The promised exports that are not in `measured`, a set of such keys."""
    promised = [
        (name, known_steps, route.format, route.backend)
        for route in ROUTES
        for name in (*LAYERS, *MODELS)
        for known_steps in route.known_steps
        if name not in route.excluded
    ]
    return [export for export in promised if export not in measured]


def build(name, known_steps):
    """Return a model and its example inputs."""
    if name in MODELS:
        example = examples.BY_NAME[MODELS[name]]
        model = example.make() if known_steps else example.unknown_steps()
        return model, examples.inputs_of(model)
    example = BY_NAME[LAYERS[name]]
    model = everything([example], "own" if known_steps else None)
    # PyTorch's tracer does not accept a dict of outputs.
    model = keras.Model(model.inputs, [*model.output.values()])
    arrays = inputs_of({example.name: example.trial()})
    names = [x.name for x in model.inputs]
    return model, dict(zip(names, arrays, strict=True))
