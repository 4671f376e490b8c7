"""Rounding, random numbers, NumPy references and tables."""

import keras
import numpy as np
import pytest

from kseq.agreement.cases import Case
from kseq.agreement.measure import dtype_scope, name_gradients, reference_values
from kseq.agreement.numbers import cotangents_of, rounded
from kseq.agreement.reference import complex_step_gradients
from kseq.agreement.tables import left_out

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [("float64", 53), ("float32", 24), ("float16", 11), ("bfloat16", 8)],
)
def test_numbers_are_rounded_to_the_bits_of_a_dtype(dtype, bits):
    ulp = 2.0 ** (1 - bits)
    for scale in (1.0, -(2.0**40)):
        assert rounded(scale * (1 + ulp), dtype) == scale * (1 + ulp)
        if dtype != "float64":
            assert rounded(scale * (1 + 0.75 * ulp), dtype) == scale * (1 + ulp)
            assert rounded(scale * (1 + 0.25 * ulp), dtype) == scale
    assert rounded(0.0, dtype) == 0.0


def test_cotangents_are_drawn_for_each_output():
    first, second = cotangents_of([np.ones((2, 3)), np.ones(1)], "float16")
    for i, found in enumerate((first, second)):
        drawn = np.random.default_rng([7, i]).normal(size=found.shape)
        np.testing.assert_array_equal(found, rounded(drawn, "float16"))
    assert (first.shape, second.shape) == ((2, 3), (1,))


def test_complex_step_gradients_are_exact():
    x, n, w = np.array([0.5, 2.0]), np.array([3, 4]), np.array(1.5)

    def reference(inputs, weights):
        return {"a": np.sin(inputs[0]) * inputs[1], "b": [weights[0] ** 3]}

    input_gradients, weight_gradients = complex_step_gradients(
        reference, (x, n), (w,), [np.array([10.0, 100.0]), np.array(7.0)]
    )
    assert input_gradients[1] is None
    np.testing.assert_allclose(
        input_gradients[0], np.cos(x) * n * [10.0, 100.0], rtol=1e-15
    )
    (weight_gradient,) = weight_gradients
    assert weight_gradient.dtype == "float64"
    np.testing.assert_allclose(weight_gradient, 7 * 3 * 1.5**2, rtol=1e-15)
    assert (x.tolist(), n.tolist(), float(w)) == ([0.5, 2.0], [3, 4], 1.5)


def test_gradients_need_one_cotangent_per_output_and_one_name_per_weight():
    x = np.ones(2)
    with pytest.raises(ValueError, match="zip"):
        complex_step_gradients(lambda x, w: [x[0], x[0]], [x], [], [x])
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="zip"):
        name_gradients(layer, [], [x])


def test_a_dtype_scope_sets_and_restores_the_defaults():
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


@pytest.mark.parametrize("kind", ["forward", "gradients"])
@pytest.mark.parametrize(
    ("outputs", "received"),
    [
        (None, "[None]"),
        (np.array([None, 1.0]), "[object of shape (2,)]"),
        (np.ones(2) + 1j, "[complex128 of shape (2,)]"),
        (np.ones((1, 2)), "[float64 of shape (1, 2)]"),
        ([], "[]"),
        ([np.ones(2)] * 2, "[float64 of shape (2,), float64 of shape (2,)]"),
    ],
)
def test_a_reference_with_invalid_outputs_raises(kind, outputs, received):
    case = Case("f", lambda: (abs, np.ones(2)), lambda inputs, weights: outputs)
    with pytest.raises(ValueError, match=r"^reference of case 'f'") as caught:
        reference_values(case, "float32", kind)
    assert str(caught.value).endswith(f"[(2,)]; received {received}")


@pytest.mark.parametrize(
    ("backend", "kind", "dtype", "reason"),
    [
        ("torch", "forward", "float64", None),
        ("torch", "fit", "bfloat16", "half precision"),
        ("jax", "forward_compiled", "float16", "half precision"),
        ("numpy", "forward", "float16", None),
        ("numpy", "forward", "float64", "computes float64"),
        ("numpy", "gradients", "float64", "no gradients"),
        ("openvino", "forward", "bfloat16", None),
        ("openvino", "fit", "float32", "no gradients"),
    ],
)
def test_the_exclusions_of_a_backend(backend, kind, dtype, reason):
    found = left_out(backend, kind, dtype)
    assert found is None if reason is None else reason in found
