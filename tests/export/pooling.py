"""A small model of histories and their lengths, and inputs for it."""

import keras
import numpy as np

from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import SequencePoolingLayer
from tests.layers.catalog import draw32

STEPS = 6
INPUTS = {"x": draw32("x", 3, STEPS, 2), "lengths": np.array([STEPS, 2, 5])}


def pooling_model(layer=None, steps=None, seed=0):
    x = keras.Input((steps, 2), name="x")
    lengths = keras.Input((), dtype="int32", name="lengths")
    layer = layer or SequencePoolingLayer("mean")
    model = keras.Model([x, lengths], layer([x, lengths]))
    seed_weights(model, seed)
    return model
