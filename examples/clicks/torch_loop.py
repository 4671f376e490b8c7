"""A training loop of PyTorch's own: autograd."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import torch

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_of: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """The loss of each batch, before the step that it leads to."""
    losses = []
    for x, y in batches:
        loss = loss_of(y, model(x, training=True)) + sum(model.losses)
        weights = [weight.value for weight in model.trainable_weights]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_weights)
        losses.append(loss.item())
    return losses
