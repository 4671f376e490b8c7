"""DIN: Zhou et al., 2018, section 4.3, and DeepCTR's order of the inputs."""

import numpy as np

from tests.reference.masks import select, softmax


def sigmoid(x):
    z = np.exp(select(x.real > 0, -x, x))  # does not overflow
    return select(x.real > 0, 1 / (1 + z), z / (1 + z))


def relu(x):
    return select(x.real > 0, x)


def normalize(x, mean, variance, epsilon):
    return (x - mean) / np.sqrt(variance + epsilon)


def statistics(x, valid):
    """Mean and variance of the last axis over the valid entries."""
    steps = x[np.broadcast_to(valid, x.shape[:-1])]
    mean = steps.sum(axis=0) / len(steps)
    return mean, ((steps - mean) ** 2).sum(axis=0) / len(steps)


def dice(x, alpha, mean, variance, epsilon=1e-9):
    p = sigmoid(normalize(x, mean, variance, epsilon))
    return p * x + alpha * (1 - p) * x


def prelu(x, alpha):
    return select(x.real > 0, x, alpha * x)


def scores(query, keys, valid, weights, activation, hidden=2, training=False):
    """(batch, candidates, steps).

    `weights`: the scorer's kernel and bias, the hidden layers' kernels, then
    their biases, then the weights of each layer's activation.
    """
    q = np.repeat(query[:, :, None], keys.shape[1], axis=2)
    k = np.repeat(keys[:, None], query.shape[1], axis=1)
    x = np.concatenate([q, k, q - k, q * k], axis=-1)
    outer, bias, *rest = weights
    kernels, biases, rest = (
        rest[:hidden],
        rest[hidden : 2 * hidden],
        rest[2 * hidden :],
    )
    for kernel, offset in zip(kernels, biases, strict=True):
        x = x @ kernel + offset
        if activation == "dice":
            alpha, mean, variance, *rest = rest
            if valid is not None:
                x = select(valid[:, None, :, None], x)
            if training:
                mean, variance = statistics(x, valid[:, None])
            x = dice(x, alpha, mean, variance)
        elif activation == "prelu":
            alpha, *rest = rest
            x = prelu(x, alpha)
        else:
            x = {"sigmoid": sigmoid, "relu": relu, "tanh": np.tanh}[activation](
                x
            )
    return (x @ outer + bias)[..., 0]


def attention_weights(scores, valid, normalize):
    valid = valid[:, None]
    return softmax(scores, valid) if normalize else select(valid, scores)


def attention_pooling(query, keys, valid, weights, normalize=False, **scorer):
    """(output, attention weights)."""
    # Padding may contain NaN.
    keys = select(valid[..., None], keys)
    s = scores(query, keys, valid, weights, **scorer)
    a = attention_weights(s, valid, normalize)
    return a @ keys, a


def hidden(query, keys, kernel, bias):
    """The first layer of the scorer, of the whole concatenation."""
    shape = (*query.shape[:2], *keys.shape[1:])
    q = np.broadcast_to(query[:, :, None], shape)
    k = np.broadcast_to(keys[:, None], shape)
    return np.concatenate([q, k, q - k, q * k], axis=-1) @ kernel + bias
