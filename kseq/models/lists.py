"""Losses and metrics of models that score several candidates of an example.

Each candidate counts as an example, except for losses and metrics of whole
lists. Candidates that are padding are left out of both.
"""

from typing import Any

import keras
from keras import ops

from kseq.checks import Unquoted, raise_invalid
from kseq.types import Tensor


def is_listwise(x: Any) -> bool:
    """Whether a loss or metric takes lists, in which -1 marks padding."""
    return getattr(x, "listwise", False) or type(x).__module__.startswith(
        "keras_rs."
    )


def pack(y: Any, scores: Tensor, valid: Tensor) -> Any:
    """Targets `(batch, candidates, 2)`: the labels, and 0 for padding."""
    valid = ops.cast(valid, scores.dtype)

    def pack_one(y: Tensor) -> Tensor:
        y = ops.convert_to_tensor(y)
        sizes = zip(y.shape[:2], scores.shape, strict=False)
        if len(y.shape) < 2 or any(a != b for a, b in sizes if a and b):
            expected = f"targets for each candidate, {tuple(scores.shape)}"
            raise_invalid("y", expected, Unquoted(f"shape {tuple(y.shape)}"))
        y = ops.reshape(ops.cast(y, scores.dtype), ops.shape(scores))
        return ops.stack([y, valid], axis=-1)

    return keras.tree.map_structure(pack_one, y)


def _unpack(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """The labels, and 1 or 0 for padding, in the dtype of the scores."""
    y_true = ops.cast(y_true, y_pred.dtype)
    return y_true[..., 0], y_true[..., 1]


def _list_labels(labels: Tensor, valid: Tensor) -> Tensor:
    return ops.where(valid > 0, labels, -1.0)


def _weights(valid: Tensor, sample_weight: Any) -> Tensor:
    """The weight of each candidate, 0 for padding."""
    if sample_weight is None:
        return valid
    weights = ops.cast(sample_weight, valid.dtype)
    return valid * (weights[:, None] if len(weights.shape) == 1 else weights)


class _Wrapper:
    """What has a loss or metric in its config."""

    wrapped: Any
    name: str

    def get_config(self) -> dict[str, Any]:
        wrapped = keras.saving.serialize_keras_object(self.wrapped)
        return {"wrapped": wrapped, "name": self.name}

    @classmethod
    def from_config(cls: Any, config: dict[str, Any]) -> Any:
        wrapped = keras.saving.deserialize_keras_object(config["wrapped"])
        return cls(wrapped, config["name"])


@keras.saving.register_keras_serializable(package="kseq")
class CandidateLoss(_Wrapper, keras.losses.Loss):
    """A loss of packed targets and scores `(batch, candidates)`."""

    def __init__(self, wrapped: Any, name: str | None = None) -> None:
        name = name or getattr(wrapped, "name", "loss")
        reduction = getattr(wrapped, "reduction", "sum_over_batch_size")
        super().__init__(name=name, reduction=reduction)
        self.wrapped = wrapped

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> Tensor:
        labels, valid = _unpack(y_true, y_pred)
        if is_listwise(self.wrapped):
            labels = _list_labels(labels, valid)
            return self.wrapped(labels, y_pred, sample_weight)
        weights = _weights(valid, sample_weight)
        if self.reduction in ("sum_over_batch_size", "mean"):
            # Keras divides by the number of candidates, padding included.
            number = ops.cast(ops.size(valid), valid.dtype)
            weights = weights * number / ops.maximum(ops.sum(valid), 1.0)
        return super().__call__(labels, y_pred, weights)

    def call(self, labels: Tensor, scores: Tensor) -> Tensor:
        """The loss of each candidate."""
        function = getattr(self.wrapped, "call", self.wrapped)
        return function(labels[..., None], scores[..., None])


@keras.saving.register_keras_serializable(package="kseq")
class CandidateMetric(_Wrapper, keras.metrics.Metric):
    """A metric of packed targets and scores `(batch, candidates)`."""

    def __init__(self, wrapped: Any, name: str | None = None) -> None:
        super().__init__(name=name or wrapped.name)
        self.wrapped = wrapped

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> Any:
        labels, valid = _unpack(y_true, y_pred)
        if is_listwise(self.wrapped):
            labels = _list_labels(labels, valid)
            return self.wrapped.update_state(labels, y_pred, sample_weight)
        return self.wrapped.update_state(
            ops.reshape(labels, (-1, 1)),
            ops.reshape(y_pred, (-1, 1)),
            ops.reshape(_weights(valid, sample_weight), (-1,)),
        )

    def result(self) -> Any:
        return self.wrapped.result()

    def reset_state(self) -> None:
        self.wrapped.reset_state()


def candidate_loss(loss: Any) -> Any:
    if loss is None or isinstance(loss, CandidateLoss):
        return loss
    if loss in ("crossentropy", "ce"):
        loss = "binary_crossentropy"
    return CandidateLoss(keras.losses.get(loss))


def candidate_metric(metric: Any) -> Any:
    if metric is None or isinstance(metric, CandidateMetric):
        return metric
    name = metric if isinstance(metric, str) else None
    short = {"accuracy": "binary_accuracy", "acc": "binary_accuracy"}
    short |= dict.fromkeys(("crossentropy", "ce"), "binary_crossentropy")
    metric = keras.metrics.get(short.get(name or "", metric))
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric)
    return CandidateMetric(metric, name)
