"""Export formats: names, suffixes, runtimes and required packages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kseq.checks import Unquoted, check_one_of, raise_invalid
from kseq.export.examples import Inputs
from kseq.export.runtimes import (
    Runtime,
    load_litert,
    load_onnx,
    load_openvino,
    load_saved_model,
    load_torch,
)
from kseq.installed import is_installed


@dataclass(frozen=True)
class Format:
    """An export format.

    Args:
        name: the name that Keras uses.
        suffix: the suffix of its files; empty for a folder.
        load: loads a file, given its path and the model's inputs.
        needs: the packages that `load` imports.
        backend: the backend that exports every layer and model of kseq to this
            format (docs/export.md).
        option: the argument of `export` that this backend requires for it.
        exporters: the packages that Keras's exporter imports, by backend.
    """

    name: str
    suffix: str
    load: Callable[[Path, Inputs], Runtime]
    needs: tuple[str, ...]
    backend: str
    option: str = ""
    exporters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def missing_packages(self, backend: str) -> list[str]:
        """The packages to install before exporting from a backend."""
        packages = (*self.exporters.get(backend, ()), *self.needs)
        return [p for p in packages if not is_installed(p.replace("-", "_"))]


FORMATS = (
    Format(
        "tf_saved_model", "", load_saved_model, ("tensorflow",), "tensorflow"
    ),
    Format(
        "onnx",
        ".onnx",
        load_onnx,
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
        load_openvino,
        ("openvino",),
        "torch",
        "steps",
        {"torch": ("scipy",)},
    ),
    Format(
        "litert",
        ".tflite",
        load_litert,
        ("ai-edge-litert",),
        "tensorflow",
        "batch_size",
        {"torch": ("litert-torch",)},
    ),
    Format("torch", ".pt2", load_torch, ("torch",), "torch", "steps"),
)
BY_NAME = {format.name: format for format in FORMATS}


def resolve_format(path: Path, name: Any) -> Format:
    """The named format; if the name is None, the format of the suffix."""
    if name is not None:
        format = BY_NAME[check_one_of("format", name, [*BY_NAME])]
        if format.suffix and path.suffix != format.suffix:
            raise_invalid(
                "path",
                f"a path that ends with {format.suffix}, for {name}",
                str(path),
            )
        return format
    for format in FORMATS:
        if path.suffix == format.suffix:
            return format
    suffixes = ", ".join(format.suffix for format in FORMATS if format.suffix)
    raise_invalid(
        "path",
        f"a path that ends with one of {suffixes}, or has no suffix for a "
        "SavedModel (or pass format=)",
        Unquoted(path),
    )
