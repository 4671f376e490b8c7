"""A training loop in TensorFlow: GradientTape."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_fn: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """Train on the batches; return the loss of each, before its update."""

    @tf.function
    def step(x: dict[str, Any], y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply(gradients, model.trainable_weights)
        return loss

    optimizer.build(model.trainable_weights)  # a graph cannot create variables
    return [float(step(x, y)) for x, y in batches]
