"""How well predictions tell likes from the rest, in NumPy."""

import numpy as np


def auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a like scores above a non-like; a tie counts half.

    Exact: from the likes' ranks among all scores, equal scores sharing the
    middle of their ranks.
    """
    liked = np.asarray(liked).astype(bool)
    likes = int(liked.sum())
    others = len(liked) - likes
    if not likes or not others:
        raise ValueError("liked: expected likes and others; received one kind")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(size) - (size - 1) / 2
    rank_sum = middle_rank[group][liked].sum()
    return float((rank_sum - likes * (likes + 1) / 2) / (likes * others))


def log_loss(liked: np.ndarray, predictions: np.ndarray) -> float:
    """The mean binary cross-entropy, clipped as Keras clips it."""
    p = np.clip(np.asarray(predictions, "float64"), 1e-7, 1 - 1e-7)
    return float(-np.mean(liked * np.log(p) + (1 - liked) * np.log1p(-p)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a.astype("float64") - b.astype("float64"))))
