"""PyTorch's forms by groups and by rows: the same however they are cut."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
    Transformer,
)

if keras.backend.backend() != "torch":
    pytest.skip("the forms are PyTorch's", allow_module_level=True)
if probes.device() != "cpu":
    pytest.skip("the forms are for a CPU", allow_module_level=True)

import torch

from kseq.ops.backends import torch_groups, torch_select
from tests.ops.unequal import MASK, QUERY, RNG, X

SCORES = RNG.random((6, 5, 1))
LAYERS = {
    "din": (AttentionSequencePoolingLayer, {}, [QUERY, X], [None, MASK]),
    "din-normalized": (
        AttentionSequencePoolingLayer,
        {"weight_normalization": True},
        [QUERY, X],
        [None, MASK],
    ),
    "transformer": (
        Transformer,
        {"att_embedding_size": 2, "head_num": 2, "output_type": None},
        [X, X],
        [MASK, MASK],
    ),
    "transformer-blinding": (
        Transformer,
        {"att_embedding_size": 2, "head_num": 2, "blinding": True},
        [X, X],
        [MASK, MASK[::-1]],
    ),
    "transformer-additive": (
        Transformer,
        {
            "att_embedding_size": 2,
            "head_num": 2,
            "attention_type": "additive",
            "output_type": None,
        },
        [X, X],
        [MASK, MASK[::-1]],
    ),
    "augru": (
        DynamicGRU,
        {"num_units": 3, "gru_type": "AUGRU"},
        [X, SCORES],
        [MASK, None],
    ),
    "gru-last": (
        DynamicGRU,
        {"num_units": 3, "return_sequence": False},
        [X],
        [MASK],
    ),
    "bilstm": (BiLSTM, {"units": 3, "dropout_rate": 0.0}, [X], [MASK]),
}


def results(name, spoilt=X):
    """Output and gradients of the inputs and the weights, in float64."""
    make, config, arrays, masks = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = make(**config, dtype="float64")
    inputs = [
        ops.convert_to_tensor(spoilt if x is X else x, "float64")
        for x in arrays
    ]
    masks = [None if m is None else ops.convert_to_tensor(m) for m in masks]
    if len(inputs) == 1:
        inputs, masks = inputs[0], masks[0]
    kwargs = {"mask": masks}
    output = layer(inputs, **kwargs)
    upstream = np.random.default_rng(1).normal(size=tuple(output.shape))
    gradients = probes.gradients(
        layer,
        inputs,
        kwargs,
        [ops.convert_to_tensor(upstream, "float64")],
        compiled=False,
    )
    return [output, *keras.tree.flatten(gradients)]


@pytest.mark.parametrize("most", [1, 100])
@pytest.mark.parametrize("name", LAYERS)
def test_groups_of_any_size_give_the_same(name, most, monkeypatch):
    # Where a call would be compiled, nothing is cut.
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    whole = results(name)
    monkeypatch.undo()
    monkeypatch.setattr(torch_groups, "MOST", most)
    for got, expected in zip(results(name), whole, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(got),
            ops.convert_to_numpy(expected),
            rtol=1e-12,
            atol=1e-12,
        )


@pytest.mark.parametrize("most", [1, 100])
@pytest.mark.parametrize("name", LAYERS)
def test_nan_that_counts_stays_in_its_example(name, most, monkeypatch):
    monkeypatch.setattr(torch_groups, "MOST", most)
    spoilt = X.copy()
    spoilt[3, 2] = np.nan
    others = np.arange(len(X)) != 3
    got, whole = (
        ops.convert_to_numpy(results(name, x)[0]) for x in (spoilt, X)
    )
    np.testing.assert_allclose(got[others], whole[others], rtol=1e-12)
    assert np.isnan(got[3]).any()


def test_groups_are_cut_to_their_longest_and_hold_all():
    groups = torch_groups.of_like_length([torch.tensor(MASK)], numbers=20)
    assert [g.longest for g in groups] == [[5]]
    groups = torch_groups.of_like_length([torch.tensor(MASK)], numbers=1 << 18)
    assert [g.longest for g in groups] == [[1], [3], [4], [4], [5]]
    rows = torch.cat([g.rows for g in groups])
    assert sorted(rows.tolist()) == list(range(6))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_bits_are_kept_and_gradients_too(dtype):
    x = torch.tensor([[[1.5], [float("nan")], [-2.0]]], dtype=dtype)
    x.requires_grad_()
    valid = torch.tensor([[True, False, True]])
    kept = torch_select.fill_steps(x, valid[..., None])
    assert kept[0, :, 0].tolist() == [1.5, 0.0, -2.0]
    (once,) = torch.autograd.grad((kept**2).sum(), x, create_graph=True)
    assert once[0, :, 0].tolist() == [3.0, 0.0, -4.0]
    (twice,) = torch.autograd.grad(once.sum(), x)
    assert twice[0, :, 0].tolist() == [2.0, 0.0, 2.0]


def test_gradients_of_functions_are_to_be_had():
    layer = AttentionSequencePoolingLayer((3,), dtype="float64")
    x, query = torch.tensor(X), torch.tensor(QUERY)
    mask = torch.tensor(MASK)

    def total(x):
        return layer([query, x], mask=[None, mask]).sum()

    got = torch.func.grad(total)(x)
    (expected,) = torch.autograd.grad(total(x.requires_grad_()), x)
    np.testing.assert_allclose(got.detach(), expected, rtol=1e-12, atol=1e-12)


# PyTorch's own, of its first use.
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_tangents_go_through():
    layer = AttentionSequencePoolingLayer((3,), dtype="float64")
    x, query = torch.tensor(X), torch.tensor(QUERY)

    def pool(x):
        return layer([query, x], mask=[None, torch.tensor(MASK)])

    tangent = torch.tensor(RNG.normal(size=X.shape))
    _, got = torch.func.jvp(pool, (x,), (tangent,))
    step = 1e-6
    ahead, behind = pool(x + step * tangent), pool(x - step * tangent)
    expected = ((ahead - behind) / (2 * step)).detach()
    np.testing.assert_allclose(got.detach(), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_traced_holds_for_other_lengths(name):
    make, config, arrays, masks = LAYERS[name]
    at = next(i for i, m in enumerate(masks) if m is not None)

    class Model(torch.nn.Module):  # so that the weights are its own
        def __init__(self):
            super().__init__()
            self.layer = make(**config)

        def forward(self, mask, *inputs):
            given = [None if m is None else mask for m in masks]
            if len(inputs) == 1:
                return self.layer(inputs[0], mask=given[0])
            return self.layer(list(inputs), mask=given)

    model = Model()
    inputs = [torch.tensor(x, dtype=torch.float32) for x in arrays]
    example = torch.tensor(masks[at]), *inputs
    model(*example)  # builds it
    traced = torch.jit.trace(model, example, check_trace=False)
    other = torch.tensor(masks[at][::-1].copy())
    np.testing.assert_allclose(
        traced(other, *inputs).detach(),
        model(other, *inputs).detach(),
        rtol=1e-5,
        atol=1e-6,
    )
