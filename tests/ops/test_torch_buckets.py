"""PyTorch's own forms: buckets, select by bits, transforms and tracing."""

import keras
import pytest

from kseq.agreement import probes

if keras.backend.backend() != "torch":
    pytest.skip("the forms are PyTorch's", allow_module_level=True)
if probes.device() != "cpu":
    pytest.skip("the forms are for a CPU", allow_module_level=True)

import torch

from kseq.ops import plain_forms
from kseq.ops.backends import torch_attention, torch_buckets, torch_select
from tests.ops.examples import BY_NAME
from tests.ops.unequal import (
    ARRAYS,
    LAYERS,
    assert_close,
    each_function,
    in_buckets,
)
from tests.support import gradients

# PyTorch's own, at first use.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script:DeprecationWarning"
)
TENSORS = [torch.tensor(a) for a in ARRAYS]


def differentiated(function, tensors):
    """The output and its gradients, and those of the gradients."""
    leaves = [x.clone().requires_grad_() for x in tensors[:3]]
    output = function([*leaves, *tensors[3:]])
    weights = torch.arange(output.numel()).reshape(output.shape) / 10
    once = torch.autograd.grad(
        (output**2 * weights).sum(), leaves, create_graph=True
    )
    twice = torch.autograd.grad(sum((g**2).sum() for g in once), leaves)
    return [output, *once, *twice]


@each_function
@pytest.mark.parametrize(
    ("size", "steps"), [(1, [1, 1, 3, 4, 4, 5]), (20, [4, 5])]
)
def test_buckets_give_what_the_whole_batch_gives(
    function, sequence, size, steps, monkeypatch
):
    """Each is cut to its longest sequence."""
    monkeypatch.setattr(torch_buckets, "MAX_BUCKET_ELEMENTS", size)
    _, calls = in_buckets(function, sequence, TENSORS)
    assert [x.shape[1] for _, x, *_ in calls] == steps
    got = differentiated(
        lambda t: in_buckets(function, sequence, t)[0], TENSORS
    )
    assert_close(got, differentiated(lambda t: function(*t), TENSORS))


@each_function
def test_padding_and_nan_of_another_example_have_no_effect(
    function, sequence, monkeypatch
):
    monkeypatch.setattr(torch_buckets, "MAX_BUCKET_ELEMENTS", 10)
    expected, _ = in_buckets(function, sequence, TENSORS)
    example, x, *rest = TENSORS
    x = x.masked_fill(~TENSORS[3][..., None], float("nan"))
    got, _ = in_buckets(function, sequence, [example, x, *rest])
    assert_close([got], [expected])
    x[3, 2] = float("nan")  # a valid step
    got, _ = in_buckets(function, sequence, [example, x, *rest])
    others = torch.arange(6) != 3
    assert_close([got[others]], [expected[others]])
    assert got[3].isnan().any()


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_buckets(name, size, monkeypatch):
    layer_class, config, arrays, masks = LAYERS[name]
    layer = layer_class(**config, dtype="float64")
    inputs = [torch.tensor(x) for x in arrays]
    masks = [None if m is None else torch.tensor(m) for m in masks]
    kwargs = {"mask": masks}
    cotangents = [torch.ones_like(layer(inputs, **kwargs))]

    def results():
        found = gradients(layer, (inputs,), kwargs, cotangents)
        return [layer(inputs, **kwargs), *keras.tree.flatten(found)]

    with plain_forms():
        whole = results()
    monkeypatch.setattr(torch_buckets, "MAX_BUCKET_ELEMENTS", size)
    calls = []
    cut = torch_buckets.cut
    monkeypatch.setattr(
        torch_buckets, "cut", lambda *a: calls.append(a) or cut(*a)
    )
    assert_close(results(), whole)
    assert calls


def test_plain_forms_and_compilers_avoid_the_forms_of_the_backend(monkeypatch):
    class Used(Exception):
        pass

    def fail(*arguments, **options):
        raise Used

    monkeypatch.setattr(torch_buckets, "MAX_BUCKET_ELEMENTS", 1)
    for owner, name in (
        (torch, "lstm"),
        (torch_attention, "scaled_dot_product_attention"),
        (torch_select._KeepBits, "apply"),
        (torch_buckets._Cut, "apply"),
    ):
        monkeypatch.setattr(owner, name, fail)

    calls = [lambda: in_buckets(lambda *parts: parts[0], False, TENSORS)]
    for name in ("lstm", "gru", "masked_sum", "multi_head_attention-cos"):
        example = BY_NAME[name]
        tensors = keras.tree.map_structure(torch.tensor, example.arrays())
        calls.append(lambda e=example, t=tensors: e(**t))
    for call in calls:
        with plain_forms():
            call()
        with monkeypatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            call()
        with pytest.raises(Used):
            call()


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_a_select_by_bits_and_its_gradients(dtype):
    x = torch.tensor([[[1.5], [float("nan")], [-2.0]]], dtype=dtype)
    x.requires_grad_()
    valid = torch.tensor([[True, False, True]])
    kept = torch_select.fill_steps(x, valid[..., None])
    assert kept[0, :, 0].tolist() == [1.5, 0.0, -2.0]
    (once,) = torch.autograd.grad((kept**2).sum(), x, create_graph=True)
    assert once[0, :, 0].tolist() == [3.0, 0.0, -4.0]
    (twice,) = torch.autograd.grad(once.sum(), x)
    assert twice[0, :, 0].tolist() == [2.0, 0.0, 2.0]
