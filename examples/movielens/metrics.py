"""AUC, log loss and differences, in NumPy."""

import numpy as np


def auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """Return the exact area under the ROC curve; a tie counts half.

    Computed from the likes' ranks among all scores; equal scores share the mean
    of their ranks.
    """
    liked = np.asarray(liked).astype(bool)
    likes = int(liked.sum())
    dislikes = len(liked) - likes
    if not likes or not dislikes:
        raise ValueError(
            "liked: expected both 0 and 1; received only one of them"
        )
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - (size - 1) / 2
    rank_sum = mean_rank[group][liked].sum()
    return float((rank_sum - likes * (likes + 1) / 2) / (likes * dislikes))


def log_loss(liked: np.ndarray, predictions: np.ndarray) -> float:
    """Return the mean binary cross-entropy, clipped as in Keras."""
    p = np.clip(np.asarray(predictions, "float64"), 1e-7, 1 - 1e-7)
    return float(-np.mean(liked * np.log(p) + (1 - liked) * np.log1p(-p)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a.astype("float64") - b.astype("float64"))))
