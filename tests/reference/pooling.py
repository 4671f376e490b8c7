import numpy as np

from tests.reference.masks import select, softmax


def pool(x, valid, mode):
    """(batch, 1, dim); 0 for an empty history."""
    out = np.zeros((len(x), 1, x.shape[-1]), x.dtype)
    for b in range(len(x)):
        steps = x[b][valid[b]]
        if len(steps) == 0:
            continue
        if mode == "max":
            at = steps.real.argmax(axis=0)
            out[b, 0] = np.take_along_axis(steps, at[None], axis=0)[0]
        else:
            out[b, 0] = steps.sum(axis=0)
            if mode == "mean":
                out[b, 0] /= len(steps)
    return out


def weighted(x, weights, valid, normalize):
    """(batch, steps, dim)."""
    weights = weights.reshape(valid.shape)
    if normalize == "sum":
        weights = fractions(weights, valid)
    elif normalize:
        weights = softmax(weights, valid)
    return select(valid[..., None], x * weights[..., None])


def fractions(weights, valid):
    """Weights divided by the sum of the valid ones; 0 where it is 0."""
    total = select(valid, weights).sum(axis=-1, keepdims=True)
    return select(valid & (total != 0), weights / select(total != 0, total, 1))


def k_max(x, k, axis, valid=None):
    """The k largest valid entries along an axis, filled up with 0."""
    rows = np.moveaxis(x, axis, -1)
    if valid is None:
        on = np.ones(rows.shape, bool)
    else:
        on = np.reshape(valid, valid.shape + (1,) * (x.ndim - 2))
        on = np.moveaxis(np.broadcast_to(on, x.shape), axis, -1)
    out = np.zeros((*rows.shape[:-1], k), x.dtype)
    for index in np.ndindex(rows.shape[:-1]):
        values = rows[index][on[index]]
        values = values[np.argsort(-values.real, kind="stable")][:k]
        out[index][: len(values)] = values
    return np.moveaxis(out, -1, axis)
