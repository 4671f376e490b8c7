"""The notation in which functions declare their tensors."""

import contextlib

import numpy as np
import pytest
from keras import ops

from kseq.ops import masked_sum, plain_forms
from kseq.ops.backends.plain import only_plain
from kseq.ops.dtypes import dtype_of
from kseq.ops.validation import STAND_INS, parse, takes, to_tensor
from tests.ops.compute import BACKEND


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


@takes(
    x="float batch steps dim",
    any="any batch ...",
    kernel="float 4*dim dim+units",
    bias="float 2*units",
    valid="bool batch steps",
    lengths="lengths batch",
)
def example(x, any=None, kernel=None, bias=None, valid=None, lengths=None):
    return x, any, kernel, bias, valid, lengths


X = ones(2, 3, 4)


def test_tensors_are_converted():
    x, rest, kernel, bias, valid, lengths = example(
        X,
        valid=ones(2, 3, dtype="int32"),
        lengths=np.array([3, 1]),
        bias=ones(10).tolist(),
    )
    assert rest is kernel is None
    assert all(map(ops.is_tensor, (x, bias)))
    assert dtype_of(valid) == "bool"
    assert dtype_of(lengths) == "float32"
    assert tuple(lengths.shape) == (2, 1)


@pytest.mark.parametrize("kind", ["float", "bool", "any", "lengths"])
def test_what_is_no_tensor(kind):
    wrong = (None, "abc", {"x": 1.0}, [[1.0, 2.0], [3.0]], np.array(["a"]))
    for x in wrong:
        with pytest.raises(ValueError, match=r"^x: expected .*; received "):
            to_tensor("x", x, parse(f"{kind} batch"))


KERNEL = {"kernel": ones(16, 9)}  # of which units = 5 follows


@pytest.mark.parametrize(
    ("argument", "value", "others", "message"),
    [
        ("x", ones(2, 3), {}, r"\(batch, steps, dim\); received \(2, 3\)"),
        ("any", ones(), {}, r"shape \(batch, \.\.\.\); received \(\)"),
        ("any", ones(3, 2), {}, r"with batch = 2; received \(3, 2\)"),
        ("kernel", ones(15, 9), {}, r"with dim = 4; received \(15, 9\)"),
        ("kernel", ones(16, 3), {}, r"with dim = 4; received \(16, 3\)"),
        ("bias", ones(12), KERNEL, r"\(2\*units,\) with units = 5; received"),
        ("bias", ones(9), {}, r"\(2\*units,\); received \(9,\)"),
        ("lengths", ones(3), {}, r"with batch = 2 or \(batch, 1\); received"),
        ("lengths", ones(2, 2), {}, r"or \(batch, 1\); received \(2, 2\)"),
    ],
)
def test_shapes(argument, value, others, message):
    arguments = {"x": X, **others, argument: value}
    with pytest.raises(ValueError, match=f"^{argument}: expected .*{message}"):
        example(**arguments)


def test_sizes_that_follow_from_others():
    example(X, **KERNEL, bias=ones(10))
    # The second axis is read before the first.
    to_tensor("x", ones(7, 3), parse("float dim+units units"), sizes := {})
    assert sizes == {"units": 3, "dim": 4}
    # Of a sum with two unknown terms nothing is known.
    to_tensor("x", ones(7), parse("float dim+units"), {})


def test_stand_ins_are_not_compared():
    assert bool(STAND_INS) == (BACKEND in ("torch", "numpy"))
    for size in (83, 89):
        x, valid = ones(2, size, 4), ones(2, 3, dtype=bool)
        if STAND_INS:
            example(x, valid=valid)
        else:
            with pytest.raises(ValueError, match=r"^valid"):
                example(x, valid=valid)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX's symbolic sizes")
def test_symbolic_sizes_of_jax():
    jax = pytest.importorskip("jax")
    export = pytest.importorskip("jax.export")
    batch, steps = export.symbolic_shape("batch, steps")

    def exported(*shape):
        return export.export(jax.jit(masked_sum))(
            jax.ShapeDtypeStruct((batch, steps, 4), "float32"),
            jax.ShapeDtypeStruct(shape, "bool"),
        )

    got = exported(batch, steps).call(X, ones(2, 3, dtype=bool))
    np.testing.assert_array_equal(got, np.full((2, 4), 3.0))
    with pytest.raises(ValueError, match=r"^valid"):
        exported(batch)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's tensors")
def test_ragged_tensors_raise():
    tensorflow = pytest.importorskip("tensorflow")
    ragged = tensorflow.ragged.constant([[[1.0, 2.0]], []], ragged_rank=1)
    with pytest.raises(ValueError, match=r"^x: expected .*x\.to_tensor\(\)"):
        example(ragged)


@pytest.mark.once
def test_plain_forms_is_left_by_an_error_too():
    with contextlib.suppress(KeyError), plain_forms():
        assert only_plain()
        raise KeyError
    assert not only_plain()
