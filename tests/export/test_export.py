"""Real exporters and runtimes that need only the backend, and OpenVINO.

`tests.export.matrix` runs all others.
"""

import os

import keras
import numpy as np
import pytest

from kseq.export import ExportError, Report, check, export
from kseq.export.formats import BY_NAME as FORMATS_BY_NAME
from kseq.layers.sequence import DynamicGRU, SequencePoolingLayer
from kseq.models import ranking_model
from tests.export.pooling import INPUTS, STEPS, pooling_model
from tests.export.routes import MODELS, ONE_SIZE, ROUTES
from tests.models.examples import BY_NAME, SIZES, inputs_of

BACKEND = keras.backend.backend()
# The formats that need only the backend itself. (Keras's OpenVINO backend
# exports only models of one input.)
NATIVE = {"tensorflow": "tf_saved_model", "torch": "torch"}
OF_CANDIDATES = [
    (NATIVE[BACKEND], name) for name in ("DIN",) if BACKEND in NATIVE
]
if os.environ.get("KSEQ_EXPORT"):  # all backends and runtimes are installed
    NATIVE["jax"] = "tf_saved_model"
    OF_CANDIDATES = [
        (route.format, name)
        for route in ROUTES
        for name in MODELS
        if route.backend == BACKEND
        # LiteRT cannot run DIEN's loop with a size that is not known.
        and (route.format, name) != ("litert", "DIEN")
    ]


def on(*backends):
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"{BACKEND} does not export to this"
    )


def gru(**options):
    return pooling_model(DynamicGRU(3, return_sequence=False), **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / ("model.pt2" if BACKEND == "torch" else "model")


@on(*NATIVE)
def test_a_file_runs_with_other_batch_sizes_and_histories(path):
    report = export(pooling_model(), path, INPUTS)
    measured = report.difference, report.later_half
    assert report == Report(
        *(path, NATIVE[BACKEND], (3, 1), (6, 3), True, True, *measured)
    )
    assert report.difference < 1e-6 < 0.1 < report.later_half
    assert "batches of 3 and 1, histories of 6 and 3 steps;" in str(report)
    assert f"change the outputs by {report.later_half:.1e}" in str(report)
    again = check(pooling_model(), path, [*INPUTS.values()])
    assert again == report


@on(*NATIVE)
def test_fixed_steps_and_other_weights(path):
    report = export(gru(), path, INPUTS, steps=4, batch_size=3)
    assert (report.steps, report.any_steps) == ((4,), False)
    assert (report.batch_sizes, report.any_batch_size) == ((3,), False)
    assert "batches of 3 only, histories of 4 steps only;" in str(report)
    with pytest.raises(ExportError, match=r"of 3 rows .*outputs are"):
        check(gru(seed=1), path, INPUTS, steps=4, batch_size=3)


@on("tensorflow")
def test_a_saved_model_of_a_gru_takes_any_history(path):
    assert export(gru(), path, INPUTS).any_steps


@pytest.mark.parametrize(("format", "name"), OF_CANDIDATES)
def test_a_file_of_any_number_of_candidates(format, name, tmp_path):
    """One history in each row, of another length than the candidates."""
    one = BY_NAME[MODELS[name]].unknown_steps()
    model = ranking_model(one)
    path = tmp_path / f"model{FORMATS_BY_NAME[format].suffix}"
    options = ONE_SIZE if format == "litert" else {}
    if FORMATS_BY_NAME[format].option == "steps":
        options = {"steps": STEPS}
    options = {"format": format, **options}

    def given(count):
        ids = np.arange(5 * count).reshape(5, count)
        drawn = {n: 1 + ids % (SIZES[n] - 1) for n in ("item", "cate")}
        return inputs_of(one) | drawn

    report = export(model, path, given(512), **options)
    assert (report.candidates, report.difference < 1e-5) == ((512, 1), True)
    assert "512 and 1 candidates; largest" in str(report)
    assert report.steps == ((STEPS,) if "steps" in options else (4, 2))
    assert check(model, path, given(7), **options).difference < 1e-5


@on("torch")
def test_openvino(tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("scipy")
    path = tmp_path / "model.xml"
    report = export(pooling_model(steps=STEPS), path, INPUTS, steps=STEPS)
    assert report.difference < 1e-6
    other = pooling_model(SequencePoolingLayer("sum"), STEPS)
    with pytest.raises(ExportError, match="of 3 rows the file's outputs are"):
        check(other, path, INPUTS)
