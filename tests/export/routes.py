"""The routes that docs/export.md names, under "The routes".

What one of these says is measured by `tox run -e export`, which fails where it
is refused; `tests/docs` holds the page's prose and its table to them.
"""

from dataclasses import dataclass

from tests.export.models import LAYERS, MODELS


@dataclass(frozen=True)
class Route:
    """Every layer and model goes to a format from a backend.

    Args:
        title: what the page calls the format.
        format: what Keras calls it.
        backend: where the exporter runs.
        known_steps: for which models: True, of a known number of steps; False,
            of any.
        but: what does not go.
    """

    title: str
    format: str
    backend: str
    known_steps: tuple[bool, ...]
    but: tuple[str, ...] = ()

    def cells(self):
        """The keys of the table's cells that must be measured."""
        for name in (*LAYERS, *MODELS):
            for known_steps in self.known_steps:
                if name not in self.but:
                    yield name, known_steps, self.format, self.backend


ROUTES = (
    Route("SavedModel", "tf_saved_model", "tensorflow", (True, False)),
    Route("ONNX", "onnx", "torch", (True,)),
    Route("ONNX", "onnx", "tensorflow", (True, False), ("KMaxPooling",)),
    Route("OpenVINO", "openvino", "torch", (True,)),
    Route("LiteRT", "litert", "tensorflow", (True, False)),
    Route("torch.export", "torch", "torch", (True,)),
)


def lost(measured):
    """What a route promises and was not measured.

    Args:
        measured: name, known steps, format and backend of what was exported and
            computed what its model does.
    """
    return [
        cell
        for route in ROUTES
        for cell in route.cells()
        if cell not in measured
    ]
