import numpy as np


def mask_of(x, mask=None, lengths=None):
    """bool (batch, steps)."""
    if lengths is None:
        return np.asarray(mask, bool)
    return np.arange(x.shape[1]) < np.reshape(lengths, (-1, 1))


def select(valid, x, other=0.0):
    return np.where(valid, x, other)


def softmax(scores, valid):
    """Softmax over the valid entries of the last axis; 0 if there are none."""
    p = np.zeros_like(scores)
    for index in np.ndindex(scores.shape[:-1]):
        on = np.broadcast_to(valid, scores.shape)[index]
        if on.any():
            s = scores[index][on]
            e = np.exp(s - s.real.max())
            p[index][on] = e / e.sum()
    return p
