"""Records: contents, files, and files that are damaged or foreign."""

import contextlib
import io
import json
import os
import pickle
from datetime import UTC, datetime, timedelta

import keras
import numpy as np
import pytest

from kseq.agreement.record import FORMAT, fingerprint, load_record, new_record
from kseq.installed import versions
from tests.agreement.records import KEY, make_record
from tests.reliability.disk import contents, full_after, needs_limits

pytestmark = pytest.mark.once

CASE = "pool", "float32", "forward"
VALUE, REFERENCE = f"value/{KEY}", f"reference/{KEY}"


def make_full_record():
    record = make_record("a", np.arange(6, dtype="float32").reshape(2, 3))
    record.add_references(*CASE, {"output 0": [1, 2]})
    record.leave_out("pool", "float64", "fit", "a reason")
    record.fail("pool", "float16", "fit", RuntimeError("\nfirst\nsecond"))
    record.fail("other", "float16", "fit", KeyError())
    return record


@pytest.fixture
def path(tmp_path):
    make_full_record().save(tmp_path / "a.npz")
    return tmp_path / "a.npz"


def assert_equal(record, expected):
    for name in ("run", "dtypes", "left_out", "errors"):
        assert getattr(record, name) == getattr(expected, name)
    for name in ("values", "references"):
        found, known = getattr(record, name), getattr(expected, name)
        assert found.keys() == known.keys()
        for key, value in known.items():
            np.testing.assert_array_equal(found[key], value, strict=True)


def assert_rejected(path, words="written by kseq.agreement; received"):
    message = f"^{path}: expected a record .*{words}"
    with pytest.raises(ValueError, match=message):
        load_record(path)


def test_a_saved_record_is_loaded(path):
    record = load_record(path)
    assert_equal(record, make_full_record())
    assert record.left_out == {"pool/float64/fit": "a reason"}
    assert record.errors == {
        "pool/float16/fit": "RuntimeError: first",
        "other/float16/fit": "KeyError: ",
    }


def test_results_that_cannot_be_added():
    record = make_full_record()
    message = f"^case: expected one result for each key; received {KEY!r}"
    with pytest.raises(ValueError, match=message):
        record.add(*CASE, {"output 0": np.ones(1)})
    for add in (record.add, record.add_references):
        with pytest.raises(ValueError, match=r"output 1: .*'complex64'"):
            add(*CASE, {"output 1": np.ones(1, "F")})
    assert_equal(record, make_full_record())


def test_a_new_record_describes_this_process():
    run = new_record("a", "gpu", "abc").run
    assert (run.name, run.device, run.fingerprint) == ("a", "gpu", "abc")
    assert run.backend == keras.backend.backend()
    assert run.versions == versions()
    assert not run.finished
    age = datetime.now(UTC) - datetime.fromisoformat(run.made)
    assert age < timedelta(minutes=1)


def test_a_fingerprint_depends_on_names_and_contents(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    expected = fingerprint({"a": a, "b": b})
    assert fingerprint({"b": b, "a": a}) == expected
    for sources in ({"a": a}, {"a": b, "b": a}, {"c": a, "b": b}):
        assert fingerprint(sources) != expected


def test_a_damaged_file_is_rejected_unless_harmless(path):
    content, saved = path.read_bytes(), load_record(path)
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 1 + position % 255
        path.write_bytes(changed)
        with contextlib.suppress(ValueError):
            assert_equal(load_record(path), saved)
    for size in range(0, len(content), 41):
        path.write_bytes(content[:size])
        assert_rejected(path)


def read_parts(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("header"))), arrays


def write_parts(path, header, arrays):
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_a_changed_size_is_rejected(path):
    """NumPy alone would return the first numbers of the array."""
    header, arrays = read_parts(path)
    write_parts(path, header, {**arrays, REFERENCE: np.zeros(100_000)})
    load_record(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(100000,)", b"( 10000,)"))
    assert_rejected(path, "received .*damaged")


@pytest.mark.parametrize("version", [FORMAT + 1, None, str(FORMAT)])
def test_another_format_is_rejected(path, version):
    """Nothing else in the file is read."""
    write_parts(path, {"format": version, "new": [1]}, {"new": np.array("x")})
    assert_rejected(path, f"of format {FORMAT} .*compute it again")


CHANGES = {
    "run": ({"more": "words"}, {"versions": {"keras": 3}}, {"finished": "no"}),
    "header": ({"dtypes": ["float32"]}, {"errors": {"a": 3}}),
    "arrays": (
        {VALUE: "words"},
        {VALUE: np.zeros(2, "V4")},
        {REFERENCE: 1j},
        {"other/pool/float32/forward/output 0": 1.0},
        {"reference/pool/float8/forward/output 0": 1.0},
        {"reference/pool/float32/backward/output 0": 1.0},
    ),
}


@pytest.mark.parametrize(
    ("part", "change"), [(p, change) for p in CHANGES for change in CHANGES[p]]
)
def test_a_record_with_invalid_contents_is_rejected(path, part, change):
    header, arrays = read_parts(path)
    parts = {"run": header["run"], "header": header, "arrays": arrays}
    parts[part].update(change)
    write_parts(path, header, arrays)
    assert_rejected(path)


def test_a_record_that_lacks_a_part_is_rejected(path):
    parts = read_parts(path)
    for part in parts:
        for name in [*part]:
            value = part.pop(name)
            write_parts(path, *parts)
            assert_rejected(path)
            part[name] = value


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


NOT_RECORDS = [b"words", npz(x=1.0), npz(header=1.0), npz(header="[1]")]


@pytest.mark.parametrize("content", NOT_RECORDS)
def test_a_file_that_is_not_a_record_is_rejected(path, content):
    path.write_bytes(content)
    assert_rejected(path)
    assert_rejected(path.with_name("none.npz"), "FileNotFoundError")


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
    pickled = pickle.dumps(attack)
    for content in (
        pickled,
        npz(header=np.array(json.dumps(header)), **{VALUE: array}),
        npz(header=array, **arrays),
    ):
        path.write_bytes(content)
        assert_rejected(path, "pickle")
        assert not (tmp_path / "attacked").exists()
    pickle.loads(pickled)
    assert (tmp_path / "attacked").exists()


@needs_limits
def test_a_full_disk_leaves_the_old_record(path):
    before = contents(path.parent)
    large = make_record("b", np.random.default_rng(0).random(3000))
    with full_after(300), pytest.raises(OSError, match="File too large"):
        large.save(path)
    assert contents(path.parent) == before
