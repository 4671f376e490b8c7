"""The transforms of torch.func."""

import importlib

import keras
import numpy as np
import pytest

from tests.layers.catalog import SOME, each
from tests.layers.checks import assert_all_close, assert_close
from tests.layers.test_composition import apply, tensors_of
from tests.layers.trial import arrays_of

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "torch", reason="transforms of PyTorch"
    ),
    # PyTorch imports what it deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]


@each([e for e in SOME if not e.layer.measured])
def test_torch_func(example):
    torch = importlib.import_module("torch")
    trial = example.trial()
    layer = trial.built()
    given = tensors_of(trial)
    is_named = isinstance(given, dict)
    tensors = [*given.values()] if is_named else given

    def compute(*tensors):
        tensors = [*tensors]
        if is_named:
            tensors = dict(zip(given, tensors, strict=True))
        return keras.tree.flatten(apply(layer, tensors))[0]

    def single(*row):
        return compute(*(x[None] for x in row))[0]

    with torch.no_grad():
        expected = compute(*tensors)
        got = torch.func.vmap(single)(*tensors)
    assert_all_close(arrays_of([got]), arrays_of([expected]))

    def total(x):  # of each output feature
        outputs = compute(x, *tensors[1:])
        return outputs.reshape(-1, outputs.shape[-1]).sum(0)

    x = tensors[0]
    expected = torch.autograd.functional.jacobian(total, x)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        got = transform(total)(x)
        assert_close(got.detach().numpy(), expected.numpy(), "gradients")
        assert np.any(expected.numpy() != 0)
