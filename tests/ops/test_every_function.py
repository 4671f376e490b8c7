"""What every function of `kseq.ops` promises, by the examples."""

import contextlib
import inspect

import keras
import pytest

from kseq import ops as kops
from kseq.agreement.measure import to_numpy
from kseq.ops.dtypes import HALF_DTYPES
from tests.marks import once
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
from tests.ops.examples import (
    EXAMPLES,
    FEWER,
    SIZES,
    cotangents,
)

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


# In the layers every function is called with symbolic tensors.
SYMBOLIC = ("masked_mean", "gru", "multi_head_attention-cos")


# Keras's NumPy backend traces with arrays that it has not filled.
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize(
    "example",
    [e if e.name in SYMBOLIC else once(e) for e in FEWER],
    ids=str,
)
# To JAX every number of steps is known when it computes.
@pytest.mark.parametrize("known", [False, True][: 1 + (BACKEND != "jax")])
def test_symbolic(example, known, tmp_path):
    """A functional model computes the same, and is saved and loaded."""
    recurrent = example.name.startswith(("gru", "lstm"))
    if BACKEND == "openvino" and recurrent and not known:
        pytest.skip("OpenVINO cannot trace loops over unknown steps")
    if "attention_bias" in example.axes and not known:
        pytest.skip("a bias has a number of steps")
    arrays = example.arrays("float32")
    sequences = {n: x for n, x in arrays.items() if "batch" in example.axes[n]}
    symbols = {
        name: keras.Input(
            [
                n if known or axis not in ("steps", "queries") else None
                for axis, n in zip(
                    example.axes[name].split()[1:], x.shape[1:], strict=True
                )
            ],
            dtype="float32" if x.dtype.kind == "f" else x.dtype.name,
            name=name,
        )
        for name, x in sequences.items()
    }
    constants = {
        n: keras.tree.map_structure(lambda a: a.astype("float32"), x)
        for n, x in arrays.items()
        if n not in symbols
    }
    outputs = example(**symbols, **constants)
    model = keras.Model(symbols, outputs)
    fewer = {"batch": 2} if known else {"batch": 2, "steps": 2, "queries": 2}
    for sizes in ({}, fewer)[: 1 if BACKEND == "jax" else None]:
        arrays = example.arrays("float32", **sizes)
        arrays |= {n: example.arrays("float32")[n] for n in constants}
        inputs = {n: tensor(arrays[n], "float32") for n in symbols}
        # On TensorFlow a graph, whose second tracing has unknown sizes; JAX
        # compiles it faster than each operation.
        compiled = BACKEND in ("tensorflow", "jax")
        call = model.predict_on_batch if compiled else model
        got = keras.tree.map_structure(to_numpy, call(inputs))
        check(example, got, arrays, "float32")
    expected = keras.tree.flatten(example.expected(arrays))
    for symbol, y in zip(keras.tree.flatten(outputs), expected, strict=True):
        assert len(symbol.shape) == y.ndim
    if not known:
        path = tmp_path / "model.keras"
        model.save(path)
        again = keras.saving.load_model(path)(inputs)
        got = keras.tree.map_structure(to_numpy, again)
        check(example, got, arrays, "float32")
