"""kseq gives the numbers that DeepCTR 0.9.4 gave, outputs and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

import kseq.layers
from kseq.convert.deepctr import set_layer_weights, weights_in_deepctr_order
from tests.golden.load import RECORDS, cases
from tests.support import gradients

pytestmark = pytest.mark.once

# That the backends' numbers are equal is tested in tests/agreement.
each_case = pytest.mark.parametrize(
    ("layer_name", "case"),
    [
        pytest.param(layer, case, id=f"{layer}-{case.name}")
        for layer in sorted(p.stem for p in RECORDS.glob("*.npz"))
        for case in cases(layer)
    ],
)
OUTPUT, GRADIENT = 2e-5, 1e-4


def arguments(case):
    """DeepCTR's arguments; a layer class stands in the record by its name."""
    return {
        name: getattr(keras.layers, value["layer_class"])
        if isinstance(value, dict)
        else value
        for name, value in case.kwargs.items()
    }


def built(layer_name, case):
    """The layer with the recorded weights, its inputs and call arguments."""
    layer = getattr(kseq.layers, layer_name)(**arguments(case))
    arrays = list(case.inputs.values())
    shapes = [array.shape for array in arrays]
    layer.build_from_config(
        {"input_shape": shapes[0] if case.single_input else shapes}
    )
    set_layer_weights(layer, case.weights)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    kwargs = {}
    if case.masks is not None:
        masks = [
            mask if mask is None else ops.convert_to_tensor(mask)
            for mask in case.masks
        ]
        kwargs["mask"] = masks[0] if case.single_input else masks
    if case.training is not None:
        kwargs["training"] = case.training
    return layer, tensors[0] if case.single_input else tensors, kwargs


def used(layer, recorded):
    """The recorded weights without those that have no effect in DeepCTR."""
    unused = getattr(layer, "unused_deepctr_weights", {}).values()
    return [x for i, x in enumerate(recorded) if i not in unused]


def assert_close(got, expected, scale, limit, name):
    got = np.asarray(ops.convert_to_numpy(got))
    assert got.shape == expected.shape, name
    assert np.abs(got - expected).max(initial=0) <= limit * scale, name


def largest(arrays):
    return max(np.abs(array).max(initial=0) for array in arrays)


@each_case
def test_outputs(layer_name, case):
    layer, inputs, kwargs = built(layer_name, case)
    outputs = keras.tree.flatten(layer(inputs, **kwargs))
    for got, expected, weight in zip(
        outputs, case.outputs, case.cotangents, strict=True
    ):
        # Steps whose cotangents are 0 are padding, for DeepCTR too.
        valid = np.any(weight != 0, axis=-1, keepdims=True)
        got = ops.convert_to_numpy(got) * valid
        expected = expected * valid
        assert_close(got, expected, largest([expected]), OUTPUT, "output")
    after = case.weights if case.weights_after is None else case.weights_after
    own = weights_in_deepctr_order(layer)
    for weight, expected in zip(own, used(layer, after), strict=True):
        assert_close(
            weight.value, expected, largest([expected]), OUTPUT, weight.path
        )


@each_case
def test_gradients(layer_name, case):
    layer, inputs, kwargs = built(layer_name, case)
    cotangents = [ops.convert_to_tensor(c) for c in case.cotangents]
    of_inputs, of_weights = gradients(layer, (inputs,), kwargs, cotangents)
    floats = [n for n, x in case.inputs.items() if x.dtype.kind == "f"]
    of_input = dict(zip(floats, of_inputs, strict=True))
    trainable = [w for w in layer.weights if w.trainable]
    of_weight = dict(zip([w.path for w in trainable], of_weights, strict=True))
    # A gradient that is 0 but for rounding has no scale of its own.
    expected = [g for g in case.grad_inputs.values() if g is not None]
    expected += [g for g in case.grad_weights if g is not None]
    scale = largest(expected)
    for name, gradient in case.grad_inputs.items():
        assert_close(of_input[name], gradient, scale, GRADIENT, name)
    own = weights_in_deepctr_order(layer)
    expected = used(layer, case.grad_weights)
    for weight, gradient in zip(own, expected, strict=True):
        if gradient is not None:
            got = of_weight[weight.path]
            assert_close(got, gradient, scale, GRADIENT, weight.path)
