"""The computations of a case and their numbers, compared with formulas."""

import contextlib
import re
from unittest.mock import Mock

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.cases import Case
from kseq.agreement.fit import FIT_STEPS
from kseq.agreement.measure import dtype_scope, measure, reference_values
from kseq.agreement.numbers import cotangents_of, rounded
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import BITS, left_out
from tests.layers.checks import skip_left_out

X = np.array([[0.3, -1.7, 2.1], [1.0 / 3, 0.0, -0.9]])
Y = np.array([[0.7], [-0.2]])
NUMBER = np.array([[2], [-3]], "int32")


class Twice(keras.layers.Layer):
    """Two inputs, one of them integers, two outputs and a keyword argument.

    The weights are trainable, non-trainable and an integer counter.
    """

    def build(self, input_shape):
        width = input_shape[0][-1]
        self.kernel = self.add_weight(shape=(width,), name="kernel")
        self.moving_variance = self.add_weight(
            shape=(width,), trainable=False, name="moving_variance"
        )
        self.count = self.add_weight(
            shape=(), dtype="int32", trainable=False, name="count"
        )
        self.built = True

    def call(self, inputs, shift=None, power=1):
        x, number = inputs
        y = x * ops.cast(number, x.dtype) * self.kernel / self.moving_variance
        return y + shift, {"power": y**power}


def twice():
    return Twice(), [X, NUMBER], {"shift": Y, "power": 2}


def twice_in_numpy(inputs, weights):
    x, number = inputs
    kernel, variance = weights[:2]  # without the counter
    y = x * number * kernel / variance
    return [y + rounded(Y, "float32"), y**2]


def draw(seed, position):
    """The weights that `seed_weights` gives, before they are rounded."""
    return np.random.default_rng([seed, position]).normal(size=3) / 2


TWICE = Case("twice", twice, twice_in_numpy)
INPUTS = [rounded(X, "float32"), NUMBER]
WEIGHTS = [rounded(w, "float32") for w in (draw(0, 0), np.exp(draw(0, 1)))]


def assert_equal(got, expected, tolerance=1e-6):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            to_numpy(got[name]), value, rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("kind", ["forward", "forward_compiled"])
def test_outputs(kind):
    first, second = twice_in_numpy(INPUTS, WEIGHTS)
    expected = {"output 0": first, "output 1": second}
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-15)
    skip_left_out(kind)
    assert_equal(measure(TWICE, "float32", kind), expected)


@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_gradients(kind):
    outputs = twice_in_numpy(INPUTS, WEIGHTS)
    first, second = cotangents_of(outputs, "float32")
    (x, number), (kernel, variance) = INPUTS, WEIGHTS
    by_number = number / variance
    y_gradient = first + second * 2 * x * by_number * kernel
    expected = {
        "input 0": y_gradient * by_number * kernel,
        "weight 0 kernel": (y_gradient * x * by_number).sum(axis=0),
    }
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-12)
    skip_left_out(kind)
    assert_equal(measure(TWICE, "float32", kind), expected, 1e-5)


@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_kinds_are_compiled(monkeypatch, kind, compiled):
    """Numbers alone would not show it."""
    results = {"forward": [ops.ones(2)], "gradients": ([], [])}
    for name, result in results.items():
        monkeypatch.setattr(probes, name, Mock(return_value=result))
    name = f"{kind}_compiled" if compiled else kind
    measure(Case("f", lambda: (abs, X)), "float32", name)
    assert getattr(probes, kind).call_args.args[-1] == compiled


class Ignores(keras.layers.Layer):
    """A constant output, such as a mask, an unused input and weight."""

    def build(self, input_shape):
        self.unused = self.add_weight(shape=(2,), name="unused")
        self.built = True

    def call(self, inputs):
        return 2 * inputs[0], ops.ones_like(inputs[0][:, 0])


@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_gradients_are_zero_where_nothing_depends_on_an_argument(kind):
    skip_left_out(kind)
    case = Case("ignores", lambda: (Ignores(), [X, Y]))
    cotangent, _ = cotangents_of([X, X[:, 0]], "float32")
    expected = {"input 0": 2 * cotangent, "input 1": 0, "weight 0 unused": 0}
    assert_equal(measure(case, "float32", kind), expected)
    constant = Case("constant", lambda: (ops.ones_like, X))
    assert_equal(measure(constant, "float32", kind), {"input 0": 0 * X})


@pytest.mark.parametrize("count", [1, 2])
def test_fit_is_gradient_descent_with_momentum(count, capsys):
    """On one batch, of one or two inputs and outputs, without printing."""
    skip_left_out("fit")

    class Times(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(3,), name="kernel")
            self.built = True

        def call(self, inputs, shift=None, power=1):
            x = inputs
            if count == 2:
                x = inputs[0] * ops.cast(inputs[1], "float32")
            y = x**power * self.kernel + shift
            return y if count == 1 else (y[:, :1], y[:, 1:])

    rows = 40
    x, number, shift = (a.repeat(rows // 2, axis=0) for a in (X, NUMBER, Y))
    given = x if count == 1 else [x, number]
    case = Case("times", lambda: (Times(), given, {"shift": shift, "power": 2}))
    # `fit` seeds all weights of the model: first its scale, then the layer's.
    scale, kernel = (rounded(draw(1, i), "float32") for i in range(2))
    x, shift = rounded(x, "float32"), rounded(shift, "float32")
    if count == 2:
        x = x * number
    outputs = np.split(x, [1] * (count - 1), axis=1)
    target = np.hstack(cotangents_of(outputs, "float32"))
    scale_velocity = kernel_velocity = 0.0
    losses = []
    for _ in range(FIT_STEPS):
        error = (x * scale) ** 2 * kernel + shift - target
        losses.append((error**2).sum(axis=0) / rows)
        error = 2 * error / rows
        scale_gradient = (error * x**2 * scale * 2 * kernel).sum(axis=0)
        kernel_gradient = (error * (x * scale) ** 2).sum(axis=0)
        scale_velocity = 0.875 * scale_velocity - 2**-7 * scale_gradient
        kernel_velocity = 0.875 * kernel_velocity - 2**-7 * kernel_gradient
        scale, kernel = scale + scale_velocity, kernel + kernel_velocity
    expected = {"weight 0 scale": scale, "weight 1 kernel": kernel}
    for i, of_output in enumerate(np.split(losses, [1] * (count - 1), axis=1)):
        expected[f"losses of output {i}"] = of_output.sum(axis=1)
    assert_equal(measure(case, "float32", "fit"), expected, 1e-5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.once
@pytest.mark.parametrize(("dtype", "bits"), BITS.items())
@pytest.mark.parametrize("scale", [1.0, -(2.0**40)])
def test_numbers_are_rounded_to_the_bits_of_a_dtype(dtype, bits, scale):
    above = scale * (1 + 2.0 ** (1 - bits))
    assert rounded(above, dtype) == above
    if dtype != "float64":
        assert rounded(0.75 * above + 0.25 * scale, dtype) == above
        assert rounded(0.25 * above + 0.75 * scale, dtype) == scale
    assert rounded(0.0, dtype) == 0.0


@pytest.mark.once
def test_cotangents_are_drawn_for_each_output():
    shapes = (2, 3), (1,)
    found = cotangents_of([np.ones(shape) for shape in shapes], "float16")
    for i, shape in enumerate(shapes):
        drawn = np.random.default_rng([7, i]).normal(size=shape)
        np.testing.assert_array_equal(found[i], rounded(drawn, "float16"))


@pytest.mark.once
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_dtype_scope_sets_and_restores_the_defaults(dtype):
    before = keras.config.dtype_policy(), keras.config.floatx()
    with contextlib.suppress(RuntimeError), dtype_scope(dtype):
        # Half precision is a policy only.
        expected = "float64" if dtype == "float64" else before[1]
        assert keras.config.floatx() == expected
        assert keras.config.dtype_policy().name == dtype
        raise RuntimeError
    assert (keras.config.dtype_policy(), keras.config.floatx()) == before


@pytest.mark.once
@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize(
    ("outputs", "received"),
    [
        (None, "[None]"),
        (np.array([None, 1.0]), "[object of shape (2,)]"),
        (np.ones(2) + 1j, "[complex128 of shape (2,)]"),
        ([np.ones((1, 2))], "[float64 of shape (1, 2)]"),
        ([], "[]"),
    ],
)
def test_a_reference_with_invalid_outputs_raises(kind, outputs, received):
    case = Case("f", lambda: (abs, np.ones(2)), lambda inputs, weights: outputs)
    message = rf"^reference of case 'f': .*received {re.escape(received)}$"
    with pytest.raises(ValueError, match=message):
        reference_values(case, "float32", kind)


@pytest.mark.once
@pytest.mark.parametrize(
    ("backend", "kind", "dtype", "reason"),
    [
        ("torch", "forward", "float64", None),
        ("torch", "fit", "bfloat16", "half precision"),
        ("numpy", "forward", "float64", "computes float64"),
        ("openvino", "fit", "float32", "no gradients"),
    ],
)
def test_the_exclusions_of_a_backend(backend, kind, dtype, reason):
    found = left_out(backend, kind, dtype)
    assert found is None if reason is None else reason in found
