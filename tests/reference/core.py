"""The layers of `kseq.layers.core`."""

import numpy as np

from tests.reference.attention import (
    dice,
    normalize,
    relu,
    scores,
    sigmoid,
    statistics,
)
from tests.reference.masks import select

ACTIVATIONS = {
    "sigmoid": sigmoid,
    "relu": relu,
    "tanh": np.tanh,
    "linear": lambda x: x,
}


def entries(x, valid):
    """The valid entries of x without its last axis."""
    if valid is None:
        return np.ones(x.shape[:-1], bool)
    valid = valid.reshape(valid.shape + (1,) * (x.ndim - 1 - valid.ndim))
    return np.broadcast_to(valid, x.shape[:-1])


def dice_layer(x, valid, weights, training=False, epsilon=1e-9):
    valid = entries(x, valid)
    x = select(valid[..., None], x)
    alpha, mean, variance = weights
    if training:
        mean, variance = statistics(x, valid)
    return dice(x, alpha, mean, variance, epsilon)


def batch_normalization(
    x, valid, weights, training=False, epsilon=1e-3, center=True, scale=True
):
    valid = entries(x, valid)
    x = select(valid[..., None], x)
    weights = list(weights)
    gamma = weights.pop(0) if scale else 1.0
    beta = weights.pop(0) if center else 0.0
    mean, variance = statistics(x, valid) if training else weights
    return gamma * normalize(x, mean, variance, epsilon) + beta


def dnn(x, valid, weights, activations, use_bn=False, training=False):
    n, weights = len(activations), list(weights)
    kernels, biases, rest = weights[:n], weights[n : 2 * n], weights[2 * n :]
    norms, rest = (rest[: 4 * n], rest[4 * n :]) if use_bn else ([], rest)
    x = select(entries(x, valid)[..., None], x)
    for i, name in enumerate(activations):
        x = x @ kernels[i] + biases[i]
        if use_bn:
            x = batch_normalization(
                x, valid, norms[4 * i : 4 * i + 4], training
            )
        if name == "dice":
            x = dice_layer(x, valid, rest[:3], training)
            rest = rest[3:]
        else:
            x = ACTIVATIONS[name](x)
    return x


def local_activation_unit(query, keys, valid, weights, **options):
    keys = select(valid[..., None], keys)
    return np.swapaxes(scores(query, keys, valid, weights, **options), 1, 2)


def prediction(x, weights, task, use_bias):
    x = x + weights[0] if use_bias else x
    return sigmoid(x) if task == "binary" else x


def auxiliary_loss(states, clicks, negatives, valid, weights, activations):
    """The mean over the pairs of valid steps, in float64, of shape (1,)."""
    pairs = valid[:, :-1] & valid[:, 1:]

    def logits(items):
        x = np.concatenate([states[:, :-1], items[:, 1:]], axis=-1)
        return dnn(x, pairs, weights, activations)[..., 0]

    def softplus(x):
        return select(x.real > 0, x) + np.log1p(
            np.exp(select(x.real > 0, -x, x))
        )

    each = softplus(-logits(clicks)) + softplus(logits(negatives))
    return np.reshape(select(pairs, each).sum() / max(pairs.sum(), 1), (1,))
