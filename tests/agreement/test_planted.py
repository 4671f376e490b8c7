"""Faults of one backend that a comparison with the others finds.

Each is planted into a layer or function, which is computed with and without
the fault and compared, as if these were the results of two backends.
"""

import functools
import re
import sys
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import Agreement
from kseq.agreement.compare import Comparison, compare_test
from kseq.agreement.record import Result
from kseq.agreement.tables import left_out

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.skipif(
    left_out(BACKEND, "gradients", "float32") is not None,
    reason="the backend has no gradients",
)
FAULTY = False
X = np.random.default_rng(0).normal(size=(4, 6, 3)) + 0.5
IDS = np.array([[1, 2, 0], [3, 0, 0]])


class Square(keras.layers.Layer):
    """Wrong by a relative error in one place, if `FAULTY`.

    Args:
        where: "output", "gradients", "training", "third call", "loss" or
            "moving mean".
        error: the relative error.
    """

    supports_masking = True

    def __init__(self, where="", error=0.01, **kwargs):
        super().__init__(**kwargs)
        self.where, self.error = where, error

    def build(self, shape):
        if self.where in ("third call", "moving mean"):
            options = {"shape": (), "initializer": "zeros", "trainable": False}
            self.count = self.add_weight(dtype="int32", **options)
            self.mean = self.add_weight(name="mean", **options)

    def call(self, x, training=False):
        wrong = 1 + self.error * FAULTY
        y = ops.square(x)
        if self.where == "output" or (self.where == "training" and training):
            return y * wrong
        if self.where == "gradients":
            extra = y * (wrong - 1)
            return y + extra - ops.stop_gradient(extra)
        if self.where == "loss":
            self.add_loss(ops.mean(x) * wrong)
        if self.where == "moving mean":
            self.mean.assign(self.mean * 0.5 + ops.mean(x) * wrong)
        if self.where in ("third call", "moving mean"):
            self.count.assign(self.count + 1)
        if self.where == "third call":
            late = ops.cast(self.count >= 3, x.dtype)
            return y * (1 + late * (wrong - 1))
        return y

    def get_config(self):
        config = {"where": self.where, "error": self.error}
        return {**super().get_config(), **config}


class Mask(keras.layers.Embedding):
    def __init__(self):
        super().__init__(4, 2, mask_zero=True)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def compute_mask(self, inputs, mask=None):
        mask = super().compute_mask(inputs, mask)
        return ops.logical_not(mask) if FAULTY else mask


class Regularized(Square):
    def build(self, shape):
        regularizer = keras.regularizers.L2(2.0 if FAULTY else 1.0)
        self.kernel = self.add_weight(shape=(3,), regularizer=regularizer)

    def call(self, x, training=False):
        return x * ops.convert_to_tensor(self.kernel)


class WrongShape(Square):
    def compute_output_shape(self, shape, *args, **kwargs):
        return (*shape[:-1], shape[-1] + FAULTY)


class WrongSpec(Square):
    def compute_output_spec(self, x, *args, **kwargs):
        return keras.KerasTensor(x.shape, "int32" if FAULTY else x.dtype)


class WrongConfig(Square):
    def call(self, x, training=False):
        return x * self.error

    def get_config(self):
        return {**super().get_config(), "error": self.error + FAULTY}


def is_compiled(x):
    if BACKEND == "torch":
        return sys.modules["torch"].compiler.is_compiling()
    return type(x).__name__ not in ("EagerTensor", "ArrayImpl")


def compiled_only(x):
    return ops.square(x) * (1.01 if FAULTY and is_compiled(x) else 1)


def second_output(x):
    return x * 1e6, ops.square(x) * (1.5 if FAULTY else 1)


def in_place(x):
    y = x
    if FAULTY:
        y += 1
    return ops.square(x)


def epsilon(x):
    square = ops.sum(x * x)
    return x / (ops.sqrt(square) + 1e-7 if FAULTY else ops.sqrt(square + 1e-7))


def raises(x):
    if FAULTY:
        raise RuntimeError("planted")
    return x


@dataclass
class Planted:
    """A function with a fault, and the words of the failure.

    `alone` means that the backend with the fault finds it without the others.
    """

    words: str
    function: object
    args: tuple = (X,)
    kinds: str = "forward"
    dtypes: str = "float32"
    alone: bool = False
    each: bool = False  # depends on the backend


HALF = {
    "mixed_float16": 0.02,
    "float16": 0.02,
    "mixed_bfloat16": 0.12,
    "bfloat16": 0.12,
}
PLANTED = {
    "second output": Planted("forward, output 1", second_output),
    "gradient of the second output": Planted(
        "float32 gradients, x of output 1",
        second_output,
        kinds="gradients",
        dtypes="float32 float64",
        each=True,
    ),
    "bool": Planted("True", lambda x: x > 3 - FAULTY, (np.arange(5),)),
    "keys": Planted(
        "in structure: torch", lambda x: {"b" if FAULTY else "a": x}
    ),
    "nesting": Planted(
        "in structure: torch", lambda x: [x, [x, x]] if FAULTY else [x, x, x]
    ),
    "mask": Planted("mask of output", Mask(), (IDS,)),
    "moving mean": Planted("state 1 mean", Square("moving mean")),
    "training": Planted("training", Square("training"), kinds="training"),
    "third call": Planted("call 3", Square("third call")),
    "add_loss": Planted("loss 0", Square("loss")),
    "regularizer": Planted("loss 0", functools.partial(Regularized)),
    "output shape": Planted("symbolic call", WrongShape(), alone=True),
    "output spec": Planted("symbolic call", WrongSpec(), alone=True),
    "config": Planted("from its config", WrongConfig(), alone=True),
    "in place": Planted("'x' was changed", in_place, alone=True, each=True),
    "compiled": Planted(
        "compiled, output",
        compiled_only,
        kinds="forward forward_compiled",
        alone=True,
        each=True,
    ),
    "compiled gradients": Planted(
        "gradients compiled, x",
        compiled_only,
        kinds="gradients gradients_compiled",
        alone=True,
        each=True,
    ),
    "NaN": Planted(
        "nan", lambda x: ops.where(x > 1 if FAULTY else x < 0, np.nan, x)
    ),
    "sign of infinity": Planted(
        "-inf", lambda x: ops.where(x > 1, -np.inf if FAULTY else np.inf, x)
    ),
    "no NaN": Planted(
        "nan", lambda x: ops.where(x > 1, 0.0 if FAULTY else np.nan, x)
    ),
    "dtype": Planted(
        "in output dtype: torch int8",
        lambda x: ops.cast(x, "int8" if FAULTY else "int32"),
    ),
    "shape": Planted(
        "in shape: torch", lambda x: ops.sum(x, axis=1, keepdims=FAULTY)
    ),
    "no gradient": Planted(
        "gradients, y",
        lambda x, y: x * (ops.stop_gradient(y) if FAULTY else y),
        (X, X),
        kinds="gradients",
        each=True,
    ),
    "epsilon": Planted(
        r"torch (\S+), tensorflow = jax (?!\1)", epsilon, dtypes="float64"
    ),
    "error": Planted("RuntimeError: planted", raises),
    "gradients": Planted(
        "gradients, x", Square("gradients", 1e-4), kinds="gradients"
    ),
    "fit": Planted(
        "float32 fit", Square("gradients", 1e-3), kinds="fit", each=True
    ),
    **{
        f"{policy} {kind}": Planted(
            f"{policy} {kind}",
            Square("output" if kind == "forward" else "gradients", error),
            dtypes=policy,
            kinds=kind,
            each=kind != "forward",
        )
        for policy, error in HALF.items()
        for kind in ("forward", "gradients")
    },
    **{
        f"{policy} fit": Planted(
            f"{policy} fit",
            Square("gradients", -2.0),
            dtypes=policy,
            kinds="fit",
            each=True,
        )
        for policy in ("mixed_bfloat16", "mixed_float16")
    },
}

# Where a fault cannot be planted.
IMPOSSIBLE = {
    # `+=` makes a new tensor.
    "in place": ("tensorflow", "jax"),
    # Eager derivatives are traced, too.
    "compiled gradients": ("jax",),
}


def result_of(name, faulty, monkeypatch):
    planted = PLANTED[name]
    monkeypatch.setattr(sys.modules[__name__], "FAULTY", faulty)
    agreement = Agreement(name, raises=False)
    options = {"kinds": planted.kinds, "dtypes": planted.dtypes}
    agreement(planted.function, *planted.args, **options)
    return Result(name, entries=agreement.entries)


def failures(**results):
    comparison = Comparison([])
    compare_test(comparison, "test", results, {name: name for name in results})
    return "\n".join(map(str, comparison.failures))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if planted.each else pytest.mark.once)
        for name, planted in PLANTED.items()
        if BACKEND not in IMPOSSIBLE.get(name, ())
    ],
)
def test_a_planted_fault_is_found(name, monkeypatch):
    planted = PLANTED[name]
    right = result_of(name, False, monkeypatch)
    assert not failures(tensorflow=right, jax=right)
    wrong = result_of(name, True, monkeypatch)
    found = failures(tensorflow=right, torch=wrong, jax=right)
    assert re.search(planted.words, found), found
    assert "torch" in found
    assert bool(failures(torch=wrong)) == planted.alone or name == "error"


@pytest.mark.once
def test_a_missing_call_is_found(monkeypatch):
    one = result_of("dtype", False, monkeypatch)
    assert "differ in the number of calls" in failures(a=Result(""), b=one)


@pytest.mark.once
def test_arguments_that_are_not_seeded_are_named():
    def draw():
        agreement = Agreement("test", raises=False)
        x = np.random.default_rng().normal(size=3)
        agreement(ops.square, x, kinds="forward", dtypes="float32")
        return Result("test", entries=agreement.entries)

    assert "the runs differ in arguments" in failures(torch=draw(), jax=draw())
