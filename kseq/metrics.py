"""AUC within groups, such as users or lists of candidates."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from kseq.checks import Unquoted, check_optional_int, raise_invalid
from kseq.types import Tensor


def group_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Return the mean AUC of groups, such as users: gAUC.

    $$\mathrm{gAUC} = \frac{\sum_u n_u \mathrm{AUC}_u}{\sum_u n_u}$$

    over the groups with both labels, where $n_u$ is the number of rows of group
    $u$. It measures how well a model ranks the items of each user, which is
    what click models are used for. The AUC of all rows also depends on how it
    ranks one user's items among another's.

    $\mathrm{AUC}_u$ is exact: the probability that a positive row of the group
    has a higher score than a negative one. Equal scores count half.

    Args:
        y_true: labels 0 and 1, `(rows,)` or `(rows, 1)`.
        y_score: scores or probabilities, of the same shapes.
        groups: the group of each row, such as user ids: integers or strings.
        sample_weight: a weight of each row, 0 or greater. $n_u$ is the sum of
            the group's weights, and $\mathrm{AUC}_u$ that of
            `sklearn.metrics.roc_auc_score` with them.

    Returns:
        A number from 0 to 1. NaN if no group has both labels, or a score is
        NaN.

    Raises:
        ValueError: the numbers of rows differ, a label is not 0 or 1, or a
            weight is negative.

    Reference:
        Zhu et al. (2017), [Optimized cost per click in Taobao display
        advertising](https://arxiv.org/abs/1703.02091); Zhou et al. (2018),
        [Deep interest network for click-through rate
        prediction](https://arxiv.org/abs/1706.06978), section 6.2.

    Example:

    >>> from kseq.metrics import group_auc
    >>> users = ["ann", "ann", "ann", "bob", "bob", "eve"]
    >>> labels = [1, 0, 0, 0, 1, 1]
    >>> scores = [0.3, 0.3, 0.1, 0.8, 0.9, 0.2]
    >>> group_auc(labels, scores, users)  # (3 * 0.75 + 2 * 1) / 5
    0.85
    """
    label = _column("y_true", y_true)
    rows = len(label)
    if not np.isin(label, (0, 1)).all():
        raise_invalid("y_true", "labels 0 and 1", np.unique(label)[:5])
    score = _column("y_score", y_score, rows).astype("float64")
    _, group = np.unique(_column("groups", groups, rows), return_inverse=True)
    weight = np.ones(rows)
    if sample_weight is not None:
        weight = _column("sample_weight", sample_weight, rows)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise_invalid("sample_weight", "finite, 0 or greater", weight)
    if np.isnan(score).any():
        return np.nan

    order = np.lexsort((score, group))
    score, group = score[order], group[order]
    weight, positive = weight[order], label[order] == 1
    # Rows of one group with one score are a tie.
    starts = np.ones(rows, bool)
    starts[1:] = (group[1:] != group[:-1]) | (score[1:] != score[:-1])
    tie, group = np.cumsum(starts) - 1, group[starts]
    positives = np.bincount(tie, weight * positive)
    negatives = np.bincount(tie, weight * ~positive)
    group_positives = np.bincount(group, positives)
    group_negatives = np.bincount(group, negatives)
    earlier = np.cumsum(group_negatives) - group_negatives
    below = np.cumsum(negatives) - negatives / 2 - earlier[group]
    won = np.bincount(group, positives * below)
    pairs = group_positives * group_negatives
    both = pairs > 0
    if not both.any():
        return np.nan
    size = (group_positives + group_negatives)[both]
    return float(np.average(won[both] / pairs[both], weights=size))


def _column(name: str, values: Any, rows: int | None = None) -> NDArray[Any]:
    array = np.asarray(values)
    column = array.reshape(-1) if array.shape[1:] == (1,) else array
    if column.ndim != 1 or rows not in (None, len(column)):
        expected = "(rows,)" if rows is None else f"({rows},), as for y_true"
        raise_invalid(name, f"shape {expected}", Unquoted(array.shape))
    return column


class GroupAUC(keras.callbacks.Callback):
    """Computes `group_auc` of validation data after each epoch of `fit`.

    The value is in the logs and in the history, and callbacks *later* in
    the list can monitor it. They need `mode="max"`, because Keras does not know
    that more is better. A Keras metric cannot compute it, because a user's
    rows are in several batches.

    Args:
        x: the inputs, as of `model.predict`. The model has one output, of one
            score for each row.
        y: labels 0 and 1, `(rows,)` or `(rows, 1)`.
        groups: the group of each row, such as user ids: `(rows,)`.
        sample_weight: a weight of each row, or None.
        batch_size: the rows of a batch; None for Keras's default.
        name: the name in the logs.

    Raises:
        ValueError: the arrays are invalid (`group_auc`), or no group has both
            labels.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from kseq.metrics import GroupAUC
    >>> x, y = np.eye(4), np.array([0, 1, 1, 0])
    >>> model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    >>> model.compile("adam", "binary_crossentropy")
    >>> callbacks = [
    ...     GroupAUC(x, y, groups=[1, 1, 2, 2]),
    ...     keras.callbacks.EarlyStopping("val_gauc", mode="max", patience=2),
    ... ]
    >>> fitted = model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
    >>> len(fitted.history["val_gauc"])
    2
    """

    def __init__(
        self,
        x: Any,
        y: ArrayLike,
        groups: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
        name: str = "val_gauc",
    ) -> None:
        super().__init__()
        self.x, self.y, self.groups = x, y, groups
        self.sample_weight, self.name = sample_weight, name
        self.batch_size = check_optional_int("batch_size", batch_size)
        if np.isnan(self._compute(np.zeros(np.shape(y)))):
            expected = "a group with both labels 0 and 1"
            raise_invalid("groups", expected, Unquoted("none"))

    def _compute(self, scores: Any) -> float:
        return group_auc(self.y, scores, self.groups, self.sample_weight)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        scores = self.model.predict(
            self.x, batch_size=self.batch_size, verbose=0
        )
        if logs is not None:
            logs[self.name] = self._compute(scores)


@keras.saving.register_keras_serializable(package="kseq")
class ListAUC(keras.metrics.Mean):
    """The mean AUC of lists of candidates: gAUC where each row is a group.

    It is `group_auc` with the candidates of a row as a group, in batches:
    lists with one label only are left out, and the weight of a list is its
    number of candidates. 0 if no list has both labels.

    For models of several candidates (`num_candidates`), as
    `model.compile(..., metrics=[ListAUC()])`; the model's padding is left out.
    It compares all pairs of a list: memory for `batch * candidates**2` numbers.

    Args:
        name: the name of the metric.
        dtype: the dtype of the result; None for Keras's default.

    Call arguments:
        y_true: labels `(batch, candidates)`: greater than 0 for positive, 0 for
            negative, less than 0 for padding.
        y_pred: scores `(batch, candidates)`.
        sample_weight: weights `(batch,)` or `(batch, candidates)`, 0 or
            greater.

    Raises:
        ValueError: `y_true` or `y_pred` does not have two axes.

    Example:

    >>> import numpy as np
    >>> from kseq.metrics import ListAUC
    >>> metric = ListAUC()
    >>> labels = np.array([[1, 0, 0, -1], [0, 0, 1, 1]])
    >>> scores = np.array([[0.3, 0.3, 0.1, 0.9], [0.1, 0.2, 0.5, 0.4]])
    >>> metric.update_state(labels, scores)
    >>> round(float(metric.result()), 6)  # (3 * 0.75 + 4 * 1) / 7
    0.892857
    """

    listwise = True

    def __init__(self, name: str = "list_auc", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        labels, scores = map(ops.convert_to_tensor, (y_true, y_pred))
        for name, x in (("y_true", labels), ("y_pred", scores)):
            if len(x.shape) != 2:
                expected = "shape (batch, candidates)"
                raise_invalid(name, expected, Unquoted(tuple(x.shape)))
        weights = ops.cast(labels >= 0, self.dtype)
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            if len(given.shape) == 1:
                given = given[:, None]
            weights = weights * given
        positive = ops.where(labels > 0, weights, 0)
        negative = ops.where(labels > 0, 0, weights)
        first, second = scores[:, :, None], scores[:, None, :]
        wins = ops.cast(first > second, self.dtype)
        wins += ops.cast(first == second, self.dtype) / 2
        won = ops.matmul(wins, negative[:, :, None])[:, :, 0]
        positives, negatives = ops.sum(positive, -1), ops.sum(negative, -1)
        pairs = positives * negatives
        auc = ops.sum(positive * won, -1) / ops.where(pairs > 0, pairs, 1)
        unknown = ops.any((labels >= 0) & ops.isnan(scores), axis=-1)
        super().update_state(
            ops.where(unknown, np.nan, auc),
            ops.where(pairs > 0, positives + negatives, 0),
        )
