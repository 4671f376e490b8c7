"""Wrong arguments raise a ValueError that starts with the argument's name."""

import inspect
import re

import keras
import numpy as np
import pytest

from kseq import ops as kops
from tests.ops.examples import BY_NAME, EXAMPLES

pytestmark = pytest.mark.once

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


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


def each_axis():
    """The axes whose size other axes must fit."""
    for name, argument, i in each_tensor():
        axes = RIGHT[name].axes
        own = axes[argument] if i is None else axes[argument][i]
        terms = re.findall("[a-z]+", " ".join(keras.tree.flatten(axes)))
        for at, axis in enumerate(own.split()):
            if any(terms.count(n) > 1 for n in re.findall("[a-z]+", axis)):
                yield name, argument, i, at


@pytest.mark.parametrize(("name", "argument", "i", "axis"), [*each_axis()])
def test_wrong_sizes(name, argument, i, axis):
    """The error names this argument, or one that does not fit it."""
    names = "|".join(RIGHT[name].axes)
    _, arrays = changed(
        name, argument, i, lambda x: np.concatenate([x, x], axis)
    )
    with pytest.raises(ValueError, match=rf"^({names})(\[\d\])?: expected"):
        call(name, **arrays)


WRONG = {
    "attention_weights": {"normalize": [1]},
    "din_hidden": {"form": ["both"]},
    "gru": {
        "scores": [None, ones(4, 5)],
        "gates_kernel": [ones(1, 4), None],
        "gru_type": ["LSTM"],
        "augru_form": [None],
        "initial_state": [ones(4, 3)],
        "candidate_state_bias": [ones(7), ones(2, 2)],
    },
    "k_max": {
        "k": [0, -1, True, 1.0, None, 7],
        "axis": [0, 3, -3, 1.0, None, True],
    },
    "layer_normalize": {
        "gamma": [ones(2)],
        "beta": [ones(6, 3)],
        "epsilon": [-1e-9, np.nan, None, "0"],
    },
    "lengths_to_mask": {"lengths": [ones(3), ones(4, 2)]},
    "lstm": {"reverse": [1], "kernel": [ones(3, 7)]},
    "masked_softmax": {"valid": [ones(1, 4, 6, dtype=bool)], "axis": [2]},
    "multi_head_attention": {
        "weights[0]": [(ones(2), ones(3))],
        "weights": [(ones(3),), ones(2, 3)],
        "attention_type": ["dot"],
        "blinding": [1],
        "dropout": [0.5],
        "max_scores": [0],
        "max_steps": [-1],
        "causal": [None],
        "window": [0],
        "attention_mask": [ones(4, 6, dtype=bool), ones(4, 3, 6)],
        "attention_bias": [ones(3, 6), ones(1, 2, 3, 7)],
    },
    "sinusoid": {"steps": [-1, 1.0], "dim": [0]},
    "step_weights": {"normalize": [None, 1, "mean"]},
    "zero_padding": {"valid": [ones(dtype=bool)]},
}


@pytest.mark.parametrize(
    ("name", "argument"), [(n, a) for n, rows in WRONG.items() for a in rows]
)
def test_wrong_values(name, argument):
    for value in WRONG[name][argument]:
        with raises(argument):
            if name == "sinusoid":
                kops.sinusoid(**{"steps": 3, "dim": 4, argument: value})
            else:
                call(name, **{argument.split("[")[0]: value})


def test_every_argument_is_tested():
    tested = {row[:2] for row in each_tensor()}
    tested |= {(name, a) for name, rows in WRONG.items() for a in rows}
    for name, function in vars(kops).items():
        if inspect.isfunction(function):
            arguments = inspect.signature(function).parameters
            assert {(name, a) for a in arguments} <= tested


def test_k_is_checked_where_steps_are_unknown():
    x = keras.Input((None, 3))
    with pytest.raises(ValueError, match=r"k: expected a positive integer"):
        kops.k_max(x, 0)
