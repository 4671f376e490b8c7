"""A training loop of JAX's own: stateless_call and value_and_grad."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_of: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """The loss of each batch, before the step that it leads to."""

    def loss_and_statistics(
        weights: Any, statistics: Any, x: dict[str, Any], y: Any
    ) -> Any:
        predictions, statistics, penalties = model.stateless_call(
            weights, statistics, x, training=True, return_losses=True
        )
        return loss_of(y, predictions) + sum(penalties), statistics

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
    # Until here model and optimizer were as they had been.
    jax.tree.map(
        lambda variable, value: variable.assign(value), variables, state
    )
    return losses
