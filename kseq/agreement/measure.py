"""Computes a case on the backend in use."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import probes
from kseq.agreement.cases import Case
from kseq.agreement.reference import complex_step_gradients, flatten
from kseq.ops.numerics import dtype_of
from kseq.types import Tensor

FIT_STEPS = 20


def seed_weights(layer: Any, seed: int = 0) -> None:
    """Give a built layer weights that are the same on every backend.

    Keras's initializers draw other numbers on every backend. The values are
    rounded to 8 significant bits, so that every dtype holds them exactly.

    Args:
        layer: a built layer or model.
        seed: another seed gives other weights.
    """
    for i, weight in enumerate(layer.weights):
        draw = np.random.default_rng([seed, i]).normal(size=weight.shape)
        # What is named a variance must be positive.
        value = np.exp(draw / 2) if "variance" in weight.name else draw / 2
        weight.assign(eight_bits(value))


def eight_bits(x: Any) -> Any:
    """`x` rounded to 8 significant bits, which each float dtype has."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def measure(case: Case, dtype: str, kind: str) -> dict[str, Any]:
    """What a case gives on this backend.

    Args:
        case: what to compute.
        dtype: the dtype policy to compute it under.
        kind: "forward", "forward_compiled": the outputs; "gradients",
            "gradients_compiled": the gradients of `sum(outputs * c)`, `c` from
            a fixed random generator, for inputs of floats and trainable
            weights; "fit": losses and weights of 20 steps of training.

    Returns:
        Tensors of the backend by name.
    """
    with dtype_scope(dtype):
        layer, inputs, kwargs = built(case, dtype)
        compiled = kind.endswith("_compiled")
        if kind == "fit":
            return fit(layer, inputs, kwargs, dtype)
        if kind.startswith("forward"):
            return name_outputs(probes.forward(layer, inputs, kwargs, compiled))
        outputs = probes.forward(layer, inputs, kwargs, compiled=False)
        cotangents = [
            ops.cast(ops.convert_to_tensor(c), output.dtype)
            for c, output in zip(cotangents_of(outputs), outputs, strict=True)
        ]
        # Anew: the forward pass may have moved statistics.
        layer, inputs, kwargs = built(case, dtype)
        of_inputs, of_weights = probes.gradients(
            layer, inputs, kwargs, cotangents, compiled
        )
        return name_gradients(layer, of_inputs, of_weights)


def reference_values(case: Case, kind: str) -> dict[str, Any]:
    """What the case's float64 reference gives; empty where there is none."""
    if case.reference is None or kind == "fit":
        return {}
    # Only its weights' shapes and order are of the backend.
    layer, arrays, _ = _anew(case)
    inputs = [
        x.astype("float64") if x.dtype.kind == "f" else x
        for x in flatten(arrays)
    ]
    weights = [
        keras.ops.convert_to_numpy(w.value).astype("float64")
        for w in weights_of(layer)
    ]
    outputs = flatten(case.reference(inputs, weights))
    if kind.startswith("forward"):
        return name_outputs(outputs)
    of_inputs, of_weights = complex_step_gradients(
        case.reference, inputs, weights, cotangents_of(outputs)
    )
    trainable = [
        gradient
        for gradient, weight in zip(of_weights, weights_of(layer), strict=True)
        if weight.trainable
    ]
    return name_gradients(
        layer, [g for g in of_inputs if g is not None], trainable
    )


@contextlib.contextmanager
def dtype_scope(dtype: str) -> Iterator[None]:
    """Keras's defaults set to a dtype, and put back afterwards."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    with contextlib.ExitStack() as stack:
        if dtype == "float64":
            stack.enter_context(probes.float64())
            keras.config.set_floatx("float64")
        keras.config.set_dtype_policy(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)


def _anew(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """The case's layer, built and with its weights, and its arrays."""
    layer, inputs, *rest = case.build()
    kwargs = dict(rest[0]) if rest else {}
    if isinstance(layer, keras.Layer):
        if not layer.built:
            shapes = [x.shape for x in flatten(inputs)]
            layer.build(shapes if isinstance(inputs, list) else shapes[0])
        seed_weights(layer)
    return layer, inputs, kwargs


def built(case: Case, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """As `_anew`, with tensors of a dtype for arrays."""
    layer, inputs, kwargs = _anew(case)

    def tensor(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return ops.convert_to_tensor(
            x, dtype=dtype if x.dtype.kind == "f" else None
        )

    kwargs = {name: tensor(value) for name, value in kwargs.items()}
    return layer, keras.tree.map_structure(tensor, inputs), kwargs


def weights_of(layer: Any) -> list[Any]:
    """A layer's weights; none of a function."""
    return list(getattr(layer, "weights", []))


def cotangents_of(outputs: list[Any]) -> list[Any]:
    """What the outputs are weighed with to differentiate their sum."""
    return [
        eight_bits(np.random.default_rng([7, i]).normal(size=tuple(o.shape)))
        for i, o in enumerate(outputs)
    ]


def name_outputs(outputs: list[Any]) -> dict[str, Any]:
    return {f"output {i}": output for i, output in enumerate(outputs)}


def name_gradients(
    layer: Any, of_inputs: list[Any], of_weights: list[Any]
) -> dict[str, Any]:
    named = {f"input {i}": g for i, g in enumerate(of_inputs)}
    trainable = [w for w in weights_of(layer) if w.trainable]
    for i, (w, g) in enumerate(zip(trainable, of_weights, strict=True)):
        named[f"weight {i} {w.name}"] = g
    return named


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


def squared_error(target: Tensor, output: Tensor) -> Tensor:
    # Not Keras's: its mean rounds 64 bits to 32.
    error = output - target
    return ops.sum(error * error, axis=-1)


def fit(
    layer: Any, inputs: Any, kwargs: dict[str, Any], dtype: str
) -> dict[str, Any]:
    """Losses and final weights of 20 steps of training on one batch."""
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
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss=[squared_error] * len(outputs),
    )
    # The first of each array keeps the batch at hand: one batch a step.
    data = [ops.convert_to_numpy(x) for x in arrays]
    targets = [
        np.asarray(c, dtype)
        for c in cotangents_of(
            [np.empty((len(data[0]), *o.shape[1:])) for o in outputs]
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
    result: dict[str, Any] = {"losses": np.array(history.history["loss"])}
    for i, weight in enumerate(model.weights):
        result[f"weight {i} {weight.name}"] = ops.convert_to_tensor(weight)
    return result
