"""AUC and log loss, in NumPy."""

import numpy as np

from kseq.metrics import group_auc


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve; a tie counts half."""
    return group_auc(label, score, np.zeros(len(label), "int64"))


def balanced_log_loss(label: np.ndarray, score: np.ndarray) -> float:
    """Return the mean of the positives' and the negatives' log loss.

    As with one negative for each positive, which models are trained with.
    """
    p = np.clip(np.asarray(score, "float64"), 1e-7, 1 - 1e-7)
    positive = label > 0
    losses = -np.log(p[positive]).mean() - np.log1p(-p[~positive]).mean()
    return float(losses / 2)
