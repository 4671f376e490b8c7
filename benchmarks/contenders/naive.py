"""A plain port of DeepCTR to keras.ops, line by line."""

import keras
from keras import ops

FRAMEWORK = keras.backend.backend()
LOWEST = -(2.0**32)


def din(workload, weights):
    return _din, _variables(weights)


def _din(inputs, variables, training):
    query, keys, lengths = inputs
    scorer, bias, *rest = variables
    kernels, biases = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    candidates, dim = query.shape[1:]
    steps = keys.shape[1]
    # One example for each candidate, as in DeepCTR.
    q = ops.tile(ops.reshape(query, (-1, 1, dim)), (1, steps, 1))
    k = ops.repeat(keys, candidates, axis=0)
    mask = ops.repeat(_mask(lengths, steps), candidates, axis=0)

    hidden = ops.concatenate([q, k, q - k, q * k], axis=-1)
    for kernel, b in zip(kernels, biases, strict=True):
        hidden = ops.sigmoid(ops.matmul(hidden, kernel) + b)
    scores = ops.matmul(hidden, scorer) + bias
    scores = ops.transpose(scores, (0, 2, 1))
    scores = ops.where(mask[:, None], scores, 0.0)
    return ops.reshape(ops.matmul(scores, k), query.shape)


def augru(workload, weights):
    return _augru, _variables(weights)


def _augru(inputs, variables, training):
    x, lengths, scores = inputs
    kernel, bias, candidate_kernel, candidate_bias = variables
    mask = _mask(lengths, x.shape[1])[:, :, None]

    def step(h, inputs):
        x, score, mask = inputs
        gates = ops.matmul(ops.concatenate([x, h], axis=-1), kernel) + bias
        r, u = ops.split(ops.sigmoid(gates), 2, axis=-1)
        reset = ops.concatenate([x, r * h], axis=-1)
        c = ops.tanh(ops.matmul(reset, candidate_kernel) + candidate_bias)
        u = (1.0 - score) * u
        h = ops.where(mask, u * h + (1.0 - u) * c, h)
        return h, h

    h, _ = ops.scan(
        step,
        ops.zeros((x.shape[0], candidate_bias.shape[0])),
        [ops.transpose(values, (1, 0, 2)) for values in (x, scores, mask)],
    )
    return h[:, None]


def transformer(workload, weights):
    def split_heads(x):
        x = ops.reshape(
            x,
            (workload.batch, workload.steps, workload["heads"], workload.units),
        )
        return ops.transpose(x, (0, 2, 1, 3))

    def call(inputs, variables, training):
        x, lengths = inputs
        q, k, v = (split_heads(ops.matmul(x, kernel)) for kernel in variables)
        mask = _mask(lengths, workload.steps)
        allowed = mask[:, None, None, :]
        if workload["blinding"]:
            diagonal = ops.eye(workload.steps, dtype="bool")
            allowed = ops.logical_and(allowed, ops.logical_not(diagonal))
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        scores = scores / workload.units**0.5
        scores = ops.softmax(ops.where(allowed, scores, LOWEST))
        result = ops.transpose(ops.matmul(scores, v), (0, 2, 1, 3))
        result = ops.reshape(result, x.shape)
        return result * ops.cast(mask, "float32")[:, :, None]

    return call, _variables(weights)


def pooling(workload, weights):
    mode = workload["mode"]

    def call(inputs, variables, training):
        x, lengths = inputs
        mask = ops.cast(_mask(lengths, x.shape[1]), "float32")
        mask = ops.tile(mask[:, :, None], (1, 1, x.shape[2]))
        if mode == "max":
            return ops.max(x - (1.0 - mask) * 1e9, axis=1, keepdims=True)
        total = ops.sum(x * mask, axis=1, keepdims=True)
        if mode == "mean":
            total = total / ops.cast(lengths, "float32")[:, :, None]
        return total

    return call, []


def weighted(workload, weights):
    return _weighted, []


def _weighted(inputs, variables, training):
    x, lengths, weights = inputs
    mask = _mask(lengths, x.shape[1])[:, :, None]
    weights = ops.softmax(ops.where(mask, weights, LOWEST), axis=1)
    weights = ops.tile(weights, (1, 1, x.shape[2]))
    return ops.sum(x * weights, axis=1, keepdims=True)


def _mask(lengths, steps):
    return ops.arange(steps) < lengths


def _variables(weights):
    return [keras.Variable(w).value for w in weights]
