"""PyTorch on a CPU: examples of like length together, a few at a time.

A group is cut to its longest sequence, so that most padding is not computed at
all, and is so small that what it computes stays in the processor's cache.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from kseq.types import Tensor, Tensors

# Numbers in a group: 2 MB of float32.
MOST = 1 << 19


class Group(NamedTuple):
    rows: Tensor  # which examples
    longest: list[int]  # of each kind of sequence, at least 1


def by_groups(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    made: tuple[int, ...],
    training: bool | None,  # not only
    gives_steps: bool = False,
) -> Tensor:
    if not all(map(can_group, sequences)):
        return function(*examples, *sequences, *valid)
    groups = of_like_length(list(valid), math.prod(made))
    parts = [cut(x, groups) for x in examples]
    parts += [cut(x, groups, i) for i, x in enumerate(sequences)]
    parts += [cut(x, groups, i) for i, x in enumerate(valid)]
    found = [function(*part) for part in zip(*parts, strict=True)]
    if gives_steps:
        return put(tuple(found), groups, of=0, steps=sequences[0].shape[1])
    return put(tuple(found), groups)


def can_group(x: Tensor) -> bool:
    """Whether what is faster on a CPU, and depends on the data, may be used.

    Not in what is compiled or exported: that holds for other data, too.
    """
    return (
        x.device.type == "cpu"
        and 0 not in x.shape
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def of_like_length(valid: list[Tensor], numbers: int) -> list[Group]:
    """The examples in groups of about `MOST` numbers, or one example.

    Args:
        valid: bool `(batch, steps)`, of each kind of sequence.
        numbers: made of one step, or of one of each kind.
    """
    lengths = torch.stack([last_steps(v) for v in valid], dim=1)
    order = torch.argsort(lengths[:, 0], stable=True)
    lengths = lengths[order]
    # Padded to its longest an example is hardly more, among those like it.
    so_far = torch.cumsum(numbers * lengths.prod(dim=1), dim=0)
    group = (so_far - 1) // MOST
    sizes = torch.unique_consecutive(group, return_counts=True)[1].tolist()
    longest = [part.amax(dim=0).tolist() for part in lengths.split(sizes)]
    return list(map(Group, order.split(sizes), longest))


def last_steps(valid: Tensor) -> Tensor:
    """The place of the last step that counts, from 1; 1 where none does."""
    places = torch.arange(1, valid.shape[1] + 1, dtype=torch.int32)
    return (valid * places).amax(dim=1).clamp(min=1)


def cut(x: Tensor, groups: list[Group], of: int | None = None) -> Tensors:
    """The groups' parts of `(batch, ...)`, or of sequences of the kind `of`."""
    return _Cut.apply(x, [_place(group, of) for group in groups])


def put(
    parts: Tensors, groups: list[Group], of: int | None = None, steps: int = 0
) -> Tensor:
    """What the parts are cut of, with 0 where nothing is: the way back."""
    batch = sum(len(group.rows) for group in groups)
    rest = parts[0].shape[1:] if of is None else (steps, *parts[0].shape[2:])
    places = [_place(group, of) for group in groups]
    return _Put.apply((batch, *rest), places, *parts)


def cut_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Some rows of x, none of them twice."""
    (found,) = _Cut.apply(x, [rows])
    return found


def put_rows(x: Tensor, rows: Tensor, number: int) -> Tensor:
    """`number` rows, of which `rows` are those of x, and the others 0."""
    return _Put.apply((number, *x.shape[1:]), [rows], x)


def _place(group: Group, of: int | None) -> Any:
    return group.rows if of is None else (group.rows, slice(group.longest[of]))


class _Cut(torch.autograd.Function):
    """Parts that have nothing in common.

    The gradient of an index adds, and fills a batch for each part; here there
    is nothing to add, and one batch for all.
    """

    @staticmethod
    def forward(x: Tensor, places: list[Any]) -> Tensors:
        return tuple(x[place] for place in places)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensors) -> None:
        x, ctx.places = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
        return _Put.apply(ctx.shape, ctx.places, *upstream), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensors:
        return _Cut.apply(tangent, ctx.places)


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(shape: Any, places: list[Any], *parts: Tensor) -> Tensor:
        whole = parts[0].new_zeros(shape)
        for part, place in zip(parts, places, strict=True):
            whole[place] = part
        return whole

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.shape, ctx.places, *_ = inputs

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return None, None, *_Cut.apply(upstream, ctx.places)

    @staticmethod
    def jvp(ctx: Any, _: None, __: None, *tangents: Tensor) -> Tensor:
        return _Put.apply(ctx.shape, ctx.places, *tangents)
