"""Gradients of layers and functions on the backend in use."""

import keras
import numpy as np

from kseq.agreement import probes
from kseq.agreement.measure import to_numpy


def gradients(function, args, kwargs, cotangents, compiled=False):
    """Return the gradients of the sum of the outputs times cotangents.

    Returns:
        Those of floating-point arguments, and those of trainable weights.
    """
    found = probes.gradients(function, args, kwargs, cotangents, compiled)
    inputs = probes.float_tensors((args, kwargs))
    layers = [function] if isinstance(function, keras.Layer) else []
    weights = [w for x in layers for w in x.weights if w.trainable]
    groups = zip((inputs, weights), zip(*found, strict=True), strict=True)
    return tuple(
        [total(x, each) for x, *each in zip(group, *per_output, strict=True)]
        for group, per_output in groups
    )


def total(x, gradients):
    given = [to_numpy(g) for g in gradients if g is not None]
    return np.sum(given, axis=0) if given else np.zeros(tuple(x.shape))
