"""PyTorch on a CPU: a Python loop that skips finished sequences.

Sequences are sorted by length, longest first, so that those which still have
steps are the first rows.
"""

from typing import Any

import torch

from kseq.ops.backends import unrolled_loop
from kseq.ops.backends.torch_buckets import (
    can_depend_on_data,
    cut_rows,
    last_steps,
    put_rows,
)
from kseq.types import Tensor, Tensors


def loop(
    step: Any,
    sequences: Tensors,
    states: Tensors,
    weights: Tensors,
    recompute: bool = False,
    valid: Tensor | None = None,
    projection: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensors]:
    if valid is None or recompute or not can_depend_on_data(valid):
        return unrolled_loop.loop(
            step, sequences, states, weights, recompute, valid, projection
        )
    batch, steps = valid.shape
    lengths = last_steps(valid)
    order = torch.argsort(lengths, descending=True)
    unfinished = lengths[order] > torch.arange(steps)[:, None]
    at_step, at = unfinished.nonzero(as_tuple=True)
    rows = order[at] * steps + at_step  # of all steps of all sequences
    sizes = unfinished.sum(dim=1).tolist()

    packed = [cut_rows(x.flatten(0, 1), rows) for x in sequences]
    if projection is not None:
        kernel, bias = projection
        packed[0] = packed[0] @ kernel + bias
    by_step = (torch.split(x, sizes) for x in packed)
    states = tuple(cut_rows(x, order) for x in states)
    outputs, finished = [], []
    for size, *inputs in zip(sizes, *by_step, strict=True):
        if size == 0:
            break
        finished.append([x[size:] for x in states])
        states = step(tuple(inputs), tuple(x[:size] for x in states), weights)
        outputs.append(states[0])
    finished.append(list(states))
    output = put_rows(torch.cat(outputs), rows, batch * steps)
    finals = (torch.cat(x[::-1]) for x in zip(*finished, strict=True))
    return (
        output.unflatten(0, (batch, steps)),
        tuple(put_rows(x, order, batch) for x in finals),
    )
