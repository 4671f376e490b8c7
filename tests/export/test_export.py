"""Real exporters and runtimes, as far as they are installed.

`tox run -e export` installs all of them, and skips nothing.
"""

import importlib.util
import os
import warnings

import keras
import pytest

from kseq.export import ExportError, Report, check, export
from kseq.layers.sequence import DynamicGRU
from tests.export.pooling import INPUTS, STEPS, pooling_model
from tests.reliability.disk import contents, full_after, needs_limits

BACKEND = keras.backend.backend()
EVERYTHING_INSTALLED = bool(os.environ.get("KSEQ_EXPORT"))
# The formats that need only the backend itself. (Keras's OpenVINO backend
# exports only models of one input.)
NATIVE = {"tensorflow": "tf_saved_model", "torch": "torch"}
if EVERYTHING_INSTALLED:
    NATIVE["jax"] = "tf_saved_model"


def on(*backends):
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"{BACKEND} does not export to this"
    )


def require(*packages):
    """Skip if a package is missing; fail if all should be installed."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing and EVERYTHING_INSTALLED:
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}; tox run -e export has it")


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


@on("tensorflow", "torch")
def test_litert(tmp_path):
    require("ai_edge_litert", *["litert_torch"] * (BACKEND == "torch"))
    path = tmp_path / "model.tflite"
    if BACKEND == "tensorflow":
        export(gru(), path, INPUTS, batch_size=2)
        return
    # PyTorch's exporter fixes the unknown number of steps at 1, and LiteRT
    # silently accepts others.
    with pytest.raises(ExportError, match="the file's outputs are"):
        export(pooling_model(), path, INPUTS, batch_size=2)
    assert not path.exists()
    export(pooling_model(), path, INPUTS, batch_size=2, steps=4)


@on("tensorflow", "torch", "jax")
def test_onnx(tmp_path):
    exporter = {"tensorflow": "tf2onnx", "torch": "onnx", "jax": "jax2onnx"}
    require("onnxruntime", exporter[BACKEND])
    path = tmp_path / "model.onnx"
    if BACKEND == "jax":  # jax2onnx supports neither unknown steps nor loops
        assert export(pooling_model(), path, INPUTS, steps=4).steps == (4,)
        return
    assert export(pooling_model(), path, INPUTS).any_steps
    assert export(gru(), path, INPUTS, steps=4).steps == (4,)
    if BACKEND != "torch":
        return
    # Keras alone silently writes a file for one number of steps.
    alone = gru()
    alone([INPUTS["x"], INPUTS["lengths"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about other things
        alone.export(path, format="onnx", verbose=False)
    with pytest.raises(ExportError, match=r"the file .*steps=$"):
        check(gru(), path, INPUTS)


@on("torch")
def test_openvino(tmp_path):
    require("openvino", "scipy")
    path = tmp_path / "model.xml"
    assert export(gru(steps=STEPS), path, INPUTS).difference < 1e-6
    with pytest.raises(ExportError, match="of 3 rows the file's outputs are"):
        check(gru(steps=STEPS, seed=1), path, INPUTS)
