import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import keras
from keras import ops

from kseq.checks import describe_inputs, raise_invalid
from kseq.types import Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that takes what DeepCTR's take, and Keras 3 refuses.

    Targets `(batch,)` to predict `(batch, 1)`: Keras 2 took them, so DeepCTR's
    scripts have them; of Keras 3 the losses do, and most metrics refuse.

    A list of arrays in the order of `get_feature_names`, though the model has
    no input for some of these, such as DIN for lengths.

    Inputs of another shape are refused, and leave its weights in place, on JAX
    too.

    Attributes:
        feature_names: the names of such a list; none where all are inputs.
    """

    feature_names: tuple[str, ...] = ()

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(self._used(inputs), *args, **kwargs)

    # JAX's fit and predict come by this one alone.
    def call(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        return super().call(self._checked(inputs), training, mask, **kwargs)

    def _used(self, inputs: Any) -> Any:
        """The inputs without those that the model does not have."""
        names = self.feature_names
        is_list = isinstance(inputs, (list, tuple))
        if not is_list or not names or len(inputs) != len(names):
            return inputs
        given = dict(zip(names, inputs, strict=True))
        return [given[x.name] for x in self.inputs]

    def _checked(self, inputs: Any) -> Any:
        """As `_used`; refused where they have another shape.

        Keras checks the model's inputs, but not in JAX's predict, and in
        TensorFlow's loops not after they have seen two shapes.
        """
        named = inputs = self._used(inputs)
        if not isinstance(inputs, dict):
            names = [x.name for x in self.inputs]
            named = dict(zip(names, keras.tree.flatten(inputs), strict=False))
        for expected in self.inputs:
            x = named.get(expected.name)
            shape = getattr(x, "shape", None)  # a data set has none
            # Keras adds an axis to ids, or takes one away; it refuses the rest.
            if shape is None or len(shape) != len(expected.shape):
                continue
            sizes = zip(expected.shape[1:], shape[1:], strict=True)
            if any(None not in pair and pair[0] != pair[1] for pair in sizes):
                raise_invalid(
                    expected.name, f"shape {expected.shape}", describe_inputs(x)
                )
        return inputs

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().fit(self._checked(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        x = self._checked(x)
        with self._weights_kept():
            return super().predict(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        x = self._checked(x)
        with self._weights_kept():
            return super().evaluate(x, *args, **kwargs)

    @contextlib.contextmanager
    def _weights_kept(self) -> Iterator[None]:
        """On JAX, an error in Keras's loop would leave the model without any.

        docs/upstream/keras_predict_error.py; fit puts them back itself.
        """
        if not hasattr(self, "jax_state_sync"):
            yield
            return
        variables = [*self.variables, *self.metrics_variables]
        kept = [variable.value for variable in variables]
        try:
            yield
        except BaseException:
            if any(value.is_deleted() for value in kept):
                self.jax_state_sync()  # what the batch before gave back
            else:
                for variable, value in zip(variables, kept, strict=True):
                    variable.assign(value)
            raise

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        if Path(filepath).suffix in (".h5", ".hdf5"):
            raise_invalid(
                "filepath",
                "a path that ends with .keras: from .h5 Keras 3 does not load "
                "the operations that this model has",
                str(filepath),
            )
        super().save(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        if self.feature_names:
            config["feature_names"] = [*self.feature_names]
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        config = dict(config)
        names = config.pop("feature_names", ())
        model = super().from_config(config, custom_objects)
        model.feature_names = tuple(names)
        return model

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Tensor, sample_weight: Any = None
    ) -> Any:
        if y is not None and len(y.shape) == 1:
            y = ops.expand_dims(y, -1)
        return super().compute_metrics(x, y, y_pred, sample_weight)
