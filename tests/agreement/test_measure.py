"""The computations of a case, compared with formulas in NumPy."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.cases import Case
from kseq.agreement.fit import FIT_STEPS
from kseq.agreement.measure import measure, reference_values
from kseq.agreement.numbers import cotangents_of, rounded, seed_weights
from kseq.agreement.record import to_numpy
from kseq.agreement.tables import left_out
from kseq.ops.dtypes import dtype_of
from tests.layers.checks import skip_left_out

X = np.array([[0.3, -1.7, 2.1], [1.0 / 3, 0.0, -0.9]])
Y = np.array([[0.7], [-0.2]])


def needs(kind):
    reason = left_out(keras.backend.backend(), kind, "float32")
    return pytest.mark.skipif(reason is not None, reason=f"{reason}")


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
        self.last = self.add_weight(shape=(1,), trainable=False, name="last")
        self.built = True

    def call(self, inputs, shift=None, power=1):
        x, number = inputs
        y = x * ops.cast(number, x.dtype) * self.kernel / self.moving_variance
        return y + shift, {"power": y**power}

    def compute_output_shape(self, input_shape, **_):
        return input_shape[0], {"power": input_shape[0]}


NUMBER = np.array([[2], [-3]], "int32")


def twice():
    return Twice(), [X, NUMBER], {"shift": Y, "power": 2}


def twice_in_numpy(inputs, weights):
    x, number = inputs
    kernel, variance, *_ = weights
    y = x * number * kernel / variance
    return [y + rounded(Y, "float32"), y**2]


TWICE = Case("twice", twice, twice_in_numpy)


def draw(seed, position, size=3):
    drawn = np.random.default_rng([seed, position]).normal(size=size) / 2
    return rounded(drawn, "float32")


def weights():
    """The weights that `seed_weights` gives `Twice`, in float32."""
    variance = np.exp(np.random.default_rng([0, 1]).normal(size=3) / 2)
    return [draw(0, 0), rounded(variance, "float32"), np.zeros(())]


def inputs():
    return [rounded(X, "float32"), NUMBER]


def assert_equal(got, expected, tolerance=1e-6):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            to_numpy(got[name]), value, rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(
    "kind", ["forward", pytest.param("forward_compiled", marks=needs("fit"))]
)
def test_outputs(kind):
    first, second = twice_in_numpy(inputs(), weights())
    expected = {"output 0": first, "output 1": second}
    assert_equal(measure(TWICE, "float32", kind), expected)
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-15)


@needs("gradients")
@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_gradients(kind):
    outputs = twice_in_numpy(inputs(), weights())
    first, second = cotangents_of(outputs, "float32")
    (x, number), (kernel, variance, *_) = inputs(), weights()
    by_number = number / variance
    y_gradient = first + second * 2 * x * by_number * kernel
    expected = {
        "input 0": y_gradient * by_number * kernel,
        "weight 0 kernel": (y_gradient * x * by_number).sum(axis=0),
    }
    assert_equal(measure(TWICE, "float32", kind), expected, 1e-5)
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_kinds_are_compiled(monkeypatch, compiled):
    """Numbers alone would not show it."""
    calls = []

    def forward(layer, inputs, kwargs, compiled):
        calls.append(("forward", compiled))
        return [ops.convert_to_tensor(inputs)]

    def gradients(layer, inputs, kwargs, cotangents, compiled):
        calls.append(("gradients", compiled))
        assert dtype_of(cotangents[0]) == "float32"
        return [], []

    monkeypatch.setattr(probes, "forward", forward)
    monkeypatch.setattr(probes, "gradients", gradients)
    case = Case("f", lambda: (abs, X))
    for kind in ("forward", "gradients"):
        measure(case, "float32", kind + "_compiled" * compiled)
    assert calls == [
        ("forward", compiled),
        ("forward", False),  # for the shapes of the cotangents
        ("gradients", compiled),
    ]


def test_without_a_reference_there_are_no_reference_values():
    assert reference_values(Case("twice", twice), "float32", "forward") == {}
    assert reference_values(TWICE, "float32", "fit") == {}


def test_devices_have_names():
    assert probes.device() in ("cpu", "gpu")
    assert all(isinstance(name, str) for name in probes.devices())
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1":
        assert (probes.device(), probes.devices()[0]) == ("cpu", "cpu")


@pytest.mark.parametrize("kind", ["forward", "gradients"])
def test_a_function_has_no_weights(kind):
    case = Case("f", lambda: (lambda x: x * x, X), lambda x, w: x[0] ** 2)
    x = rounded(X, "float32")
    (cotangent,) = cotangents_of([x], "float32")
    expected = {
        "forward": {"output 0": x**2},
        "gradients": {"input 0": 2 * x * cotangent},
    }[kind]
    assert_equal(reference_values(case, "float32", kind), expected, 1e-15)
    skip_left_out(kind)
    assert_equal(measure(case, "float32", kind), expected)


@needs("gradients")
def test_unused_inputs_and_weights_have_zero_gradients():
    class Ignores(keras.layers.Layer):
        def build(self, input_shape):
            self.unused = self.add_weight(shape=(2,), name="unused")
            self.built = True

        def call(self, inputs):
            return 2 * inputs[0]

    case = Case("ignores", lambda: (Ignores(), [X, Y]))
    (cotangent,) = cotangents_of([X], "float32")
    expected = {"input 0": 2 * cotangent, "input 1": 0, "weight 0 unused": 0}
    assert_equal(measure(case, "float32", "gradients"), expected)


@needs("fit")
@pytest.mark.parametrize("single_input", [True, False])
def test_fit_is_gradient_descent_with_momentum(single_input):
    class Times(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(3,), name="kernel")
            self.built = True

        def call(self, inputs, shift=None, power=1):
            x = inputs
            if not single_input:
                x = inputs[0] * ops.cast(inputs[1], "float32")
            return x**power * self.kernel + shift

        def compute_output_shape(self, input_shape, **_):
            return input_shape if single_input else input_shape[0]

    def build():
        more = {"shift": Y, "power": 2}
        return Times(), X if single_input else [X, NUMBER], more

    # `fit` seeds all weights of the model: first its scale, then the layer's.
    scale, kernel = draw(1, 0), draw(1, 1)
    x, shift = rounded(X, "float32"), rounded(Y, "float32")
    if not single_input:
        x = x * NUMBER
    (target,) = cotangents_of([x], "float32")
    scale_velocity = kernel_velocity = 0.0
    losses = []
    for _ in range(FIT_STEPS):
        error = (x * scale) ** 2 * kernel + shift - target
        losses.append((error**2).sum() / 2)
        scale_gradient = (error * x**2 * scale * 2 * kernel).sum(axis=0)
        kernel_gradient = (error * (x * scale) ** 2).sum(axis=0)
        scale_velocity = 0.875 * scale_velocity - 2**-7 * scale_gradient
        kernel_velocity = 0.875 * kernel_velocity - 2**-7 * kernel_gradient
        scale, kernel = scale + scale_velocity, kernel + kernel_velocity
    expected = {"losses of output 0": losses, "weight 0 scale": scale}
    expected["weight 1 kernel"] = kernel
    found = measure(Case("times", build), "float32", "fit")
    assert_equal(found, expected, 1e-5)


@needs("fit")
def test_fit_uses_one_batch_and_trains_all_outputs(capsys):
    class Split(keras.layers.Layer):
        def call(self, x):
            return x[:, :1], x[:, 1:]

        def compute_output_shape(self, input_shape):
            return (input_shape[0], 1), (input_shape[0], 2)

    x = np.arange(40.0 * 3).reshape(40, 3) % 7
    found = measure(Case("split", lambda: (Split(), x)), "float32", "fit")
    names = [f"losses of output {i}" for i in range(2)]
    assert [*found] == [*names, "weight 0 scale"]
    scale = draw(1, 0)
    outputs = (x * scale)[:, :1], (x * scale)[:, 1:]
    targets = cotangents_of(outputs, "float32")
    for name, output, target in zip(names, outputs, targets, strict=True):
        assert found[name].shape == (FIT_STEPS,)
        first = ((output - target) ** 2).sum() / 40
        np.testing.assert_allclose(found[name][0], first, rtol=1e-5)
    assert capsys.readouterr() == ("", "")


def test_weights_depend_on_the_seed_and_their_position():
    layer = Twice()
    layer.build([(None, 3), (None, 1)])
    layer.count.assign(5)
    seed_weights(layer)
    for weight, value in zip(layer.weights[:2], weights()[:2], strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)
    assert int(to_numpy(layer.count)) == 5
    seed_weights(layer, seed=3)
    np.testing.assert_array_equal(to_numpy(layer.kernel), draw(3, 0))
    # The counter is not drawn, but it takes a position.
    np.testing.assert_array_equal(to_numpy(layer.last), draw(3, 3, size=1))


@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_an_output_may_be_constant(kind):
    """Such as a count or a mask."""
    skip_left_out(kind)

    def gradient(function):
        case = Case("count", lambda: (function, X))
        return to_numpy(measure(case, "float32", kind)["input 0"])

    assert np.all(gradient(lambda x: (2.0 * x, ops.ones_like(x[:, 0]))) != 0)
    np.testing.assert_array_equal(gradient(ops.ones_like), np.zeros_like(X))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
def test_every_dtype_is_converted_to_numpy(dtype):
    array = to_numpy(ops.convert_to_tensor([1, 2], dtype))
    assert array.dtype == ("float32" if dtype == "bfloat16" else dtype)
    np.testing.assert_array_equal(array, [1, 2])


def test_a_call_builds_the_layer():
    def build():
        layer = keras.layers.MultiHeadAttention(1, 2)
        return layer, X[None], {"value": X[None]}

    assert measure(Case("attention", build), "float32", "forward")
