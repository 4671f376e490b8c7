"""AUC, differences and shares of variance, in NumPy."""

import numpy as np

from kseq.metrics import group_auc


def auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """Return the exact area under the ROC curve; a tie counts half."""
    return group_auc(liked, scores, np.zeros(len(liked)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a.astype("float64") - b.astype("float64"))))


def variance_shares(weights: np.ndarray) -> list[float]:
    """Decompose the variance of attention `(users, candidates, steps)`.

    Return the shares that are due to the step, whatever the candidate; to the
    candidate, whatever the step; and to both together.
    """
    centred = weights - weights.mean((1, 2), keepdims=True)
    step = centred.mean(1, keepdims=True)
    candidate = centred.mean(2, keepdims=True)
    both = centred - step - candidate
    variances = [np.square(x).mean() for x in (step, candidate, both)]
    return [float(v / sum(variances)) for v in variances]
