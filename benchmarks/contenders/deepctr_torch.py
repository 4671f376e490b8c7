"""deepctr-torch 0.3.0's layers.

- DIN scores one candidate: for more, the history is repeated.
- Its AUGRU is another cell (the reset gate after the product, the attention as
  in the paper) with weights that it draws itself: as much work, but not the
  same numbers. It is used as in DIEN.
- Pooling by max fails: with lengths it subtracts a bool mask from 1, which
  PyTorch refuses.
"""

import torch
from deepctr_torch.layers.sequence import (
    AttentionSequencePoolingLayer,
    DynamicGRU,
    SequencePoolingLayer,
)
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FRAMEWORK = "torch"


def din(work, weights):
    layer = AttentionSequencePoolingLayer(
        work["hidden_units"], embedding_dim=work.dim
    )
    hidden = [f"dnn.linears.{i}" for i in range(len(work["hidden_units"]))]
    names = [
        *("dense.weight", "dense.bias"),
        *(f"{name}.weight" for name in hidden),
        *(f"{name}.bias" for name in hidden),
    ]

    def call(inputs, variables, training):
        # PyTorch's kernels are the transposed ones.
        parameters = {
            f"local_att.{name}": v.t()
            for name, v in zip(names, variables, strict=True)
        }
        found = torch.func.functional_call(
            layer, parameters, _one_each(*inputs)
        )
        return found.view(inputs[0].shape)

    return call, [torch.from_numpy(w).requires_grad_() for w in weights]


def _one_each(query, keys, lengths):
    """An example for each candidate."""
    candidates, dim = query.shape[1:]
    if candidates == 1:
        return query, keys, lengths
    return (
        query.reshape(-1, 1, dim),
        keys.repeat_interleave(candidates, 0),
        lengths.repeat_interleave(candidates, 0),
    )


def augru(work, weights):
    layer = DynamicGRU(work.dim, work.units, gru_type="AUGRU")
    variables = list(layer.parameters())
    torch.manual_seed(0)
    for v in variables:
        if v.ndim == 2:  # the layer leaves them as memory was
            torch.nn.init.normal_(v, std=v.shape[1] ** -0.5)

    def call(inputs, variables, training):
        x, lengths, scores = inputs
        lengths = lengths[:, 0]
        packed, packed_scores = (
            pack_padded_sequence(
                values, lengths, batch_first=True, enforce_sorted=False
            )
            for values in (x, scores)
        )
        states, _ = pad_packed_sequence(
            layer(packed, packed_scores),
            batch_first=True,
            total_length=work.steps,
        )
        last = torch.arange(work.steps) == lengths[:, None] - 1
        return states[last][:, None]

    return call, variables


def pooling(work, weights):
    layer = SequencePoolingLayer(work["mode"])
    return lambda inputs, variables, training: layer(inputs), []
