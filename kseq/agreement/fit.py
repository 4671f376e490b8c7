"""A short training, through Keras's own `fit`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement.numbers import cotangents_of, seed_weights
from kseq.agreement.reference import flatten
from kseq.ops.dtypes import dtype_of
from kseq.types import Tensor

FIT_STEPS = 20


class Scale(keras.layers.Layer):
    """Multiplies by a weight, so that a layer without weights can be fitted."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(
            shape=(input_shape[-1],), initializer="ones", name="scale"
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * ops.convert_to_tensor(self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class SquaredError(keras.losses.Loss):
    """The squared error of a batch's mean row, and of nothing rounded.

    Keras's own mean of losses has 32 bits on PyTorch, in its result and in its
    gradient (docs/upstream/torch_loss_float64.py).
    """

    def __init__(self, batch: int) -> None:
        super().__init__(reduction="sum")
        self.batch = batch

    def call(self, target: Tensor, output: Tensor) -> Tensor:
        error = output - target
        return ops.sum(error * error, axis=-1) / self.batch


class LastLoss(keras.metrics.Metric):
    """A loss of the last batch: Keras's history shows a mean, see above."""

    def __init__(self, loss: SquaredError, name: str) -> None:
        super().__init__(name=name)
        self.loss = loss
        self.last = self.add_variable((), initializer="zeros", name="last")

    def update_state(
        self, target: Tensor, output: Tensor, sample_weight: Any = None
    ) -> None:
        self.last.assign(ops.sum(self.loss.call(target, output)))

    def result(self) -> Tensor:
        return ops.convert_to_tensor(self.last)


def fit(
    layer: Any, inputs: Any, kwargs: dict[str, Any], dtype: str
) -> dict[str, Any]:
    """Losses and final weights of 20 steps of training on one batch.

    Every input of floats is scaled by a weight, so that any layer has some.
    """
    alone = not isinstance(inputs, list)
    arrays = [inputs] if alone else inputs
    tensors = {n: v for n, v in kwargs.items() if keras.ops.is_tensor(v)}
    options = {n: v for n, v in kwargs.items() if n not in tensors}
    arrays = [*arrays, *tensors.values()]
    symbols = [
        keras.Input(tuple(x.shape[1:]), dtype=dtype_of(x)) for x in arrays
    ]
    features = [
        Scale()(s) if keras.backend.is_float_dtype(dtype_of(s)) else s
        for s in symbols[: len(symbols) - len(tensors)]
    ]
    masks = dict(zip(tensors, symbols[len(features) :], strict=True))
    outputs = layer(features[0] if alone else features, **masks, **options)
    outputs = flatten(outputs)
    model = keras.Model(symbols, outputs)
    seed_weights(model, seed=1)
    losses = [f"losses of output {i}" for i in range(len(outputs))]
    loss = SquaredError(batch=len(arrays[0]))
    metrics = [LastLoss(loss, name) for name in losses]
    model.compile(
        # Numbers that 32 bits hold: a rate of 0.01 is another one there.
        keras.optimizers.SGD(2**-7, momentum=0.875),
        loss=[loss for _ in outputs],
        metrics=metrics if len(metrics) == 1 else [[m] for m in metrics],
    )
    # The first of each array keeps the batch at hand: one batch a step.
    data = [ops.convert_to_numpy(x) for x in arrays]
    targets = [
        np.asarray(c, dtype)
        for c in cotangents_of(
            [np.empty((len(data[0]), *o.shape[1:])) for o in outputs], dtype
        )
    ]
    history = model.fit(
        data,
        targets,
        batch_size=len(data[0]),
        epochs=FIT_STEPS,
        shuffle=False,
        verbose=0,
    )
    # Keras puts the output's name before a metric's.
    result: dict[str, Any] = {
        name: np.array(values)
        for name in losses
        for told, values in history.history.items()
        if told.endswith(name)
    }
    for i, weight in enumerate(model.weights):
        result[f"weight {i} {weight.name}"] = ops.convert_to_tensor(weight)
    return result
