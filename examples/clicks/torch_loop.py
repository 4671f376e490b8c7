"""A training loop in PyTorch: autograd."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import torch

from clicks.data import Batch


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_fn: Callable[..., Any],
    batches: Iterable[Batch],
) -> list[float]:
    """Train on the batches; return the loss of each, before its update."""
    losses = []
    for x, y in batches:
        loss = loss_fn(y, model(x, training=True)) + sum(model.losses)
        weights = [weight.value for weight in model.trainable_weights]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_weights)
        losses.append(loss.item())
    return losses
