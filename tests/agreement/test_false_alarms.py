"""False alarms that the scoreboard of Keras (docs/scoreboard) met."""

import collections

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.compare import Comparison, compare_entries
from kseq.agreement.fixture import Agreement
from kseq.agreement.measure import structure
from kseq.agreement.record import Entry
from kseq.agreement.tables import smallest

LABELS = np.array([0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("make", "args"),
    [
        # One rounding more than 1 is no probability.
        (lambda: ops.binary_crossentropy, (LABELS, LABELS / 2 + 0.2)),
        # Activations do not promise symbolic calls.
        (lambda: keras.activations.mish, (LABELS,)),
        # Layers of integers keep their dtype.
        (lambda: keras.layers.Discretization([1.0, 2.0]), (LABELS,)),
        # A creation function returns a tensor of the backend.
        (lambda: ops.zeros, ((2,), "int32")),
    ],
)
def test_agrees(make, args):
    Agreement("test")(make(), *args, dtypes="float32", kinds="forward")


def entry(value, policy="float32", **fields):
    name = fields.pop("name", "output")
    kind = fields.pop("kind", "forward")
    return Entry(0, "f", policy, kind, {name: np.asarray(value)}, **fields)


def failures(a, b):
    return [*compare_entries(Comparison([]), "t", {"torch": a, "jax": b})]


def test_denormals_may_be_flushed_to_zero():
    limits = {"sensitivities": {"output": np.zeros(2)}}
    denormal, normal = smallest("float32") / 8, smallest("float32") * 8
    assert not failures(entry([1, denormal], **limits), entry([1, 0], **limits))
    assert failures(entry([1, normal], **limits), entry([1, 0], **limits))


def test_narrowed_dtype_is_explained():
    a = entry([1.0], "float64", facts={"output dtype": "float64"})
    b = entry([1.0], "float64", facts={"output dtype": "float32"})
    assert failures(a, b)
    b.narrowed = ["ops.f"]
    assert not failures(a, b)


def test_named_tuples_may_be_lists_or_tuples():
    named = collections.namedtuple("Pair", "values, indices")(1, 2)
    texts = [structure(x) for x in (named, (1, 2), [1, 2])]
    entries = [entry(1.0, facts={"structure": text}) for text in texts]
    assert not failures(entries[0], entries[1])
    assert not failures(entries[0], entries[2])
    assert failures(entries[1], entries[2])


def test_a_cast_of_the_function_itself_is_not_explained():
    class Narrow(keras.layers.Layer):
        def call(self, x):
            return ops.cast(ops.cast(x, "float32"), "float64")

    agreement = Agreement("test", raises=False)
    x = np.array([[1.0, 2.0]])
    agreement(Narrow(), x, dtypes="float64", kinds="forward")
    assert not agreement.entries[0].narrowed
