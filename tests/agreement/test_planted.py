"""Faults of one backend that a comparison with the others finds.

Each is planted into a layer or function, which is computed with and without
the fault and compared, as if these were the results of two backends.
"""

import functools
import re
import sys
from dataclasses import dataclass, field

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


def one_if_faulty(fault, right=1.0):
    return fault if FAULTY else right


class Base(keras.layers.Layer):
    """A layer without a fault."""

    supports_masking = True

    def call(self, x, training=False):
        return ops.square(x)


class OnlyTraining(Base):
    def call(self, x, training=False):
        return ops.square(x) * (one_if_faulty(1.01) if training else 1)


class LaterCalls(Base):
    """Wrong from the third call on."""

    def build(self, shape):
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False, dtype="int32"
        )

    def call(self, x, training=False):
        self.calls.assign(self.calls + 1)
        late = ops.cast(self.calls >= 3, x.dtype)
        return ops.square(x) * (1 + late * one_if_faulty(0.01, 0))


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


class Mean(Base):
    def build(self, shape):
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, dtype="int32"
        )
        self.mean = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="mean"
        )

    def call(self, x, training=False):
        self.count.assign(self.count + 1)
        self.mean.assign(self.mean * 0.5 + ops.mean(x) * one_if_faulty(1.01))
        return ops.square(x)


class AddLoss(Base):
    def call(self, x, training=False):
        self.add_loss(ops.mean(x) * one_if_faulty(1.01))
        return ops.square(x)


class Regularized(Base):
    def build(self, shape):
        self.kernel = self.add_weight(
            shape=(3,), regularizer=keras.regularizers.L2(one_if_faulty(2.0))
        )

    def call(self, x, training=False):
        return x * ops.convert_to_tensor(self.kernel)


class WrongShape(Base):
    def compute_output_shape(self, shape, *args, **kwargs):
        return (*shape[:-1], shape[-1] + int(one_if_faulty(1, 0)))


class WrongSpec(Base):
    def compute_output_spec(self, x, *args, **kwargs):
        return keras.KerasTensor(x.shape, "int32" if FAULTY else x.dtype)


class WrongConfig(Base):
    def __init__(self, power=2.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, x, training=False):
        return ops.abs(x) ** self.power

    def get_config(self):
        power = self.power + one_if_faulty(1, 0)
        return {**super().get_config(), "power": power}


class Scaled(Base):
    """Wrong by a relative error."""

    def __init__(self, error=0.0, where="output", **kwargs):
        super().__init__(**kwargs)
        self.error, self.where = error, where

    def call(self, x, training=False):
        y = ops.square(x)
        extra = y * one_if_faulty(self.error, 0)
        if self.where == "gradients":
            extra -= ops.stop_gradient(extra)
        return y + extra

    def get_config(self):
        config = {"error": self.error, "where": self.where}
        return {**super().get_config(), **config}


def is_compiled(x):
    if BACKEND == "torch":
        return sys.modules["torch"].compiler.is_compiling()
    return type(x).__name__ not in ("EagerTensor", "ArrayImpl")


def compiled_only(x):
    return ops.square(x) * (one_if_faulty(1.01) if is_compiled(x) else 1)


def second_output(x):
    return x * 1e6, ops.square(x) * one_if_faulty(1.5)


def boolean(x):
    return x >= 3 if FAULTY else x > 3


def keys(x):
    return {"b" if FAULTY else "a": x}


def nesting(x):
    return [x, [x, x]] if FAULTY else [x, x, x]


def in_place(x):
    y = x
    if FAULTY:
        y += 1
    return ops.square(x)


def nan_elsewhere(x):
    return ops.where(x > 1 if FAULTY else x < 0, np.nan, x)


def sign_of_infinity(x):
    return ops.where(x > 1, -np.inf if FAULTY else np.inf, x)


def finite_for_nan(x):
    return ops.where(x > 1, 0.0 if FAULTY else np.nan, x)


def dtype(x):
    return ops.cast(x, "int8" if FAULTY else "int32")


def shape(x):
    return ops.sum(x, axis=1, keepdims=FAULTY)


def no_gradient(x, y):
    return x * (ops.stop_gradient(y) if FAULTY else y)


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
    kwargs: dict = field(default_factory=dict)
    alone: bool = False
    each: bool = False  # depends on the backend


SMALL = np.logspace(-6, 0, 7)
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
    "bool": Planted("True", boolean, (np.arange(5),)),
    "keys": Planted("in structure: torch", keys),
    "nesting": Planted("in structure: torch", nesting),
    "mask": Planted("mask of output", Mask(), (IDS,)),
    "moving mean": Planted("state 1 mean", Mean()),
    "only in training": Planted("training", OnlyTraining(), kinds="training"),
    "later calls": Planted("call 3", LaterCalls()),
    "add_loss": Planted("loss 0", AddLoss()),
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
    "NaN": Planted("nan", nan_elsewhere),
    "infinity": Planted("-inf", sign_of_infinity),
    "no NaN": Planted("nan", finite_for_nan),
    "dtype": Planted("in output dtype: torch int8", dtype),
    "shape": Planted("in shape: torch", shape),
    "no gradient": Planted(
        "gradients, y", no_gradient, (X, X), kinds="gradients", each=True
    ),
    "epsilon": Planted(
        r"torch (\S+), tensorflow = jax (?!\1)", epsilon, dtypes="float64"
    ),
    "error": Planted("RuntimeError: planted", raises),
    "gradients": Planted(
        "gradients, x", Scaled(1e-4, "gradients"), kinds="gradients"
    ),
    "fit": Planted(
        "float32 fit", Scaled(1e-3, "gradients"), kinds="fit", each=True
    ),
    **{
        f"{policy} {kind}": Planted(
            f"{policy} {kind}",
            Scaled(error, "output" if kind == "forward" else "gradients"),
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
            Scaled(-2.0, "gradients"),
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
    compute(planted, agreement)
    return Result(name, entries=agreement.entries)


def compute(planted, agreement):
    agreement(
        planted.function,
        *planted.args,
        kinds=planted.kinds,
        dtypes=planted.dtypes,
        **planted.kwargs,
    )


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
