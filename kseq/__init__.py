"""DeepCTR's sequence layers on Keras 3.

Written once on ``keras.ops``; TensorFlow, PyTorch and JAX (NumPy and OpenVINO
to predict) are chosen by ``KERAS_BACKEND``.
"""

from kseq import layers as layers
from kseq import ops as ops

__version__ = "0.1.0"
