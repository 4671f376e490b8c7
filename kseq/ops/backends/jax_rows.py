"""JAX: gradients of the rows that a step looks up.

The gradient of a table would be an array as large as the table. So a step adds
zeros to the rows that it looks up and takes the gradient of these.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import keras
from jax import numpy as jnp

from kseq.types import Tensor


@dataclass
class _Lookups:
    """The lookups of a step in the order of the calls.

    Args:
        offsets: what is added to the rows; None where they are zeros.
    """

    offsets: list[Tensor] | None = None
    tables: list[keras.Variable] = field(default_factory=list)
    ids: list[Tensor] = field(default_factory=list)


@dataclass
class SparseGradient:
    """The gradients `(lookups, dim)` of rows; ids may repeat."""

    ids: Tensor
    rows: Tensor


_lookups: contextvars.ContextVar[_Lookups | None] = contextvars.ContextVar(
    "_lookups", default=None
)


@contextlib.contextmanager
def _recording(offsets: list[Tensor] | None = None) -> Iterator[_Lookups]:
    token = _lookups.set(_Lookups(offsets))
    try:
        yield _lookups.get()  # type: ignore[misc]
    finally:
        _lookups.reset(token)


def lookup(
    table: keras.Variable, ids: Tensor, sparse: bool, training: bool | None
) -> Tensor:
    rows = keras.ops.take(table, ids, axis=0)
    found = _lookups.get()
    if found is None or not (sparse and training):
        return rows
    found.tables.append(table)
    found.ids.append(jnp.where(ids < 0, ids + table.shape[0], ids))
    if found.offsets is None:
        return rows
    return jax.lax.stop_gradient(rows) + found.offsets[len(found.ids) - 1]


def sparse_rows(gradient: Any) -> tuple[Tensor, Tensor] | None:
    """Distinct ids and the sums of their rows.

    Both have one entry for each lookup; those that are left over have an id
    beyond the table, which `read_rows` and `write_rows` ignore.
    """
    if not isinstance(gradient, SparseGradient):
        return None
    count = len(gradient.ids)
    ids, places = jnp.unique(
        gradient.ids,
        size=count,
        fill_value=jnp.iinfo(gradient.ids.dtype).max,
        return_inverse=True,
    )
    return ids, jax.ops.segment_sum(gradient.rows, places, count)


def read_rows(variable: keras.Variable, ids: Tensor) -> Tensor:
    return variable.value.at[ids].get(mode="fill", fill_value=0)


def write_rows(variable: keras.Variable, ids: Tensor, rows: Tensor) -> None:
    variable.assign(variable.value.at[ids].set(rows, mode="drop"))


def train_step(
    model: Any, step: Callable[..., Any], state: Any, data: Any
) -> Any:
    """Keras's train step with gradients of rows."""
    trained, others, slots, metrics = state
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    variables = model.trainable_variables

    def loss(trained: list[Tensor]) -> Any:
        return model.compute_loss_and_updates(
            trained,
            others,
            metrics,
            *(x, y, weights),
            training=True,
            optimizer_variables=slots,
        )

    with _recording() as found:
        jax.eval_shape(loss, trained)
    if not found.tables:
        return step(state, data)
    tables = {id(table) for table in found.tables}
    is_dense = [id(variable) not in tables for variable in variables]

    def loss_of_rows(dense: list[Tensor], offsets: list[Tensor]) -> Any:
        given = iter(dense)
        merged = [
            next(given) if keep else value
            for keep, value in zip(is_dense, trained, strict=True)
        ]
        with _recording(offsets) as lookups:
            value, updates = loss(merged)
        return value, (updates, lookups.ids)

    dense = [v for v, keep in zip(trained, is_dense, strict=True) if keep]
    offsets = [
        jnp.zeros((*ids.shape, table.shape[1]), table.dtype)
        for table, ids in zip(found.tables, found.ids, strict=True)
    ]
    differentiate = jax.grad(loss_of_rows, argnums=(0, 1), has_aux=True)
    (of_dense, of_rows), (updates, ids) = differentiate(dense, offsets)
    unscaled, y_pred, others, metrics = updates
    given = iter(of_dense)
    gradients = []
    for variable, keep in zip(variables, is_dense, strict=True):
        if keep:
            gradients.append(next(given))
            continue
        parts = [i for i, t in enumerate(found.tables) if t is variable]
        gradients.append(
            SparseGradient(
                jnp.concatenate([ids[i].ravel() for i in parts]),
                jnp.concatenate(
                    [of_rows[i].reshape(-1, variable.shape[1]) for i in parts]
                ),
            )
        )
    trained, slots = model.optimizer.stateless_apply(slots, gradients, trained)
    mapping = zip(model.metrics_variables, metrics, strict=True)
    with keras.StatelessScope(mapping) as scope:
        batch = len(keras.tree.flatten(x)[0])
        for metric in model.metrics:
            if metric.name == "loss":
                metric.update_state(unscaled, sample_weight=batch)
        logs = model.compute_metrics(x, y, y_pred, weights)
    metrics = [scope.get_current_value(v) for v in model.metrics_variables]
    return logs, (trained, others, slots, metrics)
