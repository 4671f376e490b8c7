"""The formats: as Keras calls them, how files are named, what runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kseq.checks import Unquoted, check_one_of, raise_invalid
from kseq.export import runtimes
from kseq.installed import is_installed


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Args:
        name: what Keras calls it.
        suffix: of its files; none for a folder.
        runtime: loads a file, to be run.
        needs: the packages that this takes.
        backend: every layer and model of kseq gets there from this one
            (docs/export.md),
        option: with this argument of `export`, if any.
        exporters: by backend, the packages that Keras's exporter takes.
    """

    name: str
    suffix: str
    runtime: Callable[..., runtimes.Runtime]
    needs: tuple[str, ...]
    backend: str
    option: str = ""
    exporters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def missing(self, backend: str) -> list[str]:
        """The packages that are to be installed for an export."""
        packages = (*self.exporters.get(backend, ()), *self.needs)
        return [p for p in packages if not is_installed(p.replace("-", "_"))]


FORMATS = (
    Format(
        "tf_saved_model",
        "",
        runtimes.SavedModel,
        ("tensorflow",),
        "tensorflow",
    ),
    Format(
        "onnx",
        ".onnx",
        runtimes.OnnxRuntime,
        ("onnxruntime",),
        "torch",
        "steps",
        {
            "torch": ("onnxscript",),
            "tensorflow": ("tf2onnx",),
            "jax": ("jax2onnx",),
        },
    ),
    Format(
        "openvino",
        ".xml",
        runtimes.OpenVino,
        ("openvino",),
        "torch",
        "steps",
        {"torch": ("scipy",)},
    ),
    Format(
        "litert",
        ".tflite",
        runtimes.LiteRT,
        ("ai-edge-litert",),
        "tensorflow",
        "batch_size",
        {"torch": ("litert-torch",)},
    ),
    Format("torch", ".pt2", runtimes.TorchExport, ("torch",), "torch", "steps"),
)
BY_NAME = {format.name: format for format in FORMATS}


def format_of(path: Path, name: Any) -> Format:
    """The format that was named, or that a path's suffix means."""
    if name is not None:
        found = BY_NAME[check_one_of("format", name, [*BY_NAME])]
        if path.suffix != found.suffix and found.suffix:
            raise_invalid(
                "path",
                f"a path that ends with {found.suffix}, for {name}",
                str(path),
            )
        return found
    for format in FORMATS:
        if path.suffix == format.suffix:
            return format
    suffixes = ", ".join(filter(None, (format.suffix for format in FORMATS)))
    raise_invalid(
        "path",
        f"a path that ends with one of {suffixes}, or with none for a "
        "SavedModel (format= says it in words)",
        Unquoted(str(path)),
    )
