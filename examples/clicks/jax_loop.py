"""A training loop in JAX: stateless_call and value_and_grad."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_fn: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """Train on the batches; return the loss of each, before its update."""

    def loss_and_statistics(
        weights: Any, statistics: Any, x: dict[str, Any], y: Any
    ) -> Any:
        predictions, statistics, penalties = model.stateless_call(
            weights, statistics, x, training=True, return_losses=True
        )
        return loss_fn(y, predictions) + sum(penalties), statistics

    differentiate = jax.value_and_grad(loss_and_statistics, has_aux=True)

    @jax.jit
    def step(state: Any, x: dict[str, Any], y: Any) -> Any:
        weights, statistics, moments = state
        (loss, statistics), gradients = differentiate(weights, statistics, x, y)
        weights, moments = optimizer.stateless_apply(
            moments, gradients, weights
        )
        return loss, (weights, statistics, moments)

    optimizer.build(model.trainable_variables)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        optimizer.variables,
    )
    state = jax.tree.map(lambda variable: variable.value, variables)
    losses = []
    for x, y in batches:
        loss, state = step(state, x, y)
        losses.append(float(loss))
    # The loop changed only `state`; now update model and optimizer.
    jax.tree.map(
        lambda variable, value: variable.assign(value), variables, state
    )
    return losses
