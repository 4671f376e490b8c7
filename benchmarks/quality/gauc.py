"""AUC, AUC per user and log loss, in NumPy."""

import numpy as np


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve; a tie counts half."""
    return group_auc(label, score, np.zeros(len(label), "int64"))


def group_auc(label: np.ndarray, score: np.ndarray, group: np.ndarray) -> float:
    """Return the mean AUC of groups, weighted by their numbers of rows.

    Groups with labels of one value have no AUC and are left out.
    """
    _, group = np.unique(group, return_inverse=True)
    order = np.lexsort((score, group))
    label, score, group = label[order].astype(bool), score[order], group[order]
    # Equal scores of a group share the mean of their ranks.
    new = np.append(True, (np.diff(group) != 0) | (np.diff(score) != 0))
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(label)))
    rank = np.repeat(starts + (sizes + 1) / 2, sizes)
    rows = np.bincount(group)
    positive = np.bincount(group, label)
    negative = rows - positive
    rank -= np.repeat(np.cumsum(rows) - rows, rows)
    above = np.bincount(group, rank * label) - positive * (positive + 1) / 2
    both = (positive > 0) & (negative > 0)
    areas = above[both] / (positive * negative)[both]
    return float(np.average(areas, weights=rows[both]))


def balanced_log_loss(label: np.ndarray, score: np.ndarray) -> float:
    """Return the mean of the positives' and the negatives' log loss.

    As with one negative for each positive, which models are trained with.
    """
    p = np.clip(np.asarray(score, "float64"), 1e-7, 1 - 1e-7)
    positive = label > 0
    losses = -np.log(p[positive]).mean() - np.log1p(-p[~positive]).mean()
    return float(losses / 2)
