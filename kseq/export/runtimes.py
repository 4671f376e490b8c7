"""Load exported files in the runtimes that serve them.

Each loader returns a function from the arrays of the model's inputs to those of
its outputs, both in the model's order. Runtimes are optional: they are imported
by name, and only when they are needed.
"""

import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kseq.export.examples import Arrays, Inputs
from kseq.export.report import ExportError

Runtime = Callable[[Arrays], Arrays]


def import_runtime(module: str, package: str) -> Any:
    """Import a module, or raise an error that names the package to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"this format needs {package}: pip install {package} ({error})"
        ) from error


def load_saved_model(path: Path, inputs: Inputs) -> Runtime:
    """Load a SavedModel in TensorFlow, with the signature that servers call."""
    tensorflow = import_runtime("tensorflow", "tensorflow")
    loaded = tensorflow.saved_model.load(str(path))
    _, specs = loaded.signatures["serving_default"].structured_input_signature
    order = input_order([*specs], inputs.names)

    def run(arrays: Arrays) -> Arrays:
        feed = {
            name: tensorflow.constant(arrays[i])
            for name, i in zip(specs, order, strict=True)
        }
        # `loaded` owns the variables; a signature does not keep them alive.
        outputs = loaded.signatures["serving_default"](**feed)
        return [outputs[name].numpy() for name in sort_naturally(outputs)]

    return run


def load_onnx(path: Path, inputs: Inputs) -> Runtime:
    """Load an ONNX file in ONNX Runtime, on the CPU."""
    runtime = import_runtime("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so do not log them too
    session = runtime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    names = [x.name for x in session.get_inputs()]
    order = input_order(names, inputs.names)

    def run(arrays: Arrays) -> Arrays:
        feed = dict(zip(names, (arrays[i] for i in order), strict=True))
        return list(session.run(None, feed))

    return run


def load_openvino(path: Path, inputs: Inputs) -> Runtime:
    """Load an OpenVINO file on the CPU, in float32."""
    core = import_runtime("openvino", "openvino").Core()
    model = core.read_model(str(path))
    # By default OpenVINO may compute in bfloat16.
    compiled = core.compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    names = [
        next(iter(x.get_names()), str(i)) for i, x in enumerate(model.inputs)
    ]
    order = input_order(names, inputs.names)

    def run(arrays: Arrays) -> Arrays:
        outputs = compiled([arrays[i] for i in order])
        return [np.array(outputs[i]) for i in range(len(outputs))]

    return run


def load_litert(path: Path, inputs: Inputs) -> Runtime:
    """Load a file in LiteRT's interpreter, without TensorFlow's operations."""
    runtime = import_runtime("ai_edge_litert.interpreter", "ai-edge-litert")
    interpreter = runtime.Interpreter(model_path=str(path))
    # Raises if the file uses an operation that the interpreter lacks.
    runner = interpreter.get_signature_runner()
    names = [*runner.get_input_details()]
    order = input_order(names, inputs.names)

    def run(arrays: Arrays) -> Arrays:
        feed = dict(zip(names, (arrays[i] for i in order), strict=True))
        outputs = runner(**feed)
        return [outputs[name] for name in sort_naturally(outputs)]

    return run


def load_torch(path: Path, inputs: Inputs) -> Runtime:
    """Load an exported program in PyTorch."""
    torch = import_runtime("torch", "torch")
    program = torch.export.load(str(path)).module()

    def run(arrays: Arrays) -> Arrays:
        tensors = [torch.from_numpy(x.copy()) for x in arrays]
        with torch.no_grad():
            outputs = program(inputs.pack(tensors))
        return [x.numpy() for x in keras.tree.flatten(outputs)]

    return run


def dynamic_shapes(signature: Any) -> Any:
    """The unknown sizes of a signature, in the form that torch.export takes."""
    dynamic = import_runtime("torch", "torch").export.Dim.DYNAMIC
    shapes = keras.tree.map_structure(
        lambda spec: {
            axis: dynamic for axis, n in enumerate(spec.shape) if n is None
        },
        signature,
    )
    return [tuple(shapes)]


def input_order(file_names: list[str], names: list[str]) -> list[int]:
    """For each input of a file, the index of the model's input.

    Inputs are matched by name, in which TensorFlow replaces "-" by "_". If the
    exporter renamed them, they are matched by position: some exporters number
    the inputs, and runtimes list named arguments alphabetically.
    """
    plain = [
        _plain(name.removeprefix("serving_default_").partition(":")[0])
        for name in file_names
    ]
    known = [*map(_plain, names)]
    is_unique = len({*plain}) == len(plain) and len({*known}) == len(known)
    if is_unique and {*plain} <= {*known}:
        return [known.index(name) for name in plain]
    if len(file_names) != len(names):
        raise ExportError(
            f"the file has the inputs {file_names}, the model {names}"
        )
    if len({*file_names}) < len(file_names):
        return list(range(len(names)))
    by_number = sort_naturally(file_names)
    return [by_number.index(name) for name in file_names]


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def sort_naturally(names: Iterable[str]) -> list[str]:
    """Names in order, output_10 after output_9."""
    return sorted(
        names,
        key=lambda name: [
            int(part) if part.isdigit() else part
            for part in re.split(r"(\d+)", name)
        ],
    )
