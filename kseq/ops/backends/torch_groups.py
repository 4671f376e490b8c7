"""PyTorch on a CPU: examples of like length together, a few at a time.

A group is cut to its longest sequence, so that most padding is not computed at
all, and is so small that what it computes stays in the processor's cache.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from kseq.types import Tensor

Tensors = tuple[Tensor, ...]

# Numbers in a group: 2 MB of float32.
MOST = 1 << 19


class Group(NamedTuple):
    rows: Tensor  # which examples
    longest: list[int]  # of each kind of sequence, at least 1


def by_groups(
    function: Callable[..., Tensors],
    examples: Tensors,
    sequence: Tensor,
    valid: Tensor,
) -> Tensors:
    if not can_group(sequence):
        return function(*examples, sequence, valid)
    groups = of_like_length([valid], math.prod(examples[-1].shape[1:]))
    parts = [cut(x, groups) for x in examples]
    parts += [cut(x, groups, of=0) for x in (sequence, valid)]
    found = [function(*part) for part in zip(*parts, strict=True)]
    return tuple(put(x, groups) for x in zip(*found, strict=True))


def can_group(x: Tensor) -> bool:
    """Whether groups are faster: not where calls are costly, or compiled."""
    return (
        x.device.type == "cpu"
        and 0 not in x.shape
        and not torch.compiler.is_compiling()
    )


def of_like_length(valid: list[Tensor], numbers: int) -> list[Group]:
    """The examples in groups of at most `MOST` numbers, or one example.

    Args:
        valid: bool `(batch, steps)`, of each kind of sequence.
        numbers: made of one step, or of one of each kind.
    """
    lengths = torch.stack([_lengths(v) for v in valid], dim=1)
    order = torch.argsort(lengths[:, 0], stable=True)
    sizes: list[int] = []
    longest: list[list[int]] = []
    for each in lengths[order].tolist():
        if sizes:
            both = [max(pair) for pair in zip(longest[-1], each, strict=True)]
            if (sizes[-1] + 1) * numbers * math.prod(both) <= MOST:
                sizes[-1] += 1
                longest[-1] = both
                continue
        sizes.append(1)
        longest.append(each)
    return list(map(Group, torch.split(order, sizes), longest))


def _lengths(valid: Tensor) -> Tensor:
    """The place of the last step that counts; 1 where none does."""
    places = torch.arange(1, valid.shape[1] + 1, dtype=torch.int32)
    return (valid * places).amax(dim=1).clamp(min=1)


def cut(x: Tensor, groups: list[Group], of: int | None = None) -> Tensors:
    """The groups' parts of `(batch, ...)`, or of sequences of the kind `of`."""
    return _Cut.apply(x, groups, of)


def put(
    parts: Tensors, groups: list[Group], of: int | None = None, steps: int = 0
) -> Tensor:
    """What the parts are cut of, with 0 where nothing is: the way back."""
    batch = sum(len(group.rows) for group in groups)
    first = parts[0].shape[1:] if of is None else (steps, *parts[0].shape[2:])
    return _Put.apply((batch, *first), groups, of, *parts)


def _place(group: Group, of: int | None) -> Any:
    return group.rows if of is None else (group.rows, slice(group.longest[of]))


class _Cut(torch.autograd.Function):
    """Its own, and not an index: whose gradient fills a batch for each part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: list[Group], of: Any) -> Tensors:
        ctx.of_groups = tuple(x.shape), groups, of
        return tuple(x[_place(group, of)] for group in groups)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
        return _Put.apply(*ctx.of_groups, *upstream), None, None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, shape: Any, groups: list[Group], of: Any, *parts: Tensor
    ) -> Tensor:
        ctx.of_groups = groups, of
        whole = parts[0].new_zeros(shape)
        for part, group in zip(parts, groups, strict=True):
            whole[_place(group, of)] = part
        return whole

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return None, None, None, *_Cut.apply(upstream, *ctx.of_groups)
