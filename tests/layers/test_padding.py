"""Padding, empty histories, empty batches: what holds for every layer."""

import keras
import numpy as np
import pytest

from kseq.agreement.measure import measure
from kseq.layers import Transformer
from tests.layers.catalog import COMPILING, FEWER, SOME, draw32, each
from tests.support import skip_left_out, to_numpy

pytestmark = pytest.mark.once

BACKEND = keras.backend.backend()
PADDED = [e for e in FEWER if e.trial().sequences and not e.layer.is_list]
INERT = [e for e in PADDED if e.layer.inert(e.known)]


def assert_equal(got, expected):
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(g, e)


@each(INERT)
def test_padding_is_inert(example):
    for masks in (False, True) if example.layer.lengths else (True,):
        trial, layer, expected = example.computed(masks)
        got = trial.filled((np.nan, np.inf, -np.inf, 1e30)).run(layer)
        assert_equal(trial.shown(got), trial.shown(expected))


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


def gradients(trial):
    found = measure(trial.computation(), "float32", "gradients").values
    # None: no output depends on the argument.
    found = {name: x for name, x in found.items() if x is not None}
    assert all(np.all(np.isfinite(g)) for g in found.values())
    return found


@each(PADDED)
def test_gradients_of_padding_and_of_empty_histories(example):
    """In training too, where statistics of the batch are taken."""
    skip_left_out("gradients")
    trains = example.layer.trains(example.known)
    for call in ({}, {"training": True}) if trains else ({},):
        trial = example.trial(measured=True, masks=True)
        trial.call.update(call)
        # One row is always empty; where statistics are taken, all.
        if trains or example.layer.measured or BACKEND not in COMPILING:
            none = {n: v & False for n, v in trial.valid.items()}
            gradients(trial.with_valid(none))
        if not trial.inert:
            continue
        got = gradients(trial.filled(np.nan))
        names = trial.computation().names()
        for name, expected in gradients(trial.filled(0.0)).items():
            np.testing.assert_array_equal(got[name], expected, name)
        for i, name in enumerate(trial.features):
            if name in trial.sequences and not trial.own_padding:
                valid = trial.valid[trial.sequences[name]]
                for key, gradient in got.items():
                    if key.partition(" of ")[0] == names[i]:
                        assert np.all(gradient[~valid] == 0), name


@pytest.mark.skipif(  # docs/upstream/openvino_no_steps.py
    BACKEND == "openvino", reason="OpenVINO stops in products without elements"
)
@each(SOME)
def test_empty_batches_and_histories_without_steps(example):
    trial, layer, usual = example.computed()
    nobody = trial.rows(slice(0)).run(layer)
    for got, expected in zip(nobody, usual, strict=True):
        assert got.shape[1:] == expected.shape[1:]
        assert got.dtype == expected.dtype
        assert len(got) == 0 or example.layer.measured
    if example.layer.measured or example not in INERT:
        return
    if example.layer.minimum_steps(example.known) > 1:
        return
    got = trial.cut(0).run(layer)
    for output, expected, at in zip(got, usual, trial.outputs, strict=True):
        shape = list(expected.shape)
        if at:
            shape[at[0]] = 0
        assert output.shape == tuple(shape)
        assert np.all(output == 0)
