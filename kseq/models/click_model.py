from typing import Any

import keras
from keras import ops

from kseq.checks import Unquoted, describe_inputs, raise_invalid
from kseq.layers.core.embedding import training_step
from kseq.ops.backends import train_step
from kseq.optimizers import SparseUpdates
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that validates its inputs.

    `fit`, `evaluate` and `predict` raise ValueError for missing features and
    for histories of another length than `maxlen`. Targets may have the shape
    `(batch,)`.
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
        for name, expected in shapes.items():
            shape = getattr(x[name], "shape", ())
            # Keras adds or removes a last axis of size 1 and checks the rank.
            if len(shape) == len(expected) and not is_compatible(
                shape, expected
            ):
                raise_invalid(
                    name, f"shape {expected}", describe_inputs(x[name])
                )
        return {name: x[name] for name in shapes}

    def compute_metrics(
        self, x: Any, y: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> dict[str, Any]:
        # DeepCTR's scripts have targets (batch,) and the metric
        # "binary_crossentropy", which requires (batch, 1).
        if y is not None:
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
