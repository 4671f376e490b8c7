from typing import Any

import keras
from keras import ops

from kseq.checks import check_bool, check_one_of
from kseq.layers.base import Layer
from kseq.types import Shape, Tensor

TASKS = ("binary", "regression")


@keras.saving.register_keras_serializable(package="kseq")
class PredictionLayer(Layer):
    r"""A model's last layer: adds a bias to logits, and applies a sigmoid.

    $$y = \sigma(x + b) \;\text{ ('binary') or }\; x + b \;\text{
      ('regression')}$$

    Args:
        task: 'binary' or 'regression'.
        use_bias: whether to add $b$, initially 0.

    Call arguments:
        inputs: logits, of any shape.

    Returns:
        As `inputs`, in the compute dtype.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        The shape is kept; DeepCTR reshapes to `(-1, 1)`. There is no
        'multiclass', which in DeepCTR is the same as 'regression'.

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
        super().__init__(**kwargs)
        self.task = check_one_of("task", task, TASKS)
        self.use_bias = check_bool("use_bias", use_bias)

    def build(self, input_shape: Shape) -> None:
        self.global_bias = None
        if self.use_bias:
            self.global_bias = self.add_weight(
                shape=(1,), initializer="zeros", name="global_bias"
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        if self.global_bias is not None:
            x = x + ops.cast(self.global_bias, x.dtype)
        return ops.sigmoid(x) if self.task == "binary" else x
