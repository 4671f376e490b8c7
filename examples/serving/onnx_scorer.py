from pathlib import Path

import onnxruntime

from serving.ranker import Scorer


def onnx_scorer(model: Path) -> Scorer:
    """Return a scorer that runs an ONNX file with onnxruntime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one core each for concurrent requests
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return lambda features: session.run(None, features)[0]
