"""Embedding tables whose penalty and gradient need not cover all rows."""

import contextlib
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from kseq.checks import check_bool
from kseq.ops.backends import lookup
from kseq.types import InitializerLike, RegularizerLike, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class Embedding(keras.layers.Embedding):
    r"""`keras.layers.Embedding` with a penalty on the rows that are looked up.

    In training the regularizer is applied to each row of the table $W$ that the
    batch looks up, once per step however often it occurs:

    $$\lambda \sum_{j \in \mathrm{ids}} \lVert W_j \rVert^2$$

    for `keras.regularizers.L2(λ)`. Keras's layer applies it to all rows, so
    that the cost of a step depends on the table's size. Row 0 is a row like any
    other, even as padding. `evaluate` does not add the penalty to the loss.

    Args:
        input_dim, output_dim: as in `keras.layers.Embedding`.
        embeddings_initializer, embeddings_constraint, mask_zero: likewise.
        embeddings_regularizer: the rows' penalty, a regularizer that adds up
            the penalties of the elements, such as L1, L2 and L1L2; None for no
            penalty.
        sparse: True: in training the gradient has only the rows that were
            looked up, for the optimizers of `kseq.optimizers`. The models of
            `kseq.models` have it when compiled with one of these.
        kwargs: further arguments of `keras.layers.Embedding`.

    Call arguments:
        inputs: integer ids of any shape.
        training: whether to add the penalty to the layer's losses.

    Returns:
        The rows `(..., output_dim)`.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        DeepCTR's penalty covers all rows, as that of `keras.layers.Embedding`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from kseq.layers import Embedding
    >>> table = Embedding(100, 4, "ones", keras.regularizers.L2(0.5))
    >>> rows = table(np.array([[7, 9, 9]]), training=True)
    >>> (penalty,) = table.losses  # of two rows of four ones
    >>> float(keras.ops.convert_to_numpy(penalty))
    4.0
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike | None = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self.sparse = check_bool("sparse", sparse)

    def add_weight(self, *args: Any, **options: Any) -> Any:
        # A step must not penalise or cast the whole table.
        options |= {"regularizer": None, "autocast": False}
        return super().add_weight(*args, **options)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.lora_enabled:
            return super().call(inputs)
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        # Not looked up outside of training: Dynamo cannot trace it.
        step = _step.get() if training else None
        sparse = self.sparse or (step is not None and step.sparse)
        rows = lookup(self._embeddings, inputs, sparse, training)
        if training and self.embeddings_regularizer is not None:
            if step is None:
                self.add_loss(self._penalty([(inputs, rows)]))
            else:
                step.lookups.setdefault(self, []).append((inputs, rows))
        return ops.cast(rows, self.compute_dtype)

    def rematerialized_call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        # A lookup saves no memory, and JAX and TensorFlow would lose its
        # penalty.
        return call

    def quantize(
        self, mode: Any = None, type_check: bool = True, config: Any = None
    ) -> None:
        # By default Keras quantises no subclass.
        super().quantize(mode, type_check=False, config=config)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        return super().compute_output_spec(inputs)

    def _penalty(self, lookups: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The regularizer of the rows of all lookups of a step."""
        ids = ops.concatenate([ops.reshape(i, (-1,)) for i, _ in lookups])
        rows = ops.concatenate(
            [ops.reshape(x, (-1, self.output_dim)) for _, x in lookups]
        )
        is_first = ops.expand_dims(first_occurrences(ids), 1)
        return self.embeddings_regularizer(ops.where(is_first, rows, 0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sparse": self.sparse}


@dataclass
class _Step:
    sparse: bool
    lookups: dict[Embedding, list[tuple[Tensor, Tensor]]] = field(
        default_factory=dict
    )


_step: contextvars.ContextVar[_Step | None] = contextvars.ContextVar(
    "_step", default=None
)


@contextlib.contextmanager
def training_step(sparse: bool) -> Iterator[None]:
    """A context in which a row that several calls look up is penalised once.

    Args:
        sparse: whether all tables have gradients of rows.
    """
    step = _Step(sparse)
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)
    for table, lookups in step.lookups.items():
        table.add_loss(table._penalty(lookups))


def first_occurrences(ids: Tensor) -> Tensor:
    """True for one entry of each distinct id `(n,)`."""
    order = ops.argsort(ids)
    ids = ops.take(ids, order)
    is_first = ops.concatenate(
        [ops.ones_like(ids[:1], dtype="bool"), ops.not_equal(ids[1:], ids[:-1])]
    )
    return ops.take(is_first, ops.argsort(order))
