"""DeepCTR's sequence layers and models on Keras 3.

The code uses ``keras.ops`` only. Set ``KERAS_BACKEND`` to choose TensorFlow,
PyTorch or JAX, or, for inference, NumPy or OpenVINO.
"""

try:
    from kseq import data as data
    from kseq import feature_column as feature_column
    from kseq import layers as layers
    from kseq import metrics as metrics
    from kseq import models as models
    from kseq import ops as ops
    from kseq import optimizers as optimizers
except ModuleNotFoundError as error:
    from kseq.installed import BACKENDS, is_installed

    missing = str(error.name).partition(".")[0]
    if missing not in BACKENDS:
        raise
    found = ", ".join(filter(is_installed, BACKENDS)) or "none"
    raise ModuleNotFoundError(
        f"the Keras backend {missing!r} is not installed; set KERAS_BACKEND to "
        f"an installed backend before importing Keras (found: {found})",
        name=missing,
    ) from None

__version__ = "0.1.0"
