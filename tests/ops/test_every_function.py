"""What every function of `kseq.ops` promises, by the examples."""

import contextlib
import inspect

import keras
import pytest

from kseq import ops as kops
from kseq.agreement.measure import to_numpy
from kseq.ops.dtypes import HALF_DTYPES
from tests.ops.compute import (
    BACKEND,
    COMPUTED,
    assert_close,
    assert_close_gradient,
    compute,
    gradients,
    needs_gradients,
    not_without_steps_on_openvino,
    tensor,
)
from tests.ops.examples import EXAMPLES, FEWER, SIZES, cotangents
from tests.support import once

# A mask has no gradient.
WITH_GRADIENTS = [e for e in FEWER if e.has_gradients]
# `plain_forms` changes nothing on the other backends.
HAS_FORMS = BACKEND in ("tensorflow", "torch")
either_form = pytest.mark.parametrize("plain", [False, True][: 1 + HAS_FORMS])


def forms(plain):
    return kops.plain_forms() if plain else contextlib.nullcontext()


def in_one(example):
    """The example as a function of one dictionary."""
    return lambda arrays: example(**arrays)


def check(example, got, arrays, dtype):
    expected = example.expected(arrays)
    for one, other in zip(keras.tree.flatten(got), expected, strict=True):
        assert_close(one, other, dtype)


@pytest.mark.once
def test_every_public_function_has_an_example():
    without_tensors = {"sinusoid", "plain_forms"}
    names = {n for n, f in vars(kops).items() if inspect.isfunction(f)}
    assert names - without_tensors == {e.name.split("-")[0] for e in EXAMPLES}


VALUES = [
    (pytest.param if example in FEWER and dtype == "float32" else once)(
        example, dtype, id=f"{example}-{dtype}"
    )
    for example in EXAMPLES
    for dtype in COMPUTED
]


@pytest.mark.parametrize(("example", "dtype"), VALUES)
@either_form
def test_values(example, dtype, plain):
    if dtype in HALF_DTYPES and not example.half:
        pytest.skip("not accurate in half precision")
    arrays = example.arrays(dtype)
    before = keras.config.floatx()
    if dtype == "float32":  # Keras's default float must not have an effect.
        keras.config.set_floatx("float16")
    try:
        with forms(plain):
            got = compute(example, dtype, **arrays)
    finally:
        keras.config.set_floatx(before)
    check(example, got, arrays, dtype)


def other_sizes():
    for example in FEWER:
        for sizes in (
            *({axis: 0} for axis in ("steps", "batch", "queries")),
            dict.fromkeys(SIZES, 1),
        ):
            has_axis = any(axis in str(example.axes) for axis in sizes)
            has_k = "k" not in example.options or min(sizes.values()) > 1
            if has_axis and has_k:
                marks = (
                    [] if 1 in sizes.values() else not_without_steps_on_openvino
                )
                yield pytest.param(example, sizes, marks=marks)


@pytest.mark.once
@pytest.mark.parametrize(("example", "sizes"), [*other_sizes()], ids=str)
def test_values_of_other_sizes(example, sizes):
    arrays = example.arrays("float32", **sizes)
    check(example, compute(example, "float32", **arrays), arrays, "float32")


@pytest.mark.once
@needs_gradients
@pytest.mark.parametrize("example", WITH_GRADIENTS, ids=str)
@either_form
def test_gradients(example, plain):
    arrays = example.arrays("float32")
    outputs = example.expected(arrays)
    with forms(plain):
        found = gradients(in_one(example), arrays, cotangents(outputs))
    for got, expected in zip(found, example.expected_gradients, strict=True):
        assert_close_gradient(got, expected)


# The layers call them symbolically on every backend.
@pytest.mark.once
@pytest.mark.parametrize("example", FEWER, ids=str)
def test_symbolic(example, tmp_path):
    """A functional model of any number of steps, saved and loaded."""
    if "attention_bias" in example.axes:
        pytest.skip("a bias has a number of steps")
    arrays = example.arrays("float32")
    symbols = {
        name: keras.Input(
            [
                None if axis in ("steps", "queries") else n
                for axis, n in zip(
                    example.axes[name].split()[1:], x.shape[1:], strict=True
                )
            ],
            dtype="float32" if x.dtype.kind == "f" else x.dtype.name,
            name=name,
        )
        for name, x in arrays.items()
        if "batch" in example.axes[name]
    }
    constants = {
        n: keras.tree.map_structure(lambda a: a.astype("float32"), x)
        for n, x in arrays.items()
        if n not in symbols
    }
    model = keras.Model(symbols, example(**symbols, **constants))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for made in (model, loaded):
        for sizes in ({}, {"batch": 2, "steps": 2, "queries": 2}):
            given = example.arrays("float32", **sizes) | {
                n: arrays[n] for n in constants
            }
            inputs = {n: tensor(given[n], "float32") for n in symbols}
            got = keras.tree.map_structure(to_numpy, made(inputs))
            check(example, got, given, "float32")
