"""The runtimes of exported models, one class each: files are run by these.

A runtime takes the arrays of a model's inputs in the model's order and gives
those of its outputs. Nothing is imported before it is needed, and not by an
import statement: kseq depends on none of these.
"""

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kseq.export.report import ExportError

Arrays = list[np.ndarray[Any, Any]]


class Runtime(Protocol):
    def __call__(self, arrays: Arrays) -> Arrays: ...


def needed(module: str, package: str, what: str) -> Any:
    """A module, or an error that names what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"{what} needs {package}: pip install {package} ({error})"
        ) from error


class SavedModel:
    """TensorFlow, by the signature that servers call."""

    def __init__(self, path: Path, names: Sequence[str], inputs: Any) -> None:
        self._tensorflow = needed(
            "tensorflow", "tensorflow", "to run a SavedModel"
        )
        self._loaded = self._tensorflow.saved_model.load(str(path))
        self._call = self._loaded.signatures["serving_default"]
        _, self._given = self._call.structured_input_signature
        self._places = places([*self._given], names)

    def __call__(self, arrays: Arrays) -> Arrays:
        constant = self._tensorflow.constant
        outputs = self._call(
            **{
                name: constant(arrays[place])
                for name, place in zip(self._given, self._places, strict=True)
            }
        )
        return [outputs[name].numpy() for name in in_order(outputs)]


class OnnxRuntime:
    """ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, names: Sequence[str], inputs: Any) -> None:
        runtime = needed("onnxruntime", "onnxruntime", "to run an ONNX file")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised as well
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._given = [x.name for x in self._session.get_inputs()]
        self._places = places(self._given, names)

    def __call__(self, arrays: Arrays) -> Arrays:
        feed = {
            name: arrays[place]
            for name, place in zip(self._given, self._places, strict=True)
        }
        return list(self._session.run(None, feed))


class OpenVino:
    """OpenVINO, on the CPU, in float32: by itself it may take bfloat16."""

    def __init__(self, path: Path, names: Sequence[str], inputs: Any) -> None:
        runtime = needed("openvino", "openvino", "to run an OpenVINO file")
        core = runtime.Core()
        model = core.read_model(str(path))
        self._compiled = core.compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        given = [
            next(iter(x.get_names()), str(i))
            for i, x in enumerate(model.inputs)
        ]
        self._places = places(given, names)

    def __call__(self, arrays: Arrays) -> Arrays:
        found = self._compiled([arrays[place] for place in self._places])
        return [np.array(found[i]) for i in range(len(found))]


class LiteRT:
    """LiteRT's interpreter, with no operations of TensorFlow beside its own."""

    def __init__(self, path: Path, names: Sequence[str], inputs: Any) -> None:
        runtime = needed(
            "ai_edge_litert.interpreter", "ai-edge-litert", "to run LiteRT"
        )
        self._interpreter = runtime.Interpreter(model_path=str(path))
        # It lets no interpreter stay with operations that it does not have.
        self._run = self._interpreter.get_signature_runner()
        self._given = [*self._run.get_input_details()]
        self._places = places(self._given, names)

    def __call__(self, arrays: Arrays) -> Arrays:
        outputs = self._run(
            **{
                name: arrays[place]
                for name, place in zip(self._given, self._places, strict=True)
            }
        )
        return [outputs[name] for name in in_order(outputs)]


class TorchExport:
    """PyTorch, an exported program."""

    def __init__(self, path: Path, names: Sequence[str], inputs: Any) -> None:
        self._torch = needed("torch", "torch", "to run a .pt2 file")
        self._call = self._torch.export.load(str(path)).module()
        self._inputs = inputs

    def __call__(self, arrays: Arrays) -> Arrays:
        tensors = [self._torch.from_numpy(x.copy()) for x in arrays]
        with self._torch.no_grad():
            outputs = self._call(
                keras.tree.pack_sequence_as(self._inputs, tensors)
            )
        return [x.numpy() for x in keras.tree.flatten(outputs)]


def free_sizes(signature: Any) -> Any:
    """The sizes that are not known, as `torch.export` takes a model's."""
    free = needed("torch", "torch", "to export a .pt2 file").export.Dim.DYNAMIC
    return [
        tuple(
            keras.tree.map_structure(
                lambda spec: {
                    axis: free
                    for axis, size in enumerate(spec.shape)
                    if size is None
                },
                signature,
            )
        )
    ]


def places(given: Sequence[str], names: Sequence[str]) -> list[int]:
    """Which of the model's inputs each of a file's is: by name, or in order."""
    plain = [
        name.removeprefix("serving_default_").partition(":")[0]
        for name in given
    ]
    if len({*plain}) == len(plain) and {*plain} <= {*names}:
        return [names.index(name) for name in plain]
    if len(given) != len(names):
        raise ExportError(
            f"the file has the inputs {[*given]}, and the model {[*names]}"
        )
    # Some exporters number them; names of arguments come sorted.
    order = in_order(given)
    if len({*order}) == len(order):
        return [order.index(name) for name in given]
    return list(range(len(names)))


def in_order(names: Any) -> list[str]:
    """Names sorted, output_10 behind output_9."""
    return sorted(
        names,
        key=lambda name: [
            int(part) if part.isdigit() else part
            for part in re.split(r"(\d+)", name)
        ],
    )
