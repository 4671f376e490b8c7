"""Losses of lists of candidates."""

from typing import Any

import keras
from keras import ops

from kseq.ops.numerics import MASKED_SCORE
from kseq.types import Tensor


@keras.saving.register_keras_serializable(package="kseq")
class SoftmaxLoss(keras.losses.Loss):
    r"""The cross-entropy of a list's labels and the softmax of its logits.

    $$L_b = -\frac{\sum_k y_{bk} \log p_{bk}}{\sum_k y_{bk}}, \qquad
      p_{bk} = \frac{e^{s_{bk}}}{\sum_j e^{s_{bj}}}$$

    over the candidates that are not padding. A list without a positive label
    has the loss 0. For a model that returns logits, which one of `kseq.models`
    does with `task="regression"`.

    Args:
        reduction: how Keras reduces the losses of the lists.
        name: the name of the loss.

    Call arguments:
        y_true: labels `(batch, candidates)`, 0 or greater; less than 0 marks
            padding.
        y_pred: logits `(batch, candidates)`.

    Example:

    >>> import numpy as np
    >>> from kseq.losses import SoftmaxLoss
    >>> labels = np.array([[1.0, 0.0, 0.0, -1.0]])
    >>> loss = SoftmaxLoss()(labels, np.zeros((1, 4)))
    >>> bool(np.isclose(float(loss), np.log(3)))
    True
    """

    listwise = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "softmax_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        valid = y_true >= 0
        labels = ops.where(valid, y_true, 0.0)
        log_p = ops.log_softmax(ops.where(valid, y_pred, MASKED_SCORE))
        total = ops.sum(labels, axis=-1)
        loss = -ops.sum(ops.where(valid, labels * log_p, 0.0), axis=-1)
        return ops.where(total > 0, loss / ops.where(total > 0, total, 1.0), 0)
