"""The transforms of torch.func."""

import importlib

import keras
import numpy as np
import pytest

from tests.layers.catalog import SOME, each
from tests.layers.test_composition import apply, tensors_of
from tests.support import assert_close

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "torch", reason="transforms of PyTorch"
    ),
    # PyTorch imports what it deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]


@each([e for e in SOME if not e.layer.measured])
def test_jacobians(example):
    """Forward and reverse, which need vmap."""
    torch = importlib.import_module("torch")
    trial = example.trial()
    layer = trial.built()
    tensors = tensors_of(trial)
    first = next(iter(tensors)) if isinstance(tensors, dict) else 0
    x = tensors[first]

    def total(x):  # of each output feature
        given = tensors.copy()
        given[first] = x
        output = keras.tree.flatten(apply(layer, given))[0]
        return output.reshape(-1, output.shape[-1]).sum(0)

    expected = torch.autograd.functional.jacobian(total, x).numpy()
    assert np.any(expected != 0)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        got = transform(total)(x).detach().numpy()
        assert_close(got, expected, "gradients")
