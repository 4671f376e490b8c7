"""AUC and differences, in NumPy."""

import numpy as np

from kseq.metrics import group_auc


def auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """Return the exact area under the ROC curve; a tie counts half."""
    return group_auc(liked, scores, np.zeros(len(liked)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a.astype("float64") - b.astype("float64"))))
