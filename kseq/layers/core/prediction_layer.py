from typing import Any

import keras
from keras import ops

from kseq.checks import check_bool, check_one_of
from kseq.layers.checked_layer import CheckedLayer
from kseq.types import Shape, Tensor

TASKS = ("binary", "regression")


@keras.saving.register_keras_serializable(package="kseq")
class PredictionLayer(CheckedLayer):
    r"""A model's last layer: a global bias, and a probability of it.

    $$y = \sigma(x + b) \;\text{ ('binary') or }\; x + b \;\text{
      ('regression')}$$

    Args:
        task: 'binary' or 'regression'.
        use_bias: whether there is a $b$; it begins at 0.

    Call arguments:
        inputs: logits, of any shape.

    Returns:
        As `inputs`, in the compute dtype.

    Raises:
        ValueError: an argument is out of range, or the input is no tensor of
            numbers.

    Differences from DeepCTR:
        The shape stays; DeepCTR makes `(-1, 1)` of any. No 'multiclass', which
        in DeepCTR does what 'regression' does.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.core import PredictionLayer
    >>> y = PredictionLayer()(np.array([[0.0], [100.0]], "float32"))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[0.5], [1.0]]
    """

    def __init__(
        self, task: str = "binary", use_bias: bool = True, **kwargs: Any
    ) -> None:
        task = check_one_of("task", task, TASKS)
        use_bias = check_bool("use_bias", use_bias)
        super().__init__(**kwargs)
        self.task = task
        self.use_bias = use_bias
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.global_bias = None
        if self.use_bias:
            self.global_bias = self.add_weight(
                shape=(1,), initializer="zeros", name="global_bias"
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        if self.global_bias is not None:
            x = x + ops.convert_to_tensor(self.global_bias)
        return ops.sigmoid(x) if self.task == "binary" else x

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "task": self.task,
            "use_bias": self.use_bias,
        }
