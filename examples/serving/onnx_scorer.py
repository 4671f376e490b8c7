from pathlib import Path

import onnxruntime

from serving.ranker import Scorer


def onnx_scorer(model: Path) -> Scorer:
    """A model's file, run by onnxruntime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a core a request: they come together
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return lambda features: session.run(None, features)[0]
