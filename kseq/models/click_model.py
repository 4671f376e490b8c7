from typing import Any

import keras
from keras import ops

from kseq.checks import Unquoted, describe_inputs, raise_invalid
from kseq.layers.core.embedding import training_step
from kseq.models.lists import candidate_loss, candidate_metric, pack
from kseq.models.parts import CandidateScores, valid_ids
from kseq.ops.backends import train_step
from kseq.optimizers import SparseUpdates
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that validates its inputs.

    `fit`, `evaluate` and `predict` raise ValueError for missing features and
    for histories of another length than `maxlen`. Targets may have the shape
    `(batch,)`. With several candidates, targets and sample weights have the
    shape `(batch, candidates)`, and each candidate counts as an example.
    """

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        # Keras takes the symbolic tensors of a dict in the order of its sorted
        # names.
        if isinstance(inputs, dict):
            names = [symbol.name for symbol in self.inputs]
            if {*names} <= inputs.keys():
                inputs = [inputs[name] for name in names]
        return super().__call__(inputs, *args, **kwargs)

    def call(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        if not training:
            return super().call(inputs, training, mask, **kwargs)
        with training_step(isinstance(self._optimizer, SparseUpdates)):
            return super().call(inputs, training, mask, **kwargs)

    @property
    def _optimizer(self) -> Any:
        optimizer = getattr(self, "optimizer", None)
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
            if isinstance(optimizer, SparseUpdates):
                raise_invalid(
                    "auto_scale_loss",
                    "False, since the scale depends on the gradients of all "
                    "rows (loss_scale_factor sets a constant one)",
                    True,
                )
        return optimizer

    def train_step(self, *args: Any) -> Any:
        return train_step(self, super().train_step, *args)

    # Shapes are checked before Keras's loops start: on TensorFlow these accept
    # histories of any length once they are traced, and on JAX an error inside
    # `predict` or `evaluate` deletes the model's weights.

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        if self._has_lists and kwargs.get("class_weight") is not None:
            # Keras would take the labels of a list for a one-hot class.
            expected = "None for several candidates; use sample_weight"
            raise_invalid("class_weight", expected, kwargs["class_weight"])
        if isinstance(kwargs.get("validation_data"), (list, tuple)):
            inputs, *targets = kwargs["validation_data"]
            kwargs["validation_data"] = (self._checked(inputs), *targets)
        return super().fit(self._checked(x), *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(self._checked(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().predict(self._checked(x), *args, **kwargs)

    def _checked(self, x: Any) -> Any:
        """Return the inputs by name; raise ValueError for a wrong shape.

        A data set is returned unchanged.
        """
        shapes = {symbol.name: symbol.shape for symbol in self.inputs}
        if isinstance(x, (list, tuple)):
            if len(x) != len(shapes):
                raise_invalid("x", f"a list of {[*shapes]}", describe_inputs(x))
            x = dict(zip(shapes, x, strict=True))
        if not isinstance(x, dict):
            return x
        if missing := shapes.keys() - x.keys():
            received = Unquoted(f"none of {sorted(missing)}")
            raise_invalid("x", f"all of {[*shapes]}", received)
        rows = {}
        for name, expected in shapes.items():
            shape = getattr(x[name], "shape", None)
            if shape is None:  # Keras's error names the type
                continue
            # Keras adds or removes a last axis of size 1.
            allowed = {expected, (*expected, 1)}
            if expected[-1] == 1:
                allowed.add(expected[:-1])
            if not any(is_compatible(shape, e) for e in allowed):
                raise_invalid(
                    name, f"shape {expected}", describe_inputs(x[name])
                )
            rows[name] = shape[0]
        if len({*rows.values()}) > 1:
            raise_invalid("x", "one number of rows for all features", rows)
        return {name: x[name] for name in shapes}

    @property
    def _has_lists(self) -> bool:
        """Whether the output has several candidates, or any number."""
        return bool(self.outputs[0].shape[1] != 1)

    def _valid_candidates(self, x: Any) -> Tensor:
        """A mask `(batch, candidates)`, computed from the model's inputs."""
        if not isinstance(x, dict):
            names = (symbol.name for symbol in self.inputs)
            x = dict(zip(names, keras.tree.flatten(x), strict=True))
        (scores,) = (y for y in self.layers if isinstance(y, CandidateScores))
        return valid_ids(x[name] for name in scores.candidate_ids)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        if self._has_lists:
            loss = keras.tree.map_structure(candidate_loss, loss)
            metrics, weighted_metrics = keras.tree.map_structure(
                candidate_metric, (metrics, weighted_metrics)
            )
        super().compile(
            optimizer, loss, loss_weights, metrics, weighted_metrics, **kwargs
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras calls no `compile` that a class overrides.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        if self._has_lists and y is not None:
            y = pack(y, y_pred, self._valid_candidates(x))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Tensor, sample_weight: Any = None
    ) -> dict[str, Any]:
        if self._has_lists and y is not None:
            y = pack(y, y_pred, self._valid_candidates(x))
        elif y is not None:
            # DeepCTR's scripts have targets (batch,) and the metric
            # "binary_crossentropy", which requires (batch, 1).
            shape = ops.shape(y_pred)
            y = keras.tree.map_structure(lambda t: ops.reshape(t, shape), y)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_compile_config(self) -> dict[str, Any]:
        # A file must load and train on every backend. Keras stores whether the
        # backend that saved it compiles by default; each chooses for itself.
        config = super().get_compile_config()
        return {**_portable(config), "jit_compile": "auto"} if config else {}


def _portable(config: Any) -> Any:
    """A config with the public classes of optimizers.

    On PyTorch Keras writes private ones: see
    docs/upstream/torch_optimizer_class.py.
    """
    if isinstance(config, (list, tuple)):
        return [_portable(value) for value in config]
    if not isinstance(config, dict):
        return config
    config = {key: _portable(value) for key, value in config.items()}
    if ".backend.torch.optimizers." in str(config.get("module")):
        config["module"] = "keras.optimizers"
    return config


def is_compatible(shape: Shape, expected: Shape) -> bool:
    """Whether a shape has the expected rank and known sizes."""
    return len(shape) == len(expected) and all(
        size in (None, got) for size, got in zip(expected, shape, strict=True)
    )
