"""Records: contents, files, and files that are damaged or foreign."""

import contextlib
import json
import os
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest

from kseq.agreement.compare import compare_records
from kseq.agreement.record import (
    FORMAT,
    Entry,
    Record,
    Result,
    fingerprint,
    load_record,
    load_result,
    new_run,
    result_file,
    save_result,
    save_run,
)

pytestmark = pytest.mark.once

TEST = "tests/t.py::test[a/b]"


def make_result(test=TEST):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    forward = Entry(0, "f", "float32", "forward", {"output": x, "": x > 2})
    forward.facts["output dtype"] = "float32"
    forward.references["output"] = x.astype("float64")
    forward.sensitivities["output"] = x
    forward.arguments["0"] = np.array(1, "int8")
    gradients = Entry(0, "f", "float64", "gradients", {"x": None, "y": x})
    failed = Entry(1, "", "bfloat16", "fit", error="E\nE", own=["own"])
    entries = [forward, gradients, failed]
    known = [{"backend": "torch", "reason": "a reason"}]
    return Result(test, "t.py", 3, "failed", "text", entries, known)


def make_run(name="torch", **fields):
    run = new_run(name, name, "cpu", "abc")
    return replace(run, **{"finished": True, **fields})


@pytest.fixture
def path(tmp_path):
    save_run(tmp_path, make_run())
    save_result(tmp_path, make_result())
    return tmp_path / result_file(TEST)


def assert_equal(found, expected):
    np.testing.assert_equal(asdict(found), asdict(expected), strict=True)


def assert_rejected(path, words="written by kseq.agreement; received"):
    with pytest.raises(ValueError, match=rf"^{path}: expected a .*{words}"):
        load_result(path)


def test_a_saved_record_is_loaded(path):
    save_result(path.parent, make_result("tests/t.py::other"))
    record = load_record(path.parent)
    assert_equal(record.results[TEST], make_result())
    assert len(record.results) == 2
    expected = make_run(made=record.run.made)
    assert record.run == replace(expected, name=path.parent.name)


def test_a_fingerprint_depends_on_names_and_contents(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text("a")
    b.write_text("b")
    expected = fingerprint([a, b])
    assert fingerprint([b, a, b]) == expected
    b.write_text("c")
    assert fingerprint([a, b]) != expected
    b.rename(c)
    c.write_text("b")
    assert fingerprint([a, c]) != expected


def test_a_damaged_file_is_rejected_unless_harmless(path):
    content, saved = path.read_bytes(), load_result(path)
    for position in range(0, len(content), 11):
        changed = bytearray(content)
        changed[position] ^= 1 + position % 255
        path.write_bytes(changed)
        with contextlib.suppress(ValueError):
            assert_equal(load_result(path), saved)
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        assert_rejected(path)


def read_parts(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("header"))), arrays


def write_parts(path, header, arrays):
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


@pytest.mark.parametrize("version", [FORMAT + 1, None, str(FORMAT)])
def test_another_format_is_rejected(path, version):
    """Nothing else in the file is read."""
    write_parts(path, {"format": version, "new": [1]}, {"new": np.array("x")})
    assert_rejected(path, f"of format {FORMAT} .*compute it again")


@pytest.mark.parametrize(
    "change",
    [
        {"0/values/output": np.array("words")},
        {"0/values/output": np.zeros(2, "V4")},
        {"0/references/output": np.array(1j)},
        {"0/values/other": np.zeros(2)},
        {"0/values/output": None},
        {"0/references/output": None},
        {"policy": "float8"},
        {"kind": "backward"},
        {"more": "words"},
        {"values": ["output", "other"]},
    ],
)
def test_a_result_with_invalid_contents_is_rejected(path, change):
    header, arrays = read_parts(path)
    write_parts(path, header, arrays)
    load_result(path)
    for name, value in change.items():
        if "/" not in name:
            header["entries"][0][name] = value
        elif value is None:
            del arrays[name]
        else:
            arrays[name] = value
    write_parts(path, header, arrays)
    assert_rejected(path)


@pytest.mark.parametrize(
    "arrays", [{"x": 1.0}, {"header": 1.0}, {"header": "[1]"}]
)
def test_a_file_that_is_not_a_result_is_rejected(path, arrays):
    np.savez(path, **arrays)
    assert_rejected(path)
    path.write_bytes(b"words")
    assert_rejected(path)
    path.unlink()
    assert_rejected(path, "FileNotFoundError")


class Attack:
    """Create a folder when unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_loading_executes_no_code_from_the_file(path, tmp_path):
    attack = Attack(str(tmp_path / "attacked"))
    array = np.array([attack], dtype=object)
    header, arrays = read_parts(path)
    write_parts(path, header, {"0/values/output": array})
    assert_rejected(path, "pickle")
    np.savez(path, header=array, **arrays)
    assert_rejected(path, "pickle")
    path.write_bytes(pickle.dumps(attack))
    assert_rejected(path, "pickle")
    assert not (tmp_path / "attacked").exists()
    pickle.loads(pickle.dumps(attack))
    assert (tmp_path / "attacked").exists()


def failures(*records, **options):
    comparison = compare_records(records, **options)
    return [f"{f.where}: {f.text}" for f in comparison.failures]


def make_record(name, values=(1.0, 2.0), **fields):
    values = {"output": np.array(values, "float32")}
    entry = Entry(0, "f", "float32", "forward", values)
    return Record(
        make_run(name, **fields), {TEST: Result(TEST, entries=[entry])}
    )


def test_records_are_compared():
    a, b = make_record("a"), make_record("b")
    assert not failures(a, b)
    assert failures(a, b, runs=("a", "c")) == [
        "c: there is no record of this run"
    ]
    assert failures(a) == [": fewer than two runs to compare"]
    empty = Record(b.run, {})
    assert failures(a, empty) == [
        "b: the record has no results",
        ": b did not run this test",
    ]
    (unfinished,) = failures(a, make_record("b", finished=False))
    assert unfinished == "b: the run did not finish"
    (stale,) = failures(a, make_record("b", fingerprint="def"))
    assert "differ in their sources" in stale
    (wrong,) = failures(a, make_record("b", [1.0, 2.1]))
    assert wrong.startswith("f, float32 forward, output: the runs differ at (1")
