"""The comparison with the model, with a stand-in for exporter and runtime."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.export import ExportError, check, compare, export
from kseq.export.examples import model_inputs, resize_histories
from kseq.export.formats import BY_NAME
from kseq.export.runtimes import input_order, sort_naturally
from tests.export.pooling import INPUTS, STEPS, pooling_model
from tests.reliability.disk import contents

pytestmark = pytest.mark.once
BACKEND = keras.backend.backend()


def predict(x, lengths):
    return keras.ops.convert_to_numpy(pooling_model()([x, lengths]))


def fixed_rows(x, lengths):
    return predict(np.concatenate([x[:2], 0 * x[2:]]), lengths)


def fixed_steps(x, lengths):
    return predict(x[:, :3], lengths)


def later_steps_of_the_example(x, lengths):
    later = INPUTS["x"][: len(x), 3 : x.shape[1]]
    return predict(np.concatenate([x[:, :3], later], axis=1), lengths)


def stand_in(monkeypatch, run=predict, fails=False, **changes):
    """Replace ONNX's exporter and runtime; return what the exporter got."""
    changes.setdefault("load", lambda *_: lambda arrays: [run(*arrays)])
    changes = {"needs": (), "exporters": {}} | changes
    format = dataclasses.replace(BY_NAME["onnx"], **changes)
    monkeypatch.setattr(compare, "resolve_format", lambda *_: format)
    calls = []

    def write(self, path, **options):
        calls.append(options)
        Path(path).write_bytes(b"new")
        Path(f"{path}.data").write_bytes(b"new weights")
        if fails:
            raise RuntimeError("too much for me!.")

    monkeypatch.setattr(keras.Model, "export", write)
    return calls


@pytest.fixture
def path(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"old")
    return tmp_path / "model.onnx"


@pytest.mark.parametrize(
    ("steps", "size", "batches", "lengths"),
    [(None, None, (3, 1), (6, 3)), (4, 2, (2,), (4,))],
)
def test_a_correct_file_replaces_the_old_one(
    path, monkeypatch, steps, size, batches, lengths
):
    calls = stand_in(monkeypatch)
    report = export(pooling_model(), path, INPUTS, steps=steps, batch_size=size)
    assert report.difference == 0.0
    assert (report.batch_sizes, report.steps) == (batches, lengths)
    files = {"model.onnx": b"new", "model.onnx.data": b"new weights"}
    assert contents(path.parent) == files
    ((x, n),) = calls[0]["input_signature"]
    assert (x.shape, n.shape) == ((size, steps, 2), (size,))


def not_loadable(*_):
    raise OSError("damaged")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"run": fixed_rows}, "on a batch of 3 rows .*outputs are "),
        ({"run": fixed_steps}, "on a batch of 3 rows .*outputs are "),
        ({"run": later_steps_of_the_example}, "0 in the later half of x"),
        ({"run": lambda *x: predict(*x)[..., :1]}, "have the shapes"),
        ({"run": lambda *x: predict(*x) * np.nan}, "outputs are inf away"),
        ({"run": lambda *x: 1 / 0}, "fails on a batch of 3 rows"),
        ({"load": not_loadable}, "the file does not load: OSError: damaged"),
        ({"fails": True}, "exporter fails: RuntimeError: too much for me"),
    ],
)
@pytest.mark.parametrize("steps", [None, STEPS])
def test_a_failure_keeps_the_old_file(path, monkeypatch, changes, match, steps):
    stand_in(monkeypatch, **changes)
    with pytest.raises(ExportError, match=match):
        export(pooling_model(steps=steps), path, INPUTS)
    assert contents(path.parent) == {"model.onnx": b"old"}


@pytest.mark.parametrize(
    ("changes", "steps", "end"),
    [
        ({"backend": "another"}, None, "a number for steps="),
        ({"option": "batch_size"}, 3, "it with a number for batch_size="),
        ({}, 3, ": too much for me"),
        ({"option": ""}, None, ": too much for me"),
    ],
)
def test_errors_name_a_route_that_works(path, monkeypatch, changes, steps, end):
    changes = {"backend": BACKEND} | changes
    stand_in(monkeypatch, fails=True, **changes)
    with pytest.raises(ExportError) as caught:
        export(pooling_model(), path, INPUTS, steps=steps)
    assert str(caught.value).endswith(end)
    has_backend = "KERAS_BACKEND=another" in str(caught.value)
    assert has_backend == (changes["backend"] == "another")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"path": "model.h5"}, "^path: .* ends with one"),
        ({"format": "litert"}, r"^path: .* ends with \.tfl"),
        ({"path": "."}, "^path: expected a new folder, or a SavedModel's"),
        ({"path": "file/model.onnx"}, "^path: expected a file to write"),
        ({"example_inputs": [1]}, "^example_inputs: .* each of the inputs"),
        ({"x": np.ones((3, 6, 4))}, r"^example_inputs, x: .*d shape \(3, 6, 4"),
        ({"lengths": np.ones(2)}, "^example_inputs: .*as many rows"),
        ({"x": np.ones((3, 1, 2))}, "^example_inputs: .*at least 2 steps"),
        ({"lengths": ["a", "b", "c"]}, "^example_inputs, lengths: .*numbers"),
        # The later half of x is padding, or changes too little.
        ({"lengths": np.ones(3)}, "^model and example_inputs: .* half of x"),
        ({"tolerance": 0.9}, r"^model and .*4e\+00 of the .*half of x"),
    ],
)
def test_invalid_arguments(change, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    inputs = {n: change.get(n, x) for n, x in INPUTS.items()}
    change = {n: x for n, x in change.items() if n not in INPUTS}
    arguments = {"path": "model.onnx", "example_inputs": inputs} | change
    calls = stand_in(monkeypatch) if "/" in arguments["path"] else []
    with pytest.raises(ValueError, match=match):
        export(pooling_model(), **arguments)
    assert not calls
    assert contents(tmp_path) == {"file": b""}


def test_invalid_arguments_of_check(path):
    with pytest.raises(ValueError, match=r"^path: .*which is not there"):
        check(pooling_model(), path.with_name("none.onnx"), INPUTS)
    with pytest.raises(ValueError, match=r"^steps: expected None .* \[6\]"):
        check(pooling_model(steps=STEPS), path, INPUTS, steps=3)


def test_histories_of_other_lengths():
    inputs, arrays = model_inputs(pooling_model()), [*INPUTS.values()]
    for steps, limited in ((3, [3, 2, 3]), (8, INPUTS["lengths"])):
        x, lengths = resize_histories(inputs, arrays, {STEPS: steps})
        padded = np.pad(INPUTS["x"], [(0, 0), (0, 2), (0, 0)])
        np.testing.assert_array_equal(x, padded[:, :steps])
        np.testing.assert_array_equal(lengths, limited)


def test_inputs_of_a_file_are_matched_by_name_or_position():
    assert input_order(["serving_default_b:0", "a"], ["a", "b"]) == [1, 0]
    assert input_order(["a_a", "a_b"], ["a-b", "a-a"]) == [1, 0]
    assert input_order(["args_10", "args_9"], ["a", "b"]) == [1, 0]
    assert input_order(["input", "input"], ["a", "b"]) == [0, 1]
    with pytest.raises(ExportError, match="the file has the inputs"):
        input_order(["a", "b", "c"], ["a", "b"])
    names = ["output_10", "output_9"]
    assert sort_naturally(names) == ["output_9", "output_10"]
