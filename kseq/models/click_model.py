from typing import Any

import keras
from keras import ops

from kseq.checks import Unquoted, describe_inputs, raise_invalid
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that accepts the arguments of DeepCTR's scripts.

    Beyond what every Keras model accepts, `fit`, `evaluate` and `predict` take
    a list of arrays in the order of `get_feature_names`, of which some, such as
    DIN's lengths, may be no inputs of the model. Targets may have the shape
    `(batch,)`.

    Attributes:
        feature_names: the names of all features, in the order of such a list.
    """

    def __init__(
        self, *args: Any, feature_names: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.feature_names = tuple(feature_names)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_names": [*self.feature_names]}

    # Shapes are checked before Keras's loops start: on TensorFlow these accept
    # histories of any length once they are traced, and on JAX an error inside
    # `predict` or `evaluate` deletes the model's weights.

    def fit(
        self,
        x: Any = None,
        *args: Any,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> Any:
        if isinstance(validation_data, (list, tuple)):
            inputs, *targets = validation_data
            validation_data = (self._checked(inputs), *targets)
        return super().fit(
            self._checked(x), *args, validation_data=validation_data, **kwargs
        )

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(self._checked(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().predict(self._checked(x), *args, **kwargs)

    def _checked(self, x: Any) -> Any:
        """Return arrays by name; raise ValueError for a wrong shape.

        A data set is returned unchanged.
        """
        inputs = {symbol.name: symbol.shape for symbol in self.inputs}
        if isinstance(x, (list, tuple)):
            names = self.feature_names
            if len(x) != len(names):
                names = tuple(inputs)
            if len(x) != len(names):
                raise_invalid("x", f"a list of {[*names]}", describe_inputs(x))
            x = dict(zip(names, x, strict=True))
        if not isinstance(x, dict):
            return x
        if missing := inputs.keys() - x.keys():
            received = Unquoted(f"none of {sorted(missing)}")
            raise_invalid("x", f"all of {[*inputs]}", received)
        for name, expected in inputs.items():
            shape = getattr(x[name], "shape", ())
            # Keras adds or removes a last axis of size 1 and checks the rank.
            if len(shape) == len(expected) and not is_compatible(
                shape, expected
            ):
                raise_invalid(
                    name, f"shape {expected}", describe_inputs(x[name])
                )
        return x

    def compute_metrics(
        self, x: Any, y: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> dict[str, Any]:
        # DeepCTR's scripts have targets (batch,) and the metric
        # "binary_crossentropy", which requires (batch, 1).
        if y is not None:
            y = ops.reshape(y, ops.shape(y_pred))
        return super().compute_metrics(x, y, y_pred, sample_weight)


def is_compatible(shape: Shape, expected: Shape) -> bool:
    """Whether a shape has the expected rank and known sizes."""
    return len(shape) == len(expected) and all(
        size in (None, got) for size, got in zip(expected, shape, strict=True)
    )
