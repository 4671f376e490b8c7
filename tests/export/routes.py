"""What is exported, and the routes that docs/export.md promises."""

from typing import NamedTuple

from tests.export.models import LAYERS, MODELS

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


ROUTES = (
    Route("SavedModel", "tf_saved_model", "tensorflow", (True, False)),
    Route("ONNX", "onnx", "torch", (True,)),
    Route("ONNX", "onnx", "tensorflow", (True, False), ("KMaxPooling",)),
    Route("OpenVINO", "openvino", "torch", (True,)),
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
