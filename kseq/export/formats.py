"""The formats: as Keras calls them, how files are named, what runs them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kseq.checks import Words, check_one_of, refuse
from kseq.export import runtimes


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Args:
        name: what Keras calls it.
        suffix: of its files; none for a folder.
        runtime: loads a file, to be run.
        route: how every layer and model of kseq gets there (docs/export.md).
    """

    name: str
    suffix: str
    runtime: Callable[..., runtimes.Runtime]
    route: str


FORMATS = (
    Format(
        "tf_saved_model",
        "",
        runtimes.SavedModel,
        "under KERAS_BACKEND=tensorflow",
    ),
    Format(
        "onnx",
        ".onnx",
        runtimes.OnnxRuntime,
        "under KERAS_BACKEND=torch with a number of steps (steps=)",
    ),
    Format(
        "openvino",
        ".xml",
        runtimes.OpenVino,
        "under KERAS_BACKEND=torch with a number of steps (steps=)",
    ),
    Format(
        "litert",
        ".tflite",
        runtimes.LiteRT,
        "under KERAS_BACKEND=tensorflow with a batch size (batch_size=)",
    ),
    Format(
        "torch",
        ".pt2",
        runtimes.TorchExport,
        "under KERAS_BACKEND=torch with a number of steps (steps=)",
    ),
)
BY_NAME = {format.name: format for format in FORMATS}


def format_of(path: Path, name: Any) -> Format:
    """The format that was named, or that a path's suffix means."""
    if name is not None:
        found = BY_NAME[check_one_of("format", name, [*BY_NAME])]
        if path.suffix != found.suffix and found.suffix:
            refuse(
                "path",
                f"a path that ends with {found.suffix}, for {name}",
                str(path),
            )
        return found
    for format in FORMATS:
        if path.suffix == format.suffix:
            return format
    suffixes = ", ".join(filter(None, (format.suffix for format in FORMATS)))
    refuse(
        "path",
        f"a path that ends with one of {suffixes}, or with none for a "
        "SavedModel (format= says it in words)",
        Words(str(path)),
    )
