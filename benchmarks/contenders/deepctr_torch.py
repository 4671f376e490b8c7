"""deepctr-torch 0.3.0's layers.

- DIN scores one candidate. For several, the history is repeated.
- Its AUGRU cell differs (the reset gate is applied after the product, attention
  as in the paper) and has its own weights, so it takes as much computation but
  gives different numbers. It is called as in DIEN.
- Pooling by max fails: with lengths it subtracts a bool mask from 1, which
  PyTorch rejects.
"""

import torch
from deepctr_torch.layers.sequence import (
    AttentionSequencePoolingLayer,
    DynamicGRU,
    SequencePoolingLayer,
)
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FRAMEWORK = "torch"


def din(workload, weights):
    layer = AttentionSequencePoolingLayer(
        workload["hidden_units"], embedding_dim=workload.dim
    )
    hidden = [f"dnn.linears.{i}" for i in range(len(workload["hidden_units"]))]
    names = [
        *("dense.weight", "dense.bias"),
        *(f"{name}.weight" for name in hidden),
        *(f"{name}.bias" for name in hidden),
    ]

    def call(inputs, variables, training):
        # PyTorch transposes kernels.
        parameters = {
            f"local_att.{name}": v.t()
            for name, v in zip(names, variables, strict=True)
        }
        pooled = torch.func.functional_call(
            layer, parameters, _repeat_history(*inputs)
        )
        return pooled.view(inputs[0].shape)

    return call, [torch.from_numpy(w).requires_grad_() for w in weights]


def _repeat_history(query, keys, lengths):
    """One example for each candidate."""
    candidates, dim = query.shape[1:]
    if candidates == 1:
        return query, keys, lengths
    return (
        query.reshape(-1, 1, dim),
        keys.repeat_interleave(candidates, 0),
        lengths.repeat_interleave(candidates, 0),
    )


def augru(workload, weights):
    layer = DynamicGRU(workload.dim, workload.units, gru_type="AUGRU")
    names, variables = zip(*layer.named_parameters(), strict=True)
    torch.manual_seed(0)
    for v in variables:
        if v.ndim == 2:  # the layer does not initialise them
            torch.nn.init.normal_(v, std=v.shape[1] ** -0.5)

    def call(inputs, variables, training):
        x, lengths, scores = inputs
        lengths = lengths[:, 0]
        packed = tuple(
            pack_padded_sequence(
                values, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            for values in (x, scores)
        )
        parameters = dict(zip(names, variables, strict=True))
        states, _ = pad_packed_sequence(
            torch.func.functional_call(layer, parameters, packed),
            batch_first=True,
            total_length=workload.steps,
        )
        steps = torch.arange(workload.steps, device=x.device)
        return states[steps == lengths[:, None] - 1][:, None]

    return call, [*variables]


def pooling(workload, weights):
    layer = SequencePoolingLayer(workload["mode"])
    return lambda inputs, variables, training: layer(inputs), []
