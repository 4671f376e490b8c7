from typing import Any

import keras
from keras import ops

from kseq.types import Tensor


@keras.saving.register_keras_serializable(package="kseq")
class ClickModel(keras.Model):
    """A functional model that takes targets `(batch,)` to predict `(batch, 1)`.

    Keras 2 took them, so DeepCTR's scripts have them; of Keras 3 the losses do,
    and most metrics refuse.
    """

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Tensor, sample_weight: Any = None
    ) -> Any:
        if y is not None and len(y.shape) == 1:
            y = ops.expand_dims(y, -1)
        return super().compute_metrics(x, y, y_pred, sample_weight)
