"""Padding, empty histories, empty batches: what holds for every layer."""

import keras
import numpy as np
import pytest

from kseq.agreement.measure import measure
from kseq.layers import Transformer
from tests.arrays import to_numpy
from tests.layers.catalog import MAIN, SIZES, STEP_WEIGHTS, draw32, each
from tests.layers.checks import assert_all_close, skip_left_out

PADDED = [e for e in MAIN if e.trial().sequences and not e.layer.is_list]
INERT = [e for e in PADDED if e.layer.inert(e.known)]
FILLINGS = (np.nan, np.inf, -np.inf, 1e30)
BACKEND = keras.backend.backend()


def assert_equal(got, expected):
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(g, e)


@each(INERT)
@pytest.mark.parametrize("masks", [False, True])
def test_padding_is_inert(example, masks):
    trial = example.trial(measured=True, masks=masks)
    layer = trial.built()
    expected = trial.shown(trial.run(layer))
    for filling in FILLINGS:
        got = trial.filled(filling)
        assert_equal(got.shown(got.run(layer)), expected)


@pytest.mark.parametrize("use_res", [False, True])
@pytest.mark.parametrize("output_type", ["mean", "sum", "masked_mean"])
def test_padded_queries_reach_a_transformers_mean(output_type, use_res):
    """The only exception: the mean or sum of all rows with `use_res`."""
    x = draw32("x", 2, 5, 4)
    lengths = np.array([5, 2])
    layer = Transformer(2, 2, output_type=output_type, use_res=use_res)
    expected = to_numpy(layer(x, query_lengths=lengths))
    x[1, 3] = np.nan
    got = to_numpy(layer(x, query_lengths=lengths))
    assert np.all(np.isfinite(expected))
    np.testing.assert_array_equal(got[0], expected[0])
    if use_res and output_type != "masked_mean":
        assert np.all(np.isnan(got[1]))
    else:
        np.testing.assert_array_equal(got[1], expected[1])


@each(INERT)
@pytest.mark.parametrize("training", [False, True])
def test_padding_is_inert_in_gradients(example, training):
    skip_left_out("gradients")
    trial = example.trial(measured=True, masks=True)
    if training:
        if not example.layer.trains(example.known):
            pytest.skip("computes the same in training")
        trial.call["training"] = True
    expected = measure(trial.filled(0.0).case(), "float32", "gradients")
    got = measure(trial.filled(np.nan).case(), "float32", "gradients")
    for name, gradient in got.items():
        gradient = to_numpy(gradient)
        assert np.all(np.isfinite(gradient)), name
        np.testing.assert_array_equal(gradient, to_numpy(expected[name]), name)
    if not example.layer.own_padding:
        for i, name in enumerate(trial.features):
            if name in trial.sequences:
                gradient = to_numpy(got[f"input {i}"])
                valid = trial.valid[trial.sequences[name]]
                assert np.all(gradient[~valid] == 0), name


@each(PADDED)
def test_gradients_of_empty_histories_are_finite(example):
    """In training, where there is nothing to take statistics of."""
    skip_left_out("gradients")
    trial = example.trial(measured=True, masks=True)
    trial = trial.with_valid({n: v & False for n, v in trial.valid.items()})
    if example.layer.trains(example.known):
        trial.call["training"] = True
    for name, gradient in measure(trial.case(), "float32", "gradients").items():
        assert np.all(np.isfinite(to_numpy(gradient))), name


@each(INERT)
def test_more_padding_changes_nothing(example):
    trial = example.trial(measured=True)
    layer = trial.built()
    if not trial.any_steps:
        pytest.skip("the table is as long as the first input")
    longer = trial.longer(3, 7.0)
    got, expected = longer.run(layer), trial.run(layer)
    padded = longer.valid.items()
    for output, at in zip(got, trial.outputs, strict=True):
        if at and at[0] == 1 and not trial.own_padding:
            if not example.layer.empty_is_zero:
                continue
            valid = dict(padded)[at[1]]
            assert np.all(output[~valid] == 0)
    shorter = [
        np.take(g, range(e.shape[at[0]]), at[0]) if at else g
        for g, e, at in zip(got, expected, trial.outputs, strict=True)
    ]
    assert_all_close(trial.shown(shorter), trial.shown(expected))


@each([e for e in PADDED if not e.layer.positional(e.known)])
def test_holes_in_a_mask_are_left_out(example):
    """Valid steps give the same wherever they are, in their order."""
    trial = example.trial(measured=True, masks=True)
    if trial.own_padding:
        pytest.skip("pairs of neighbours")
    layer = trial.built()

    def front(name, x, axis=1):
        order = np.argsort(~trial.valid[name], axis=1, kind="stable")
        others = [a for a in range(x.ndim) if a not in (0, axis)]
        return np.take_along_axis(x, np.expand_dims(order, others), axis)

    moved = trial.with_valid({n: front(n, v) for n, v in trial.valid.items()})
    for name, x in trial.features.items():
        if name in trial.sequences:
            moved.features[name] = front(trial.sequences[name], x)
    expected = example.trial(measured=True, masks=True).run(layer)
    expected = [
        front(at[1], y, at[0]) if at else y
        for y, at in zip(expected, trial.outputs, strict=True)
    ]
    assert_all_close(moved.run(layer), expected)


@each(PADDED)
def test_empty_history(example):
    trial = example.trial(measured=True)
    outputs = trial.run(trial.built())
    if not example.layer.measured:
        zero = example.layer.empty_is_zero and trial.inert
        assert np.all(outputs[0][3] == 0) == zero
    for output in outputs:
        assert np.all(np.isfinite(output))
        assert np.any(output != 0)


# The process ends (docs/upstream/openvino_no_steps.py).
needs_empty_tensors = pytest.mark.skipif(
    BACKEND == "openvino", reason="OpenVINO stops in products without elements"
)


@needs_empty_tensors
@each([e for e in INERT if e.layer.minimum_steps(e.known) == 1])
def test_no_steps(example):
    trial = example.trial()
    if example.layer.measured or "Normalization" in example.layer.name:
        pytest.skip("its output has the steps of the input")
    layer = trial.built()
    usual, got = trial.run(layer), trial.cut(0).run(layer)
    for output, expected, at in zip(got, usual, trial.outputs, strict=True):
        shape = list(expected.shape)
        if at:
            shape[at[0]] = 0
        assert output.shape == tuple(shape)
        assert np.all(output == 0)


@needs_empty_tensors
@each()
def test_empty_batch(example):
    trial = example.trial()
    layer = trial.built()
    nobody = trial.rows(slice(0))
    for got, usual in zip(nobody.run(layer), trial.run(layer), strict=True):
        assert got.shape == (0, *usual.shape[1:])
        assert got.dtype == usual.dtype


@each([e for e in MAIN if "query" in e.layer.inputs])
def test_candidates_are_independent(example):
    trial = example.trial()
    layer = trial.built()
    axis = 2 if example.layer.name == "LocalActivationUnit" else 1
    (together,) = trial.run(layer)
    query = trial.features["query"]
    alone = []
    for k in range(SIZES["candidates"]):
        trial.features["query"] = query[:, k : k + 1]
        alone += trial.run(layer)
    assert_all_close([together], [np.concatenate(alone, axis)])
    assert not np.allclose(alone[0], alone[1])


@each([e for e in MAIN if {*e.layer.inputs} & {*STEP_WEIGHTS}])
def test_weights_and_scores_of_every_shape(example):
    trial = example.trial()
    name = next((n for n in STEP_WEIGHTS if n in trial.features), None)
    if name is None:
        pytest.skip("this type of GRU has no scores")
    layer = trial.built()
    expected = trial.run(layer)
    flat = trial.features[name][..., 0]
    for given in (flat, flat[:, None]):
        trial.features[name] = given
        assert_equal(trial.run(layer), expected)
