"""Models leave Keras, and the files compute what the models do.

Here: what each backend can export with what is installed. `tox run -e export`
has everything, and skips nothing.
"""

import dataclasses
import importlib.util
import os
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import kseq.export.compare
from kseq.agreement.numbers import seed_weights
from kseq.export import ExportError, Report, check, export
from kseq.export.compare import distance
from kseq.export.examples import (
    Inputs,
    inputs_of,
    with_lengths,
    with_rows,
    without_later_halves,
)
from kseq.export.formats import BY_NAME
from kseq.export.runtimes import in_order, needed, places
from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.layers.sequence import DynamicGRU, SequencePoolingLayer
from kseq.models import DIEN
from tests.layers.examples import draw
from tests.reliability.disk import contents, full_after, needs_limits

BACKEND = keras.backend.backend()
# The format that a backend and its own packages are enough for. (Keras's
# OpenVINO backend exports models of one input only.)
NATIVE = {"tensorflow": "tf_saved_model", "torch": "torch"}.get(BACKEND)
native = pytest.mark.skipif(
    NATIVE is None, reason=f"{BACKEND} exports to nothing of its own"
)
if os.environ.get("KSEQ_EXPORT"):
    # Everything is installed: what would be skipped is not there.
    if BACKEND == "jax":
        NATIVE = "tf_saved_model"

    def native(test):
        return test


STEPS = 6
INPUTS = {
    "x": draw(3, STEPS, 2),
    "lengths": np.array([STEPS, 2, 5]),
}
SHORT = {"x": draw(3, 4, 2), "lengths": np.array([4, 2, 3])}


def needs(*packages):
    """Skip where a package is not installed; fail where all should be."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing and os.environ.get("KSEQ_EXPORT"):
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}; tox run -e export has it")


def model(layer=None, steps=None, cut=None, seed=0):
    x = keras.Input((steps, 2), name="x")
    lengths = keras.Input((), dtype="int32", name="lengths")
    shown = x if cut is None else x[:, :cut]
    made = keras.Model(
        [x, lengths], (layer or SequencePoolingLayer("mean"))([shown, lengths])
    )
    seed_weights(made, seed)
    return made


def gru(**options):
    return model(DynamicGRU(3, return_sequence=False), **options)


def path(folder, format=None):
    return folder / f"model{BY_NAME[format or NATIVE].suffix}"


@native
def test_a_file_is_run_with_other_batches_and_histories(tmp_path):
    report = export(model(), path(tmp_path), INPUTS, format=NATIVE)
    assert report == Report(
        path(tmp_path),
        NATIVE,
        batch_sizes=(3, 1),
        steps=(6, 3),
        any_batch_size=True,
        any_steps=True,
        difference=report.difference,
        later_half=report.later_half,
    )
    assert report.difference < 1e-6 < 0.1 < report.later_half
    assert "batches of 3 and 1, histories of 6 and 3 steps;" in str(report)
    assert f"histories matter {report.later_half:.1e}" in str(report)
    again = check(model(), path(tmp_path), [*INPUTS.values()], format=NATIVE)
    assert again == report


@native
def test_one_number_of_steps(tmp_path):
    report = export(gru(), path(tmp_path), INPUTS, format=NATIVE, steps=4)
    assert (report.steps, report.any_steps) == ((4,), False)
    assert report.difference < 1e-6
    assert ", histories of 4 steps only;" in str(report)


@native
def test_a_file_with_other_weights_is_refused(tmp_path):
    export(gru(steps=STEPS), path(tmp_path), INPUTS, format=NATIVE)
    with pytest.raises(ExportError, match="of 3 rows the file's outputs are"):
        check(gru(steps=STEPS, seed=1), path(tmp_path), INPUTS, format=NATIVE)


@native
def test_a_file_that_knows_the_first_steps_only_is_refused(tmp_path):
    if NATIVE == "torch":  # it does not write one
        with pytest.raises(ExportError, match="Keras's exporter fails"):
            export(model(cut=3), path(tmp_path), SHORT, format=NATIVE)
        return
    export(model(cut=3), path(tmp_path), SHORT, format=NATIVE)
    with pytest.raises(ExportError, match="and histories of 6 steps the file"):
        check(model(), path(tmp_path), INPUTS, format=NATIVE)


class Follows:
    """A runtime of a file that was made by following one example."""

    def __init__(self, rows=None, steps=None):
        self.rows, self.steps = rows, steps

    def __call__(self, path, names, structure):
        return self.run

    def run(self, arrays):
        x, lengths = arrays
        x = x[:, : self.steps]
        if self.rows:
            x[self.rows :] = 0
        return [keras.ops.convert_to_numpy(model()([x, lengths]))]


def following(monkeypatch, *sizes, fails=False, **changes):
    """ONNX, if its exporter and its runtime were these."""
    changes = {
        "needs": (),
        "exporters": {},
        "runtime": Follows(*sizes),
    } | changes
    format = dataclasses.replace(BY_NAME["onnx"], **changes)
    monkeypatch.setattr(kseq.export.compare, "format_of", lambda *_: format)

    def write(self, path, **_):
        Path(path).write_bytes(b"new")
        Path(f"{path}.data").write_bytes(b"new weights")
        if fails:
            raise RuntimeError("too much for me!.")

    monkeypatch.setattr(keras.Model, "export", write)


def test_what_is_right_takes_its_place_with_all_that_belongs_to_it(
    tmp_path, monkeypatch
):
    following(monkeypatch)
    (tmp_path / "model.onnx").write_bytes(b"old")
    report = export(model(), tmp_path / "model.onnx", INPUTS)
    assert report.difference == 0.0
    assert contents(tmp_path) == {
        "model.onnx": b"new",
        "model.onnx.data": b"new weights",
    }


@pytest.mark.parametrize(
    ("sizes", "fails", "says"),
    [
        ((2, None), False, "of 3 rows and histories of 6 steps the file's"),
        ((None, 3), False, "of 3 rows and histories of 6 steps the file's"),
        ((None, None), True, "exporter fails: RuntimeError: too much for me"),
    ],
)
def test_what_is_wrong_leaves_the_old_file(
    tmp_path, monkeypatch, sizes, fails, says
):
    following(monkeypatch, *sizes, fails=fails)
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(ExportError, match=says):
        export(model(), tmp_path / "model.onnx", INPUTS)
    assert contents(tmp_path) == {"model.onnx": b"old"}


def dien(steps, deviation):
    keras.utils.set_random_seed(0)
    start = keras.initializers.RandomNormal(stddev=deviation, seed=1)
    item = SparseFeat("item", 9, embeddings_initializer=start)
    clicks = dataclasses.replace(item, name="hist_item")
    over_time = VarLenSparseFeat(clicks, steps, length_name="lengths")
    return DIEN([item, over_time], ["item"], "AUGRU", dnn_hidden_units=(8,))


CLICKS = {
    "item": np.array([1, 2]),
    "hist_item": np.array([[3, 4, 5, 6], [7, 8, 0, 0]]),
    "lengths": np.array([4, 2]),
}


@pytest.mark.parametrize("steps", [None, 4])
def test_a_file_that_ignores_later_steps_is_refused(
    tmp_path, monkeypatch, steps
):
    def exported(model, longest):
        def run(arrays):
            inputs = dict(zip(inputs_of(model).names, arrays, strict=True))
            inputs["lengths"] = np.minimum(inputs["lengths"], longest)
            return [keras.ops.convert_to_numpy(model(inputs))]

        following(monkeypatch, runtime=lambda *_: run)
        # One number of rows, since each is compiled, which JAX is slow at.
        return export(model, tmp_path / "model.onnx", CLICKS, batch_size=2)

    model = dien(steps, 1.0)
    assert exported(model, 4).later_half > 1e-3
    with pytest.raises(ExportError, match="the file's outputs are"):
        exported(model, 1)
    # As a model starts: what a file does with a history is hardly seen.
    with pytest.raises(
        ValueError,
        match=r"later half of hist_item .*\(train the model first, .*"
        r"embeddings_initializer=.*; received \d\.\de.\d\d$",
    ):
        exported(dien(steps, 1e-4), 1)


def test_a_file_that_holds_the_example_s_later_steps_is_refused(
    tmp_path, monkeypatch
):
    def run(arrays):
        x, lengths = arrays
        x = np.concatenate([x[:, :3], INPUTS["x"][: len(x), 3:]], axis=1)
        return [keras.ops.convert_to_numpy(model()([x, lengths]))]

    following(monkeypatch, runtime=lambda *_: run)
    says = r"\(0 in the later half of x\) the file's outputs are"
    with pytest.raises(ExportError, match=says):
        export(model(), tmp_path / "model.onnx", INPUTS, steps=STEPS)


def test_what_is_taken_for_a_history():
    """By the shape alone; and a list of tags does not speak for a history."""
    shapes = {
        "ids": (None, 4),
        "vectors": (None, 5, 2),
        "tags": (None, 3),
        "any": (None, None),
        "numbers": (None, 4),
        "one": (None, 1),
    }
    dtypes = ["int32", "float32", "int32", "float32", "float32", "int32"]
    arrays = [
        np.ones([n or 4 for n in shape], dtype)
        for shape, dtype in zip(shapes.values(), dtypes, strict=True)
    ]
    inputs = Inputs(None, (*shapes,), (*shapes.values(),), (*dtypes,))
    found = dict(without_later_halves(inputs, arrays))
    assert [*found] == [("tags",), ("ids", "any"), ("vectors",)]
    ids, vectors, tags, *_ = found["ids", "any"]
    np.testing.assert_array_equal(ids, 4 * [[1, 1, 0, 0]])
    assert vectors.all()
    assert tags.all()
    assert all(x.all() for x in arrays)
    np.testing.assert_array_equal(found["tags",][2], 4 * [[1, 1, 0]])


@needs_limits
@pytest.mark.parametrize("size", [0, 3])
def test_a_full_disk_leaves_the_old_files(tmp_path, monkeypatch, size):
    """Before the first file of an export, and in the middle of the second."""
    following(monkeypatch)
    before = {"model.onnx": b"old", "model.onnx.data": b"old weights"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with (
        full_after(size),
        pytest.raises(
            ExportError, match=r"exporter fails: OSError: .* too larg"
        ),
    ):
        export(model(), tmp_path / "model.onnx", INPUTS)
    assert contents(tmp_path) == before


@native
@needs_limits
@pytest.mark.skipif(
    BACKEND == "torch",
    reason="PyTorch ends the process (docs/upstream/torch_export_full_disk.py)",
)
@pytest.mark.parametrize("size", [0, 100])
def test_a_full_disk_and_an_exporter(tmp_path, monkeypatch, size):
    place = path(tmp_path)
    export(model(), place, INPUTS, format=NATIVE)
    before = contents(tmp_path)
    write = keras.Model.export

    def on_a_full_disk(self, *arguments, **options):
        with full_after(size):
            write(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, "export", on_a_full_disk)
    with pytest.raises(ExportError, match="Keras's exporter fails: "):
        export(model(seed=1), place, INPUTS, format=NATIVE)
    assert contents(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == [place.name]


def test_a_place_that_cannot_be_written_is_refused_first(tmp_path, monkeypatch):
    following(monkeypatch, fails=True)
    (tmp_path / "file").write_bytes(b"old")
    below = tmp_path / "file" / "model.onnx"
    with pytest.raises(ValueError, match=r"^path: expected a file to write"):
        export(model(), below, INPUTS)
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize(
    ("changes", "steps", "route"),
    [
        (
            {"backend": "another"},
            None,
            "save the model as .keras, load it under KERAS_BACKEND=another, "
            "and export it there with a number for steps=",
        ),
        (
            {"backend": "another"},
            3,
            "save the model as .keras, load it under KERAS_BACKEND=another, "
            "and export it there",
        ),
        ({"backend": BACKEND}, None, "export it with a number for steps="),
        (
            {"backend": BACKEND, "option": "batch_size"},
            3,
            "export it with a number for batch_size=",
        ),
        ({"backend": BACKEND}, 3, None),
        ({"backend": BACKEND, "option": ""}, None, None),
    ],
)
def test_what_else_to_do_is_said_but_not_what_was_done(
    tmp_path, monkeypatch, changes, steps, route
):
    following(monkeypatch, fails=True, **changes)
    with pytest.raises(ExportError) as caught:
        export(model(), tmp_path / "model.onnx", INPUTS, steps=steps)
    what = f"{tmp_path / 'model.onnx'}: Keras's exporter fails: "
    what += "RuntimeError: too much for me"
    if route is not None:
        what += f". What works for every layer and model of kseq: {route}"
    assert str(caught.value) == what


def test_packages_of_an_exporter_that_are_missing_are_named(
    tmp_path, monkeypatch
):
    exporters = {BACKEND: ("numpy", "no-such"), "another": ("not-asked-for",)}
    needs = ("no-such-either",)
    following(monkeypatch, fails=True, needs=needs, exporters=exporters)
    with pytest.raises(ExportError) as caught:
        export(model(), tmp_path / "model.onnx", INPUTS)
    assert str(caught.value).endswith(
        "needs what is not installed: pip install no-such no-such-either "
        "(RuntimeError: too much for me)"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": keras.layers.Dense(2)}, "^model: expected a functional"),
        ({"path": "model.h5"}, "^path: expected a path that ends with"),
        ({"format": "pmml"}, "^format: expected one of"),
        ({"format": "litert"}, "^path: expected a path that ends with .tfl"),
        ({"path": "."}, "^path: expected a new folder, or a SavedModel's"),
        ({"steps": 0}, "^steps: expected a positive integer"),
        ({"batch_size": True}, "^batch_size: expected a positive integer"),
        ({"tolerance": -1.0}, "^tolerance: expected"),
        ({"example_inputs": {"x": 1}}, "without .'lengths'"),
        ({"example_inputs": [1]}, "an array for each of the inputs"),
        (
            {"example_inputs": INPUTS | {"x": np.ones((3, 6, 4))}},
            r"^example_inputs, x: expected .*received shape \(3, 6, 4\)",
        ),
        (
            {"example_inputs": INPUTS | {"lengths": np.ones(2)}},
            "as many rows of each input",
        ),
        (
            {"example_inputs": INPUTS | {"x": np.ones((3, 1, 2))}},
            "histories of at least 2 steps",
        ),
        (
            {"example_inputs": INPUTS | {"lengths": np.ones(3)}},
            "^model and example_inputs: expected .* later half of x moves",
        ),
        (
            {"example_inputs": INPUTS | {"lengths": ["a", "b", "c"]}},
            r"^example_inputs, lengths: expected numbers.*received \['a', 'b'",
        ),
        (
            {"example_inputs": INPUTS | {"x": [[[1, 2]], [[3]]]}},
            "^example_inputs, x: expected numbers",
        ),
    ],
)
def test_bad_arguments(change, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"model": model(), "path": "model.onnx", "example_inputs": INPUTS}
    with pytest.raises(ValueError, match=says):
        export(**given | change)
    assert not contents(tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"^path: .*which is not there"):
        check(model(), tmp_path / "model.onnx", INPUTS)


def test_a_model_of_known_steps_has_no_others():
    with pytest.raises(ValueError, match=r"^steps: expected None"):
        check(model(steps=STEPS), "model.onnx", INPUTS, steps=3)


def test_lengths_are_not_beyond_the_new_end():
    inputs = inputs_of(model())
    x, lengths = with_lengths(
        inputs, [INPUTS["x"], INPUTS["lengths"]], {STEPS: 3}
    )
    assert x.shape == (3, 3, 2)
    np.testing.assert_array_equal(lengths, [3, 2, 3])
    x, lengths = with_lengths(
        inputs, [INPUTS["x"], INPUTS["lengths"]], {STEPS: 8}
    )
    assert x.shape == (3, 8, 2)
    assert not x[:, 6:].any()
    np.testing.assert_array_equal(lengths, INPUTS["lengths"])


def test_rows_begin_again():
    (found,) = with_rows([np.arange(3)], range(2, 6))
    np.testing.assert_array_equal(found, [2, 0, 1, 2])


def test_inputs_of_a_file_are_found_by_their_names_or_in_order():
    assert places(["serving_default_b:0", "a"], ["a", "b"]) == [1, 0]
    assert places(["args_10", "args_9"], ["a", "b"]) == [1, 0]
    assert places(["input", "input"], ["a", "b"]) == [0, 1]
    with pytest.raises(ExportError, match="the file has the inputs"):
        places(["a", "b", "c"], ["a", "b"])
    assert in_order(["output_10", "output_9"]) == ["output_9", "output_10"]


def test_a_missing_package_is_named():
    with pytest.raises(ExportError, match="to fly needs wings: pip install"):
        needed("no_such_module", "wings", "to fly")


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan, 1.0], [2.0, 1.0], np.nan),
        ([], [], 0.0),
    ],
)
def test_distance(x, y, expected):
    found = distance(np.array(x), np.array(y))
    np.testing.assert_equal(found, expected)


@pytest.mark.skipif(
    BACKEND not in ("tensorflow", "torch"), reason="nothing goes to LiteRT"
)
def test_litert(tmp_path):
    needs("ai_edge_litert", *["litert_torch"] * (BACKEND == "torch"))
    place = tmp_path / "model.tflite"
    if BACKEND == "tensorflow":
        export(gru(), place, INPUTS, batch_size=2)
        return
    # PyTorch's exporter holds one step of the unknown number, and LiteRT takes
    # others without a word.
    with pytest.raises(ExportError, match="the file's outputs are"):
        export(model(), place, INPUTS, batch_size=2)
    assert not place.exists()
    export(model(), place, INPUTS, batch_size=2, steps=4)


@pytest.mark.skipif(
    BACKEND not in ("tensorflow", "torch", "jax"), reason="no ONNX"
)
def test_onnx(tmp_path):
    exporter = {"tensorflow": "tf2onnx", "torch": "onnx", "jax": "jax2onnx"}
    needs("onnxruntime", exporter[BACKEND])
    place = tmp_path / "model.onnx"
    if (
        BACKEND == "jax"
    ):  # jax2onnx takes no unknown number of steps, nor a loop
        assert export(model(), place, INPUTS, steps=4).steps == (4,)
        return
    assert export(model(), place, INPUTS).any_steps
    assert export(gru(), place, INPUTS, steps=4).steps == (4,)
    if BACKEND != "torch":
        return
    # By Keras alone it is written, and nothing is said.
    alone = gru()
    alone([INPUTS["x"], INPUTS["lengths"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's, which say other things
        alone.export(place, format="onnx", verbose=False)
    with pytest.raises(ExportError, match=r"the file .*steps=$"):
        check(gru(), place, INPUTS)


@pytest.mark.skipif(BACKEND != "torch", reason="OpenVINO's route is PyTorch")
def test_openvino(tmp_path):
    needs("openvino", "scipy")
    place = tmp_path / "model.xml"
    assert export(model(), place, INPUTS).any_steps
    assert export(gru(), place, INPUTS, steps=4).steps == (4,)
    with pytest.raises(ExportError, match=r"of 3 rows .* the file's outputs"):
        check(gru(seed=1), place, INPUTS, steps=4)
