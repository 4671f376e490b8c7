import functools
import inspect
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kseq.checks import Unquoted, describe_inputs, raise_invalid
from kseq.frames import to_dict
from kseq.layers.core.embedding import training_step
from kseq.models.arrays import (
    check_shape,
    is_backend_tensor,
    to_array,
    to_targets,
)
from kseq.models.lists import candidate_loss, candidate_metric, pack
from kseq.models.parts import CandidateScores, valid_ids
from kseq.models.split import find_layer, vocabulary_sizes
from kseq.ops.backends import train_step
from kseq.optimizers import SparseUpdates
from kseq.types import Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that validates its inputs.

    `fit`, `evaluate`, `predict` and their `..._on_batch` forms raise ValueError
    for invalid arrays ("Input validation" in docs/inputs.md), and accept lists
    and data frames. Targets may have the shape `(batch,)`. With several
    candidates, targets and sample weights have the shape `(batch, candidates)`,
    and each candidate counts as an example.
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

    # Arrays are checked before Keras's loops start: on TensorFlow these accept
    # histories of any length once they are traced, and on JAX an error inside
    # `predict` or `evaluate` deletes the model's weights.

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().evaluate, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().predict, args, kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().train_on_batch, args, kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().test_on_batch, args, kwargs)

    @functools.wraps(keras.Model.predict_on_batch)
    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(super().predict_on_batch, args, kwargs)

    def _call(self, method: Any, args: Any, kwargs: Any) -> Any:
        """Call a method of Keras with validated arrays."""
        bound = _signature(method.__name__).bind(self, *args, **kwargs)
        given = bound.arguments
        if self._has_lists and given.get("class_weight") is not None:
            # Keras would take the labels of a list for a one-hot class.
            expected = "None for several candidates; use sample_weight"
            raise_invalid("class_weight", expected, given["class_weight"])
        given["x"] = self._checked(given.get("x"))
        for name in {"y", "sample_weight"} & given.keys():
            given[name] = to_targets(name, given[name])
        validation = given.get("validation_data")
        if isinstance(validation, (list, tuple)):
            x, *rest = validation
            targets = map(to_targets, ("y", "sample_weight"), rest)
            given["validation_data"] = (self._checked(x), *targets)
        return method(*bound.args[1:], **bound.kwargs)

    def _checked(self, x: Any) -> Any:
        """Return arrays by name; raise ValueError for wrong ones.

        A data set is returned unchanged. Of tensors only shapes are checked:
        their values may be on a device.
        """
        symbols = {symbol.name: symbol for symbol in self.inputs}
        x = to_dict(x)
        if isinstance(x, (list, tuple)):
            if len(x) != len(symbols):
                raise_invalid(
                    "x", f"a list of {[*symbols]}", describe_inputs(x)
                )
            x = dict(zip(symbols, x, strict=True))
        if not isinstance(x, Mapping):
            if hasattr(x, "shape"):
                expected = f"a dict, a data frame or a list of {[*symbols]}"
                raise_invalid("x", expected, describe_inputs(x))
            return x
        if missing := symbols.keys() - x.keys():
            received = Unquoted(f"none of {sorted(missing)}")
            raise_invalid("x", f"all of {[*symbols]}", received)
        sizes = vocabulary_sizes(self)
        arrays = {}
        for name, symbol in symbols.items():
            array = x[name]
            if not is_backend_tensor(array):
                size = sizes.get(name)
                array = to_array(name, array, symbol.dtype, size)
            check_shape(name, array, symbol.shape)
            arrays[name] = array
        rows = {name: array.shape[0] for name, array in arrays.items()}
        if len({*rows.values()}) > 1:
            raise_invalid("x", "one number of rows for all features", rows)
        return arrays

    @property
    def _has_lists(self) -> bool:
        """Whether the output has several candidates, or any number."""
        return bool(self.outputs[0].shape[1] != 1)

    def _valid_candidates(self, x: Any) -> Tensor:
        """A mask `(batch, candidates)`, computed from the model's inputs."""
        if not isinstance(x, dict):
            names = (symbol.name for symbol in self.inputs)
            x = dict(zip(names, keras.tree.flatten(x), strict=True))
        scores = find_layer(self, CandidateScores)
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
            y = keras.tree.map_structure(
                lambda t: ops.expand_dims(t, -1) if len(t.shape) == 1 else t, y
            )
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_compile_config(self) -> dict[str, Any]:
        # A file must load and train on every backend. Keras stores whether the
        # backend that saved it compiles by default; each chooses for itself.
        config = super().get_compile_config()
        return {**_portable(config), "jit_compile": "auto"} if config else {}


@functools.cache
def _signature(method: str) -> inspect.Signature:
    return inspect.signature(getattr(keras.Model, method))


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
