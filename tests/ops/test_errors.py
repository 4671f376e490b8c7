"""Wrong arguments raise a ValueError that starts with the argument's name."""

import inspect
import re

import keras
import numpy as np
import pytest

from kseq import ops as kops
from tests.ops.compute import BACKEND
from tests.ops.examples import BY_NAME, EXAMPLES

# One example of each function, with most of its arguments.
RIGHT = {e.name: e for e in EXAMPLES if "-" not in e.name}
RIGHT["resolve_mask"] = BY_NAME["resolve_mask-both"]
RIGHT["gru"] = BY_NAME["gru-AUGRU"]
RIGHT["multi_head_attention"] = BY_NAME["multi_head_attention-additive"]


def arguments(name):
    example = RIGHT[name]

    def single(x):
        return x.astype("float32") if x.dtype.kind == "f" else x

    arrays = keras.tree.map_structure(single, example.arrays())
    return arrays | example.options


def raises(argument):
    return pytest.raises(
        ValueError, match=f"^{re.escape(argument)}: expected .*; received "
    )


def call(name, **changed):
    return RIGHT[name].function(**arguments(name) | changed)


def each_tensor():
    for name in RIGHT:
        for argument, value in arguments(name).items():
            if argument == "axes":
                continue
            if isinstance(value, tuple):
                for i in range(len(value)):
                    yield name, argument, i
            elif isinstance(value, np.ndarray):
                yield name, argument, None


def changed(name, argument, i, change):
    value = arguments(name)[argument]
    if i is None:
        return argument, {argument: change(value)}
    value = list(value)
    value[i] = change(value[i])
    return f"{argument}[{i}]", {argument: tuple(value)}


each_one = pytest.mark.parametrize(("name", "argument", "i"), [*each_tensor()])
# Any number or bool, of any rank from a minimum.
ANY = ("zero_padding", "lengths_to_mask", "resolve_mask", "first_rows")
OPEN = (
    *(*ANY, "masked_softmax", "k_max", "linear", "l2_normalize"),
    "layer_normalize",
)
# Of any rank, or another argument does not fit first.
ANY_RANK = [("tanh", "x"), ("zero_padding", "x"), ("masked_softmax", "valid")]
ANY_RANK += [("moments", "x"), ("moments", "valid")]


@each_one
def test_wrong_dtypes(name, argument, i):
    def change(x):
        if argument == "table" or (argument == "x" and name in ANY):
            return x.astype("complex64")
        return x.astype(
            {"f": "int32", "b": "float32", "i": "bool"}[x.dtype.kind]
        )

    named, arrays = changed(name, argument, i, change)
    with raises(named):
        call(name, **arrays)


@each_one
def test_wrong_ranks(name, argument, i):
    def change(x):
        if name in OPEN and argument in ("x", "table", "scores"):
            return x[(0,) * x.ndim]
        return x[..., None, None]

    if (name, argument) not in ANY_RANK:
        named, arrays = changed(name, argument, i, change)
        with raises(named):
            call(name, **arrays)


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


NO_MASK = ones(4, 5, dtype=bool)
WRONG = [
    ("attention_pool", "keys", ones(4, 5, 3)),
    ("attention_pool", "keys", ones(3, 6, 3)),
    ("attention_weights", "valid", NO_MASK),
    ("attention_weights", "normalize", 1),
    ("din_hidden", "keys", ones(4, 6, 2)),
    ("din_hidden", "kernel", ones(11, 2)),
    ("din_hidden", "bias", ones(3)),
    ("din_hidden", "form", "both"),
    ("first_rows", "x", ones(4, 10, 3)),
    ("gru", "valid", NO_MASK),
    ("gru", "x", ones(4, 6, 4)),
    ("gru", "scores", ones(4, 5)),
    ("gru", "scores", None),
    ("gru", "initial_state", ones(4, 3)),
    ("gru", "gates", ones(5, 4)),
    ("gru", "candidate", (ones(5, 2),)),
    ("gru", "gates[0]", (ones(1, 4), ones(4))),
    ("gru", "gru_type", "LSTM"),
    ("gru", "augru_form", None),
    ("k_max", "valid", NO_MASK),
    *(("k_max", "k", k) for k in (0, -1, True, 1.0, None, 7)),
    *(("k_max", "axis", axis) for axis in (0, 3, -3, 1.0, None, True)),
    ("layer_normalize", "gamma", ones(2)),
    ("layer_normalize", "beta", ones(6, 3)),
    *(("layer_normalize", "epsilon", e) for e in (-1e-9, np.nan, None, "0")),
    ("lengths_to_mask", "lengths", ones(3, dtype="int32")),
    ("lengths_to_mask", "lengths", ones(4, 2, dtype="int32")),
    ("linear", "x", ones(4, 6, 2)),
    ("linear", "bias", ones(3)),
    ("lstm", "valid", NO_MASK),
    ("lstm", "kernel", ones(3, 7)),
    ("lstm", "x", ones(4, 6, 2)),
    ("lstm", "bias", ones(7)),
    ("lstm", "recurrent_kernel", ones(2, 7)),
    ("lstm", "reverse", 1),
    ("masked_max", "valid", NO_MASK),
    ("masked_mean", "valid", NO_MASK),
    ("masked_sum", "valid", NO_MASK),
    ("masked_softmax", "valid", NO_MASK),
    ("masked_softmax", "valid", ones(1, 4, 6, dtype=bool)),
    ("masked_softmax", "axis", 2),
    ("moments", "valid", NO_MASK),
    *(("moments", "axes", axes) for axes in (3, (3,), (1, 1), (0.5,))),
    ("multi_head_attention", "keys", ones(4, 2, 5, 2)),
    ("multi_head_attention", "values", ones(4, 2, 5, 3)),
    ("multi_head_attention", "valid", NO_MASK),
    ("multi_head_attention", "query_valid", NO_MASK),
    ("multi_head_attention", "weights[0]", (ones(2), ones(3))),
    ("multi_head_attention", "weights", (ones(3),)),
    ("multi_head_attention", "weights", ones(2, 3)),
    ("multi_head_attention", "attention_type", "dot"),
    ("multi_head_attention", "blinding", 1),
    ("multi_head_attention", "dropout", 0.5),
    ("multi_head_attention", "max_scores", 0),
    ("multi_head_attention", "max_steps", -1),
    ("resolve_mask", "mask", NO_MASK),
    ("resolve_mask", "lengths", ones(3, dtype="int32")),
    ("sinusoid", "steps", -1),
    ("sinusoid", "dim", 0),
    ("step_weights", "valid", NO_MASK),
    ("step_weights", "normalize", None),
    ("zero_padding", "valid", NO_MASK),
    ("zero_padding", "valid", ones(dtype=bool)),
]


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        pytest.param(*row, id=f"{row[0]}-{row[1]}-{i}")
        for i, row in enumerate(WRONG)
    ],
)
def test_wrong_sizes_and_options(name, argument, value):
    with raises(argument):
        if name == "sinusoid":
            kops.sinusoid(**{"steps": 3, "dim": 4, argument: value})
        else:
            call(name, **{argument.split("[")[0]: value})


@pytest.mark.once
def test_every_argument_is_tested():
    tested = {row[:2] for row in each_tensor()} | {
        (name, argument.split("[")[0]) for name, argument, _ in WRONG
    }
    there = {
        (name, argument)
        for name, function in vars(kops).items()
        if inspect.isfunction(function)
        for argument in inspect.signature(function).parameters
    }
    assert there <= tested


def test_k_and_max_steps_are_checked_where_steps_are_unknown():
    x = keras.Input((None, 3))
    with pytest.raises(ValueError, match=r"k: expected a positive integer"):
        kops.k_max(x, 0)
    if BACKEND == "tensorflow":
        heads = keras.Input((2, None, 3))
        valid = keras.Input((None,), dtype="bool")
        with pytest.raises(ValueError, match=r"max_steps: expected a positive"):
            kops.multi_head_attention(heads, heads, heads, valid, max_steps=-1)


def test_kernels_of_a_gru_must_have_the_same_rows():
    with raises("gates[0]"):
        call("gru", candidate=(ones(6, 2), ones(2)))
