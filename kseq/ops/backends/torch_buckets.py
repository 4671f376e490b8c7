"""PyTorch on a CPU: process examples of similar length in small buckets.

A bucket is cut to its longest sequence, so that most padding is not computed,
and is so small that its intermediate results stay in the processor's cache.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from kseq.ops.backends.plain import only_plain
from kseq.types import Tensor, Tensors

# Numbers in a bucket, not counting padding: at most 2 MB of float32. Batches of
# more numbers, with padding, are split at least into four: short sequences
# have the most padding; but a bucket costs about a millisecond of a training
# step, which smaller batches do not gain.
MAX_BUCKET_ELEMENTS = 1 << 19
MIN_BUCKET_ELEMENTS = 1 << 15
MIN_BUCKETS = 4


class Bucket(NamedTuple):
    rows: Tensor  # which examples
    longest: list[int]  # the steps of each kind of sequence, at least 1


def map_buckets(
    function: Callable[..., Tensor],
    examples: Tensors,
    sequences: Tensors,
    valid: Tensors,
    elements_per_step: int,
    training: bool | None,  # in inference too
    returns_sequence: bool = False,
) -> Tensor:
    tensors = (*examples, *sequences, *valid)
    if not all(map(can_depend_on_data, sequences)):
        return function(*tensors)
    elements = elements_per_step * len(sequences[0])
    for sequence in sequences:
        elements *= sequence.shape[1]
    if elements <= MAX_BUCKET_ELEMENTS:
        return function(*tensors)
    buckets = bucket_by_length(list(valid), elements_per_step)
    parts = [cut(x, buckets) for x in examples]
    parts += [cut(x, buckets, i) for i, x in enumerate(sequences)]
    parts += [cut(x, buckets, i) for i, x in enumerate(valid)]
    results = tuple(function(*part) for part in zip(*parts, strict=True))
    if returns_sequence:
        return put(results, buckets, kind=0, steps=sequences[0].shape[1])
    return put(results, buckets)


def can_depend_on_data(x: Tensor) -> bool:
    """Whether a form that is faster on a CPU and depends on data may be used.

    Not under compilation, export or `torch.func`'s transforms, whose result
    must hold for other data too.
    """
    return (
        x.device.type == "cpu"
        and 0 not in x.shape
        and not torch.compiler.is_compiling()
        and not only_plain()  # a context variable, which Dynamo cannot trace
        and not torch.jit.is_tracing()
        # PyTorch has no public function that tells.
        and torch._C._functorch.maybe_current_level() is None
    )


def bucket_by_length(
    valid: list[Tensor], elements_per_step: int
) -> list[Bucket]:
    """Buckets of similar size: at most about `MAX_BUCKET_ELEMENTS`.

    An example of more numbers is a bucket of its own.

    Args:
        valid: bool `(batch, steps)` of each kind of sequence.
        elements_per_step: see `map_buckets`.
    """
    lengths = torch.stack([last_steps(v) for v in valid], dim=1)
    order = torch.argsort(lengths[:, 0], stable=True)
    lengths = lengths[order]
    # Among examples of similar length padding adds little to this sum.
    so_far = torch.cumsum(elements_per_step * lengths.prod(dim=1), dim=0)
    share = int(so_far[-1]) // MIN_BUCKETS + 1
    size = min(max(share, MIN_BUCKET_ELEMENTS), MAX_BUCKET_ELEMENTS)
    bucket = (so_far - 1) // size
    sizes = torch.unique_consecutive(bucket, return_counts=True)[1].tolist()
    longest = [part.amax(dim=0).tolist() for part in lengths.split(sizes)]
    return list(map(Bucket, order.split(sizes), longest))


def last_steps(valid: Tensor) -> Tensor:
    """The number of the last valid step, from 1; 1 where there is none."""
    numbers = torch.arange(1, valid.shape[1] + 1, dtype=torch.int32)
    return (valid * numbers).amax(dim=1).clamp(min=1)


def cut(x: Tensor, buckets: list[Bucket], kind: int | None = None) -> Tensors:
    """The buckets' parts of `(batch, ...)`, or of one kind of sequences."""
    return _Cut.apply(x, [_place(bucket, kind) for bucket in buckets])


def put(
    parts: Tensors,
    buckets: list[Bucket],
    kind: int | None = None,
    steps: int = 0,
) -> Tensor:
    """Scatter the parts into a tensor of zeros (the inverse of `cut`)."""
    batch = sum(len(bucket.rows) for bucket in buckets)
    rest = parts[0].shape[1:] if kind is None else (steps, *parts[0].shape[2:])
    places = [_place(bucket, kind) for bucket in buckets]
    return _Put.apply((batch, *rest), places, *parts)


def cut_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Rows of x, none of them twice."""
    (part,) = _Cut.apply(x, [rows])
    return part


def put_rows(x: Tensor, rows: Tensor, number: int) -> Tensor:
    """`number` rows, of which `rows` are those of x and the others 0."""
    return _Put.apply((number, *x.shape[1:]), [rows], x)


def _place(bucket: Bucket, kind: int | None) -> Any:
    if kind is None:
        return bucket.rows
    return bucket.rows, slice(bucket.longest[kind])


class _Cut(torch.autograd.Function):
    """Disjoint parts of a tensor.

    The gradient of indexing adds into a whole tensor for each part; here there
    is nothing to add, and one tensor serves all parts.
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
    """Disjoint parts in a tensor of zeros."""

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
