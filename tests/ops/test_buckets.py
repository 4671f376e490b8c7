"""Buckets of sequences of different lengths give what the whole batch gives.

PyTorch computes in buckets on a CPU, TensorFlow in graphs for training.
"""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement import probes
from kseq.ops import (
    masked_mean,
    masked_sum,
    multi_head_attention,
    plain_forms,
    zero_padding,
)
from kseq.ops.backends import map_buckets
from tests.layers import catalog
from tests.ops.examples import BY_NAME
from tests.support import to_numpy

BACKEND = keras.backend.backend()
if BACKEND not in ("tensorflow", "torch"):
    pytest.skip("the backend has no buckets", allow_module_level=True)
if (BACKEND, probes.device()) == ("torch", "gpu"):
    pytest.skip("the buckets are for a CPU", allow_module_level=True)

library = importlib.import_module(BACKEND)
buckets = importlib.import_module(f"kseq.ops.backends.{BACKEND}_buckets")
only_torch, only_tensorflow = (
    pytest.mark.skipif(name != BACKEND, reason=f"a form of {name}")
    for name in ("torch", "tensorflow")
)
# PyTorch's own, at first use.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script:DeprecationWarning"
)
RNG = np.random.default_rng(7)
# Full, one step, empty, with a hole, padded in front, short.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 1, 0, 0],
    ],
    bool,
)
# The arguments of map_buckets: examples, sequences and their masks.
ARRAYS = [
    *(RNG.normal(size=shape) for shape in ((6, 4), (6, 5, 4), (6, 3, 4))),
    *(MASK, MASK[::-1, :3].copy()),
]


def pooled(example, x, other, valid, other_valid):
    return masked_sum(x, valid) * example + masked_mean(other, other_valid)


def stepwise(example, x, other, valid, other_valid):
    row = masked_sum(other, other_valid) * example
    return zero_padding(x, valid) * row[:, None]


each_function = pytest.mark.parametrize(
    ("function", "is_sequence"), [(pooled, False), (stepwise, True)]
)


def in_buckets(function, is_sequence, tensors, training=True):
    """The output, and the arguments of each call of the function."""
    calls = []

    def counted(*parts):
        calls.append(parts)
        return function(*parts)

    example, x, other, *valid = tensors
    options = {"elements_per_step": 1, "returns_sequence": is_sequence}
    output = map_buckets(
        counted, (example,), (x, other), valid, training=training, **options
    )
    return output, calls


def differentiate(function, tensors, inputs, twice=True):
    """The output and its gradients; on PyTorch those of the gradients too."""
    if BACKEND == "tensorflow":
        with library.GradientTape() as tape:
            tape.watch(inputs)
            output = function(*tensors)
            loss = weighted(output)
        found = tape.gradient(loss, inputs)
        return [output, *map(library.convert_to_tensor, found)]
    for x in tensors:
        x.requires_grad_(x.is_floating_point())
    output = function(*tensors)
    grad = library.autograd.grad
    once = grad(weighted(output), inputs, create_graph=twice)
    again = grad(sum((g**2).sum() for g in once), inputs) if twice else ()
    return [output, *once, *again]


def weighted(output):
    size = ops.cast(ops.size(output), "int32")
    weights = ops.reshape(ops.arange(size), ops.shape(output)) / 10
    return ops.sum(output**2 * ops.cast(weights, output.dtype))


def in_graph(function, *arguments, **options):
    """Call a function, on TensorFlow in a graph."""
    if BACKEND == "tensorflow":
        function = library.function(function, **options)
    return function(*arguments)


def run(function, is_sequence, arrays=ARRAYS, training=True, **options):
    """Output and gradients, and the arguments of the calls."""
    calls = []

    def whole(*tensors):
        output, calls[:] = in_buckets(function, is_sequence, tensors, training)
        return output

    tensors = [*map(ops.convert_to_tensor, arrays)]
    found = in_graph(
        lambda *tensors: differentiate(whole, tensors, tensors[:3]),
        *tensors,
        **options,
    )
    return [*map(to_numpy, found)], calls


def assert_close(got, expected, tolerance=1e-12):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(
            to_numpy(one), to_numpy(other), rtol=tolerance, atol=tolerance
        )


@pytest.fixture
def cut_small(monkeypatch):
    """Cut small batches too; the default is one example in each bucket."""

    def cut(limit=1):
        name = {"torch": "MAX_BUCKET_ELEMENTS", "tensorflow": "BUCKETS"}
        monkeypatch.setattr(buckets, name[BACKEND], limit)

    if BACKEND == "tensorflow":
        monkeypatch.setattr(buckets, "MIN_STEPS", 1)
    cut({"torch": 1, "tensorflow": 6}[BACKEND])
    return cut


LIMITS = {"torch": {1: 6, 20: 2}, "tensorflow": {1: 1, 3: 3, 8: 6}}[BACKEND]


@each_function
@pytest.mark.parametrize("limit", LIMITS)
def test_any_number_of_buckets(function, is_sequence, limit, cut_small):
    with plain_forms():
        whole, calls = run(function, is_sequence)
    assert len(calls) == 1
    cut_small(limit)
    got, calls = run(function, is_sequence)
    assert_close(got, whole)
    assert len(calls) == LIMITS[limit]
    if BACKEND == "torch":  # each is cut to its longest sequence
        steps = {1: [1, 1, 3, 4, 4, 5], 20: [4, 5]}[limit]
        assert [x.shape[1] for _, x, *_ in calls] == steps


@only_torch
def test_small_batches_are_cut_into_four(cut_small, monkeypatch):
    cut_small(89)
    whole, calls = run(pooled, False)
    assert len(calls) == 1
    monkeypatch.setattr(buckets, "MIN_BUCKET_ELEMENTS", 1)
    got, calls = run(pooled, False)
    assert [x.shape[1] for _, x, *_ in calls] == [1, 4, 4, 5]
    assert_close(got, whole)


@each_function
def test_padding_and_nan_of_another_example_have_no_effect(
    function, is_sequence, cut_small
):
    whole, _ = run(function, is_sequence)
    example, x, *rest = ARRAYS
    x = np.where(MASK[..., None], x, np.nan)
    got, _ = run(function, is_sequence, [example, x, *rest])
    assert_close(got, whole)
    x[3, 2] = np.nan  # a valid step
    got, _ = run(function, is_sequence, [example, x, *rest])
    others = np.arange(6) != 3
    assert_close([got[0][others]], [whole[0][others]])
    assert np.isnan(got[0][3]).any()


@pytest.mark.parametrize(
    "name",
    [
        "attention-softmax",
        "transformer-layer-norm-mask",
        "transformer-additive",
    ],
)
def test_layers_in_buckets(name, cut_small, monkeypatch):
    trial = catalog.BY_NAME[name].trial(masks=True)
    layer = trial.built(dtype="float64")
    named = trial.named(masks=True, lengths=False)
    arrays = [named.pop(name) for name in trial.features]
    tensors = [ops.convert_to_tensor(x, "float64") for x in arrays]
    calls = []
    cut = "cut" if BACKEND == "torch" else "_cut"
    original = getattr(buckets, cut)
    monkeypatch.setattr(
        buckets, cut, lambda *a: calls.append(a) or original(*a)
    )

    def call(*tensors):
        return layer(*tensors, training=True, **named)

    def results(*tensors):
        inputs = [*tensors, *(w.value for w in layer.trainable_variables)]
        return differentiate(call, tensors, inputs, twice=False)

    with plain_forms():
        whole = in_graph(results, *tensors)
    assert not calls
    assert_close(in_graph(results, *tensors), whole)
    assert calls


@only_tensorflow
def test_unknown_sizes(cut_small):
    shapes = [(None, 4), *2 * [(None, None, 4)], *2 * [(None, None)]]
    signature = [
        library.TensorSpec(shape, x.dtype)
        for shape, x in zip(shapes, ARRAYS, strict=True)
    ]
    whole, _ = run(pooled, False, training=False)
    got, calls = run(pooled, False, input_signature=signature)
    assert_close(got, whole)
    assert len(calls) == 6


@only_tensorflow
def test_where_the_batch_is_not_cut(cut_small, monkeypatch):
    def count(**options):
        return len(run(pooled, False, **options)[1])

    assert count() == 6  # as many as there are examples
    assert count(training=False) == count(jit_compile=True) == 1
    library.config.run_functions_eagerly(True)
    try:
        assert count() == 1
    finally:
        library.config.run_functions_eagerly(False)
    for least, calls in ((5, 6), (6, 1)):  # there are 5 steps
        monkeypatch.setattr(buckets, "MIN_STEPS", least)
        assert count() == calls
    # Statistics of the batch are those of all examples.
    monkeypatch.setattr(buckets, "_cut", None)  # not called
    trial = catalog.BY_NAME["attention-dice"].trial()
    layer = trial.built()
    in_graph(lambda: layer(**trial.named(), training=True))


@only_tensorflow
def test_an_eager_tape_does_not_keep_the_scores_of_chunks():
    pages = Path("/proc/self/statm")
    x, valid = ops.ones((1, 1, 4000, 2)), ops.ones((1, 4000), "bool")
    with library.GradientTape() as tape:
        tape.watch(x)
        before = int(pages.read_text().split()[1])
        y = multi_head_attention(x, x, x, valid)
        kept = 4096 * (int(pages.read_text().split()[1]) - before)
    assert kept < 4 * 4000**2  # the float32 scores
    assert tape.gradient(y, x) is not None


@only_torch
def test_plain_forms_and_compilers_avoid_the_forms_of_the_backend(
    cut_small, monkeypatch
):
    class Used(Exception):
        pass

    def fail(*arguments, **options):
        raise Used

    monkeypatch.setattr(library, "lstm", fail)
    for name in (
        "torch_attention.scaled_dot_product_attention",
        "torch_select._KeepBits.apply",
        "torch_buckets._Cut.apply",
    ):
        monkeypatch.setattr(f"kseq.ops.backends.{name}", fail)

    tensors = [*map(library.tensor, ARRAYS)]
    calls = [lambda: in_buckets(lambda *parts: parts[0], False, tensors)]
    for name in ("lstm", "gru", "masked_sum", "multi_head_attention-cos"):
        example = BY_NAME[name]
        given = keras.tree.map_structure(library.tensor, example.arrays())
        calls.append(lambda e=example, t=given: e(**t))
    for call in calls:
        with plain_forms():
            call()
        with monkeypatch.context() as patch:
            patch.setattr(library.compiler, "is_compiling", lambda: True)
            call()
        with pytest.raises(Used):
            call()


@only_torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_select_by_bits_and_its_gradients(dtype):
    x = ops.convert_to_tensor([[[1.5], [float("nan")], [-2.0]]], dtype)
    x.requires_grad_()
    valid = library.tensor([[True, False, True]])
    kept = zero_padding(x, valid)
    assert kept[0, :, 0].tolist() == [1.5, 0.0, -2.0]
    grad = library.autograd.grad
    (once,) = grad((kept**2).sum(), x, create_graph=True)
    assert once[0, :, 0].tolist() == [3.0, 0.0, -4.0]
    (twice,) = grad(once.sum(), x)
    assert twice[0, :, 0].tolist() == [2.0, 0.0, 2.0]
