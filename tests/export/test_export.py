"""Real exporters and runtimes that need only the backend, and OpenVINO.

`tests.export.matrix` runs all others.
"""

import os

import keras
import pytest

from kseq.export import ExportError, Report, check, export
from kseq.layers.sequence import DynamicGRU
from tests.export.pooling import INPUTS, STEPS, pooling_model
from tests.reliability.disk import contents, full_after, needs_limits

BACKEND = keras.backend.backend()
# The formats that need only the backend itself. (Keras's OpenVINO backend
# exports only models of one input.)
NATIVE = {"tensorflow": "tf_saved_model", "torch": "torch"}
if os.environ.get("KSEQ_EXPORT"):  # all backends and runtimes are installed
    NATIVE["jax"] = "tf_saved_model"


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
    assert report == Report(
        path,
        NATIVE[BACKEND],
        batch_sizes=(3, 1),
        steps=(6, 3),
        any_batch_size=True,
        any_steps=True,
        difference=report.difference,
        later_half=report.later_half,
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


@on(*NATIVE)
@needs_limits
@pytest.mark.skipif(
    BACKEND == "torch",
    reason="PyTorch ends the process (docs/upstream/torch_export_full_disk.py)",
)
def test_full_disk_keeps_old_files(path, monkeypatch):
    export(pooling_model(), path, INPUTS)
    before = contents(path.parent)
    write = keras.Model.export

    def on_a_full_disk(self, *arguments, **options):
        with full_after(100):
            write(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, "export", on_a_full_disk)
    with pytest.raises(ExportError, match="Keras's exporter fails: "):
        export(pooling_model(seed=1), path, INPUTS)
    assert contents(path.parent) == before
    assert [*path.parent.iterdir()] == [path]


@on("torch")
def test_openvino(tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("scipy")
    path = tmp_path / "model.xml"
    assert export(gru(steps=STEPS), path, INPUTS).difference < 1e-6
    with pytest.raises(ExportError, match="of 3 rows the file's outputs are"):
        check(gru(steps=STEPS, seed=1), path, INPUTS)
