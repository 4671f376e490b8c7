"""Optimizers of Keras that update the rows of a table that a step looks up.

A step then costs the same however large the tables are.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import raise_invalid
from kseq.ops.backends import read_rows, sparse_rows, write_rows
from kseq.types import Tensor

# They would change all rows in each step.
UNSUPPORTED = (
    "weight_decay",
    "use_ema",
    "gradient_accumulation_steps",
    "momentum",
    "amsgrad",
)


class SparseUpdates(keras.optimizers.Optimizer):
    """Base class of the optimizers that update rows.

    A subclass has an optimizer of Keras as its second base class, and defines
    `slots` and `update_rows` for the rows of a table. Keras scales and clips
    these as it would the gradient of the whole table, whose other rows are 0.
    Weights with any other gradient are updated by Keras's optimizer.

    Args:
        args, kwargs: the arguments of Keras's optimizer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in UNSUPPORTED:
            if value := getattr(self, option, None):
                raise_invalid(
                    option,
                    "the default, since it would change all rows in each step "
                    f"(keras.optimizers.{type(self).__bases__[1].__name__} "
                    "has it)",
                    value,
                )
        # A step's ids by the number of their table. Not a dict, which Keras
        # would track.
        self._step_ids = _StepIds()

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Any] | None = None,
    ) -> None:
        variables = trainable_variables
        if variables is None:
            variables = self._trainable_variables
        elif not self.built:
            self.build(list(variables))
        ids: dict[int, Tensor] = {}
        grads = [*grads]
        for i, variable in enumerate(variables):
            found = sparse_rows(grads[i])
            if found is not None:
                ids[self._get_variable_index(variable)], grads[i] = found
        self._step_ids.by_table = ids
        super().apply(grads, trainable_variables)

    # Not `update_step`: on PyTorch Keras updates all weights at once.
    def _backend_update_step(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[Any],
        learning_rate: Tensor,
    ) -> None:
        others = []
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            index = self._get_variable_index(variable)
            if index in self._step_ids.by_table:
                self._update_table(gradient, variable, index, learning_rate)
            else:
                others.append((gradient, variable))
        if others:
            gradients, weights = zip(*others, strict=True)
            super()._backend_update_step(gradients, weights, learning_rate)

    def _update_table(
        self, gradient: Tensor, table: Any, index: int, learning_rate: Tensor
    ) -> None:
        ids, slots = self._step_ids.by_table[index], self.slots(index)
        change, *updated = self.update_rows(
            ops.cast(gradient, table.dtype),
            ops.cast(learning_rate, table.dtype),
            *(read_rows(slot, ids) for slot in slots),
        )
        for slot, rows in zip(slots, updated, strict=True):
            write_rows(slot, ids, rows)
        write_rows(table, ids, read_rows(table, ids) - change)

    def slots(self, index: int) -> list[keras.Variable]:
        """The optimizer's variables of a table."""
        raise NotImplementedError

    def update_rows(
        self, gradient: Tensor, learning_rate: Tensor, *slots: Tensor
    ) -> tuple[Tensor, ...]:
        """What to subtract from the rows, and the new rows of the slots."""
        raise NotImplementedError


class _StepIds:
    def __init__(self) -> None:
        self.by_table: dict[int, Tensor] = {}


# The classes of instances: on PyTorch these are subclasses, which update all
# weights at once. (An instance that is initialized would start the backend.)
_SGD: Any
_Adagrad: Any
_Adam: Any
_SGD, _Adagrad, _Adam = (
    type(cls.__new__(cls))
    for cls in (
        keras.optimizers.SGD,
        keras.optimizers.Adagrad,
        keras.optimizers.Adam,
    )
)


@keras.saving.register_keras_serializable(package="kseq")
class SparseSGD(SparseUpdates, _SGD):
    r"""`keras.optimizers.SGD` for the rows that a step looks up.

    The result is that of Keras's. There is no momentum.

    Args:
        args, kwargs: the arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: a momentum, a weight decay, a moving average of the weights
            or gradient accumulation is set.

    Example:

    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> from kseq.optimizers import SparseSGD
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> model.compile(SparseSGD(0.1), "binary_crossentropy")
    """

    def slots(self, index: int) -> list[keras.Variable]:
        return []

    def update_rows(
        self, gradient: Tensor, learning_rate: Tensor, *slots: Tensor
    ) -> tuple[Tensor, ...]:
        return (gradient * learning_rate,)


@keras.saving.register_keras_serializable(package="kseq")
class SparseAdagrad(SparseUpdates, _Adagrad):
    r"""`keras.optimizers.Adagrad` for the rows that a step looks up.

    The result is that of Keras's.

    Args:
        args, kwargs: the arguments of `keras.optimizers.Adagrad`.

    Raises:
        ValueError: a weight decay, a moving average of the weights or gradient
            accumulation is set.

    Example:

    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> from kseq.optimizers import SparseAdagrad
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> model.compile(SparseAdagrad(0.1), "binary_crossentropy")
    """

    def slots(self, index: int) -> list[keras.Variable]:
        return [self._accumulators[index]]

    def update_rows(
        self, gradient: Tensor, learning_rate: Tensor, *slots: Tensor
    ) -> tuple[Tensor, ...]:
        total = slots[0] + ops.square(gradient)
        return gradient * learning_rate / ops.sqrt(total + self.epsilon), total


@keras.saving.register_keras_serializable(package="kseq")
class SparseAdam(SparseUpdates, _Adam):
    r"""`keras.optimizers.Adam` for the rows that a step looks up.

    Known as lazy Adam. With the gradient $g$ of row $W_j$ in step $t$:

    $$m_j \leftarrow \beta_1 m_j + (1 - \beta_1) g, \quad
      v_j \leftarrow \beta_2 v_j + (1 - \beta_2) g^2, \quad
      W_j \leftarrow W_j - \alpha \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
      \frac{m_j}{\sqrt{v_j} + \epsilon}$$

    The other rows, and their moments, do not change. Keras's Adam also moves
    rows that were looked up in earlier steps, by their momentum.

    Args:
        args, kwargs: the arguments of `keras.optimizers.Adam`.

    Raises:
        ValueError: a weight decay, a moving average of the weights, gradient
            accumulation or `amsgrad` is set.

    Example:

    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> from kseq.optimizers import SparseAdam
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> model.compile(SparseAdam(1e-3), "binary_crossentropy")
    """

    def slots(self, index: int) -> list[keras.Variable]:
        return [self._momentums[index], self._velocities[index]]

    def update_rows(
        self, gradient: Tensor, learning_rate: Tensor, *slots: Tensor
    ) -> tuple[Tensor, ...]:
        m, v = slots
        m = m + (gradient - m) * (1 - self.beta_1)
        v = v + (ops.square(gradient) - v) * (1 - self.beta_2)
        step = ops.cast(self.iterations + 1, gradient.dtype)
        rate = learning_rate * ops.sqrt(1 - self.beta_2**step)
        rate = rate / (1 - self.beta_1**step)
        return m * rate / (ops.sqrt(v) + self.epsilon), m, v
