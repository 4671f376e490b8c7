"""torch.func, and the forms that all backends share."""

import importlib

import keras
import numpy as np
import pytest

from kseq.ops import plain_forms
from tests.layers.catalog import MAIN, each
from tests.layers.checks import assert_all_close, assert_close
from tests.layers.test_composition import arguments, arrays
from tests.layers.trial import arrays_of


@each()
def test_plain_forms_give_equal_values(example):
    trial = example.trial(measured=True)
    layer = trial.built()
    expected = trial.run(layer)
    with plain_forms():
        assert_all_close(trial.run(layer), expected)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="transforms of PyTorch"
)
# PyTorch imports what it deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@each([e for e in MAIN if not e.layer.measured])
def test_torch_func(example):
    torch = importlib.import_module("torch")
    trial = example.trial()
    layer = trial.built()
    tensors = [torch.from_numpy(x) for x in arrays(trial)]

    def compute(*tensors):
        if trial.is_list:
            outputs = layer(list(tensors))
        else:
            names = arguments(trial)
            outputs = layer(**dict(zip(names, tensors, strict=True)))
        return keras.tree.flatten(outputs)[0]

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
