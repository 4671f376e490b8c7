"""Train a layer for a few steps with Keras's own `fit`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement.computation import Built
from kseq.agreement.numbers import cotangent, name_of, seed_weights
from kseq.ops.dtypes import dtype_of
from kseq.types import Tensor

FIT_STEPS = 20


class Scale(keras.layers.Layer):
    """Multiply inputs by a weight, so that there is always one to train."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(
            shape=(input_shape[-1],), initializer="ones", name="scale"
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * ops.convert_to_tensor(self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class SquaredError(keras.losses.Loss):
    """The squared error, averaged over the batch in the layer's own dtype.

    On PyTorch, Keras's own mean of losses and its gradient are computed in 32
    bits (docs/upstream/torch_loss_float64.py).
    """

    def __init__(self, batch: int) -> None:
        super().__init__(reduction="sum")
        self.batch = batch

    def call(self, target: Tensor, output: Tensor) -> Tensor:
        # Keras casts both, but not where `LastLoss` calls this.
        error = ops.cast(output, target.dtype) - target
        return ops.sum(error * error, axis=-1) / self.batch


class LastLoss(keras.metrics.Metric):
    """The loss of the last batch; Keras's own is a mean, see `SquaredError`."""

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


def fit(built: Built, dtype: str) -> dict[str, Any]:
    """Return the losses and final weights of 20 training steps on one batch.

    Every floating-point argument is scaled by a weight, so that a layer without
    weights can be trained too.
    """
    arguments = built.args, built.kwargs
    flat = keras.tree.flatten(arguments)
    positions = [i for i, x in enumerate(flat) if ops.is_tensor(x)]
    symbols = []
    for i in positions:
        shape, name = tuple(flat[i].shape[1:]), dtype_of(flat[i])
        symbol = keras.Input(shape, dtype=name)
        symbols.append(symbol)
        is_scaled = keras.backend.is_float_dtype(name) and shape
        flat[i] = Scale()(symbol) if is_scaled else symbol
    args, kwargs = keras.tree.pack_sequence_as(arguments, flat)
    outputs = keras.tree.flatten(built.function(*args, **kwargs))
    outputs = [
        x
        for x in outputs
        if keras.backend.is_float_dtype(dtype_of(x))
        and x.shape
        and x.shape[0] is None
    ]
    if not outputs:
        return {}
    model = keras.Model(symbols, outputs)
    seed_weights(model, seed=1, dtype=dtype)
    tensors = keras.tree.flatten(arguments)
    data = [ops.convert_to_numpy(tensors[i]) for i in positions]
    losses = [f"losses of output {i}" for i in range(len(outputs))]
    loss = SquaredError(batch=len(data[0]))
    metrics = [LastLoss(loss, name) for name in losses]
    model.compile(
        # Exact in float32, unlike 0.01: every dtype gets the same rates.
        keras.optimizers.SGD(2**-7, momentum=0.875),
        loss=[loss for _ in outputs],
        metrics=metrics if len(metrics) == 1 else [[m] for m in metrics],
        # A scaled float16 gradient can overflow on one backend alone, and its
        # step would be skipped.
        auto_scale_loss=False,
    )
    targets = [
        ops.convert_to_numpy(
            ops.convert_to_tensor(
                cotangent(i, (len(data[0]), *x.shape[1:]), dtype), dtype_of(x)
            )
        )
        for i, x in enumerate(outputs)
    ]
    history = model.fit(
        data,
        targets,
        batch_size=len(data[0]),
        epochs=FIT_STEPS,
        shuffle=False,
        verbose=0,
    )
    # Keras prefixes the name of a metric with that of its output.
    result: dict[str, Any] = {
        name: np.array(values)
        for name in losses
        for key, values in history.history.items()
        if key.endswith(name)
    }
    for i, weight in enumerate(model.weights):
        result[f"weight {i} {name_of(weight)}"] = ops.convert_to_tensor(weight)
    return result
