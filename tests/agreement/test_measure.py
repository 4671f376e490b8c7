"""What is computed of a case, against the same in NumPy."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.agreement.cases import Case
from kseq.agreement.fit import FIT_STEPS
from kseq.agreement.measure import (
    dtype_scope,
    measure,
    name_gradients,
    reference_values,
)
from kseq.agreement.numbers import cotangents_of, rounded, seed_weights
from kseq.agreement.record import to_numpy
from kseq.agreement.reference import complex_step_gradients
from kseq.agreement.tables import left_out
from kseq.ops.dtypes import dtype_of
from tests.layers.checks import skip_left_out

BACKEND = keras.backend.backend()
X = np.array([[0.3, -1.7, 2.1], [1.0 / 3, 0.0, -0.9]])
Y = np.array([[0.7], [-0.2]])


def needs(kind, dtype="float32"):
    why = left_out(BACKEND, kind, dtype)
    return pytest.mark.skipif(why is not None, reason=f"{why}")


class Twice(keras.layers.Layer):
    """Two outputs of two inputs, of which one is not of floats, and a mask.

    One weight is trained, one is not, and one is a counter.
    """

    def build(self, input_shape):
        (width,) = {shape[-1] for shape in input_shape[:1]}
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


def weights():
    """What `seed_weights` gives `Twice`, in float32."""
    kernel, variance = (
        np.random.default_rng([0, i]).normal(size=3) / 2 for i in (0, 1)
    )
    return [
        rounded(kernel, "float32"),
        rounded(np.exp(variance), "float32"),
        np.zeros(()),
    ]


def inputs():
    return [rounded(X, "float32"), NUMBER]


def assert_equal(got, expected, tolerance=1e-6):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            to_numpy(got[name]), value, rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(
    "kind",
    ["forward", pytest.param("forward_compiled", marks=needs("fit"))],
)
def test_the_outputs(kind):
    first, second = twice_in_numpy(inputs(), weights())
    expected = {"output 0": first, "output 1": second}
    assert_equal(measure(TWICE, "float32", kind), expected)
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-15)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("gradients", marks=needs("gradients")),
        pytest.param("gradients_compiled", marks=needs("gradients")),
    ],
)
def test_the_gradients(kind):
    outputs = twice_in_numpy(inputs(), weights())
    first, second = cotangents_of(outputs, "float32")
    (x, number), (kernel, variance, *_) = inputs(), weights()
    by_number = number / variance
    of_y = first + second * 2 * x * by_number * kernel
    expected = {
        "input 0": of_y * by_number * kernel,
        "weight 0 kernel": (of_y * x * by_number).sum(axis=0),
    }
    assert_equal(measure(TWICE, "float32", kind), expected, 1e-5)
    assert_equal(reference_values(TWICE, "float32", kind), expected, 1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_to_be_compiled_is(monkeypatch, compiled):
    """The same numbers would not show it."""
    told = []

    def forward(layer, inputs, kwargs, compiled):
        told.append(("forward", compiled))
        return [ops.convert_to_tensor(inputs)]

    def gradients(layer, inputs, kwargs, cotangents, compiled):
        told.append(("gradients", compiled))
        assert dtype_of(cotangents[0]) == "float32"
        return [], []

    monkeypatch.setattr(probes, "forward", forward)
    monkeypatch.setattr(probes, "gradients", gradients)
    case = Case("f", lambda: (abs, X))
    for kind in ("forward", "gradients"):
        measure(case, "float32", kind + "_compiled" * compiled)
    assert told == [
        ("forward", compiled),
        ("forward", False),  # what the gradients are weighed by
        ("gradients", compiled),
    ]


def test_what_has_no_reference():
    assert reference_values(Case("twice", twice), "float32", "forward") == {}
    assert reference_values(TWICE, "float32", "fit") == {}


def test_a_gradient_is_of_all_outputs_and_weights():
    with pytest.raises(ValueError, match="zip"):
        complex_step_gradients(lambda x, w: [x[0], x[0]], [X], [], [X])
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="zip"):
        name_gradients(layer, [], [X])


def test_devices_have_names():
    names = probes.devices()
    assert probes.device() in ("cpu", "gpu")
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1":
        assert probes.device() == "cpu"
    assert all(isinstance(name, str) for name in names)
    if probes.device() == "cpu":
        assert names[0] == "cpu"


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
    if left_out(BACKEND, kind, "float32") is None:
        assert_equal(measure(case, "float32", kind), expected)


@needs("gradients")
def test_what_plays_no_part_has_a_gradient_of_zeros():
    class Ignores(keras.layers.Layer):
        def build(self, input_shape):
            self.unused = self.add_weight(shape=(2,), name="unused")
            self.built = True

        def call(self, inputs):
            return 2 * inputs[0]

    case = Case("ignores", lambda: (Ignores(), [X, Y]))
    found = measure(case, "float32", "gradients")
    (cotangent,) = cotangents_of([X], "float32")
    assert_equal(
        found,
        {
            "input 0": 2 * cotangent,
            "input 1": np.zeros((2, 1)),
            "weight 0 unused": np.zeros(2),
        },
    )


@needs("fit")
@pytest.mark.parametrize("alone", [True, False])
def test_a_training(alone):
    """Gradient descent with momentum, written out."""

    class Times(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(3,), name="kernel")
            self.built = True

        def call(self, inputs, shift=None, power=1):
            x = inputs if alone else inputs[0] * ops.cast(inputs[1], "float32")
            return x**power * self.kernel + shift

        def compute_output_shape(self, input_shape, **_):
            return input_shape if alone else input_shape[0]

    def build():
        more = {"shift": Y, "power": 2}
        return Times(), X if alone else [X, NUMBER], more

    # The model's weights are drawn anew, the scale of the inputs' first.
    scale, kernel = (
        rounded(np.random.default_rng([1, i]).normal(size=3) / 2, "float32")
        for i in (0, 1)
    )
    x, shift = rounded(X, "float32"), rounded(Y, "float32")
    if not alone:
        x = x * NUMBER
    (target,) = cotangents_of([x], "float32")
    speeds = [0.0, 0.0]
    losses = []
    for _ in range(FIT_STEPS):
        error = (x * scale) ** 2 * kernel + shift - target
        losses.append((error**2).sum() / 2)
        of_scale = (error * x**2 * scale * 2 * kernel).sum(axis=0)
        of_kernel = (error * (x * scale) ** 2).sum(axis=0)
        speeds = [
            0.875 * speed - 2**-7 * gradient
            for speed, gradient in zip(
                speeds, (of_scale, of_kernel), strict=True
            )
        ]
        scale, kernel = scale + speeds[0], kernel + speeds[1]
    assert_equal(
        measure(Case("times", build), "float32", "fit"),
        {
            "losses of output 0": losses,
            "weight 0 scale": scale,
            "weight 1 kernel": kernel,
        },
        1e-5,
    )


@needs("fit")
def test_a_training_is_of_one_batch_and_says_nothing(capsys):
    many = np.arange(40.0 * 2 * 3).reshape(40, 2, 3) % 7
    layer = keras.layers.Identity
    found = measure(Case("same", lambda: (layer(), many)), "float32", "fit")
    (target,) = cotangents_of([many], "float32")
    scale = rounded(np.random.default_rng([1, 0]).normal(size=3) / 2, "float32")
    first = ((many * scale - target) ** 2).sum() / 40
    np.testing.assert_allclose(found["losses of output 0"][0], first, rtol=1e-5)
    told = capsys.readouterr()
    assert told.out == told.err == ""


@needs("fit")
def test_a_training_of_two_outputs():
    class Split(keras.layers.Layer):
        def call(self, x):
            return x[:, :1], x[:, 1:]

        def compute_output_shape(self, input_shape):
            return (input_shape[0], 1), (input_shape[0], 2)

    found = measure(Case("split", lambda: (Split(), X)), "float32", "fit")
    assert [*found] == [
        *("losses of output 0", "losses of output 1", "weight 0 scale"),
    ]
    scale = rounded(np.random.default_rng([1, 0]).normal(size=3) / 2, "float32")
    y = rounded(X, "float32") * scale
    targets = cotangents_of([y[:, :1], y[:, 1:]], "float32")
    for i, (part, target) in enumerate(
        zip((y[:, :1], y[:, 1:]), targets, strict=True)
    ):
        losses = found[f"losses of output {i}"]
        assert losses.shape == (FIT_STEPS,)
        first = ((part - target) ** 2).sum() / 2
        np.testing.assert_allclose(losses[0], first, rtol=1e-5)


def test_defaults_are_set_and_put_back():
    before = keras.config.dtype_policy(), keras.config.floatx()
    with dtype_scope("float64"):
        assert keras.config.floatx() == "float64"
        assert keras.config.dtype_policy().name == "float64"
    assert (keras.config.dtype_policy(), keras.config.floatx()) == before
    with dtype_scope("float16"):
        assert keras.config.floatx() == before[1]
        assert keras.config.dtype_policy().name == "float16"
    with pytest.raises(RuntimeError), dtype_scope("float64"):
        raise RuntimeError
    assert (keras.config.dtype_policy(), keras.config.floatx()) == before


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float64", 1 + 2**-12 + 2**-30),
        ("float32", 1 + 2**-12),
        ("float16", 1.0),
        ("bfloat16", 1.0),
    ],
)
def test_rounded(dtype, expected):
    assert rounded(1 + 2**-12 + 2**-30, dtype) == expected
    assert rounded(-(2.0**40) * expected, dtype) == -(2.0**40) * expected
    assert rounded(0.0, dtype) == 0.0


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float32", 24), ("float16", 11), ("bfloat16", 8)]
)
def test_rounded_keeps_the_bits_of_its_dtype(dtype, bits):
    last = 2.0 ** (1 - bits)
    assert rounded(1 + last, dtype) == 1 + last
    assert rounded(1 + 0.75 * last, dtype) == 1 + last
    assert rounded(1 + 0.25 * last, dtype) == 1.0


def test_weights_of_a_seed():
    layer = Twice()
    layer.build([(None, 3), (None, 1)])
    layer.count.assign(5)
    seed_weights(layer)
    for weight, value in zip(layer.weights[:2], weights()[:2], strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)
    assert int(to_numpy(layer.count)) == 5
    seed_weights(layer, seed=3)
    drawn = np.random.default_rng([3, 0]).normal(size=3) / 2
    np.testing.assert_array_equal(
        to_numpy(layer.kernel), rounded(drawn, "float32")
    )
    # What comes behind a counter is drawn too, by its place.
    drawn = np.random.default_rng([3, 3]).normal(size=1) / 2
    np.testing.assert_array_equal(
        to_numpy(layer.last), rounded(drawn, "float32")
    )


def test_cotangents_are_drawn_for_each_output():
    first, second = cotangents_of([np.ones((2, 3)), np.ones(1)], "float16")
    for i, found in enumerate((first, second)):
        drawn = np.random.default_rng([7, i]).normal(size=found.shape)
        np.testing.assert_array_equal(found, rounded(drawn, "float16"))
    assert (first.shape, second.shape) == ((2, 3), (1,))


def test_a_complex_step_leaves_its_arguments_alone():
    x, n, w = np.array([0.5, 2.0]), np.array([3, 4]), np.array(1.5)

    def reference(inputs, weights):
        return {"a": np.sin(inputs[0]) * inputs[1], "b": [weights[0] ** 3]}

    of_inputs, of_weights = complex_step_gradients(
        reference, (x, n), (w,), [np.array([10.0, 100.0]), np.array(7.0)]
    )
    assert of_inputs[1] is None
    np.testing.assert_allclose(
        of_inputs[0], np.cos(x) * n * [10.0, 100.0], rtol=1e-15
    )
    (of_weight,) = of_weights
    assert of_weight.dtype == "float64"
    np.testing.assert_allclose(of_weight, 7 * 3 * 1.5**2, rtol=1e-15)
    assert (x.tolist(), n.tolist(), float(w)) == ([0.5, 2.0], [3, 4], 1.5)


@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_an_output_may_depend_on_nothing(kind):
    """As a count or a mask does."""
    skip_left_out(kind)

    def with_a_count(x):
        return 2.0 * x, ops.ones_like(x[:, 0])

    def a_count(x):
        return ops.ones_like(x)

    found = {
        function: to_numpy(
            measure(
                Case("count", lambda function=function: (function, X)),
                "float32",
                kind,
            )["input 0"]
        )
        for function in (with_a_count, a_count)
    }
    assert np.all(found[with_a_count] != 0)
    np.testing.assert_array_equal(found[a_count], np.zeros_like(X))
