"""NaN or infinity in a valid step changes its own example's result only."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.layers.catalog import FEWER, MASK, each
from tests.support import once

BACKEND = keras.backend.backend()
POSITION = (1, 2)  # a valid step of example 1
OTHERS = np.arange(len(MASK)) != POSITION[0]
# Layers whose maximum ignores NaN: "NaN among numbers" in
# docs/reliability/differences.md.
NAN_IGNORED = {
    "openvino": ("SequencePoolingLayer", "KMaxPooling"),
    "tensorflow": ("KMaxPooling",),
}
EXAMPLES = [e for e in FEWER if e.layer.masks and not e.layer.measured]


def trials(example, value):
    """A trial, and the same with a value in a step of each sequence."""
    trial = example.trial(masks=True)
    features = {n: x.copy() for n, x in trial.features.items()}
    for name in trial.masks:
        features[name][POSITION] = value
    return trial, replace(trial, features=features)


@each(EXAMPLES)
@pytest.mark.parametrize("value", [np.nan, once(np.inf)])
def test_outputs_of_other_examples_are_unchanged(value, example):
    trial, changed = trials(example, value)
    layer = trial.built()
    expected = trial.run(layer)
    with np.errstate(invalid="ignore"):  # the NumPy backend warns
        found = changed.run(layer)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got[OTHERS], want[OTHERS])
    ignored = NAN_IGNORED.get(BACKEND, ())
    if np.isnan(value) and example.layer.name not in ignored:
        assert np.isnan(found[0][POSITION[0]]).any()
