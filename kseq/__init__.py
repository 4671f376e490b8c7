"""DeepCTR's sequence layers and models on Keras 3.

Written once on ``keras.ops``; TensorFlow, PyTorch and JAX (NumPy and OpenVINO
to predict) are chosen by ``KERAS_BACKEND``.
"""

from kseq.installed import import_keras as _import_keras

_import_keras()  # what lacks a backend should say so, and which there are

from kseq import feature_column as feature_column
from kseq import layers as layers
from kseq import models as models
from kseq import ops as ops

__version__ = "0.1.0"
