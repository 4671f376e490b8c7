"""A training loop of TensorFlow's own: GradientTape."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_of: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """The loss of each batch, before the step that it leads to."""

    @tf.function
    def step(x: dict[str, Any], y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply(gradients, model.trainable_weights)
        return loss

    optimizer.build(model.trainable_weights)  # no variable is made in a graph
    return [float(step(x, y)) for x, y in batches]
