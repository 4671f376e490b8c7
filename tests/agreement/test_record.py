"""Records: contents, files, and files that are damaged or foreign."""

import datetime
import hashlib
import io
import json
import pickle
import platform
import re
import zipfile

import keras
import numpy as np
import pytest

from kseq.agreement.compare import compare
from kseq.agreement.record import (
    FORMAT,
    Record,
    Run,
    fingerprint,
    load_record,
    new_record,
    reference_key,
)
from kseq.installed import versions
from tests.agreement.records import KEY, make_record
from tests.reliability.disk import contents, full_after, needs_limits

pytestmark = pytest.mark.once

RUN = Run("a", "torch", "gpu", "abc", {"keras": "3"}, "here", "now", True)
VALUE, REFERENCE = f"value/{KEY}", f"reference/{KEY}"


def make_full_record():
    record = Record(RUN)
    case = "pool", "float32", "forward"
    record.add(*case, {"output 0": np.arange(6, dtype="float32").reshape(2, 3)})
    record.add_references(*case, {"output 0": [1, 2]})
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


def assert_rejected(path, match="a record written by kseq.agreement; received"):
    with pytest.raises(ValueError, match=match) as caught:
        load_record(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected a record ")
    assert "\n" not in message


def test_a_record_is_loaded_as_it_was_saved(path):
    record = load_record(path)
    assert_equal(record, make_full_record())
    assert record.dtypes == {KEY: "float32"}
    assert record.left_out == {"pool/float64/fit": "a reason"}
    assert record.errors == {
        "pool/float16/fit": "RuntimeError: first",
        "other/float16/fit": "KeyError: ",
    }


def test_a_result_is_added_once():
    record = make_full_record()
    message = f"case: expected one result for each key; received {KEY!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record.add("pool", "float32", "forward", {"output 0": np.ones(1)})


@pytest.mark.parametrize("add", [Record.add, Record.add_references])
def test_a_complex_array_is_not_added(add):
    record = Record(RUN)
    with pytest.raises(ValueError, match=rf"^{KEY}: .*; received 'complex64'$"):
        add(record, "pool", "float32", "forward", {"output 0": np.ones(1, "F")})
    assert not record.values | record.dtypes | record.references


def test_compiled_and_eager_computations_share_references():
    record = Record(RUN)
    for case, kind, number in (
        ("pool", "gradients_compiled", 1),
        ("pool", "forward", 2),
        ("pooling", "gradients", 3),
    ):
        record.add_references(case, "float32", kind, {"a/b": number})
    for kind in ("gradients", "gradients_compiled"):
        assert record.references_of("pool", "float32", kind) == {"a/b": 1}
    assert record.references_of("pool", "float64", "gradients") == {}
    name = "compiled_compiled/float32/forward_compiled/weight 0 a/kernel"
    assert reference_key(name) == (
        "compiled_compiled/float32/forward/weight 0 a/kernel"
    )


def test_a_new_record_describes_this_process():
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    run = new_record("a", "gpu", "abc").run
    assert (run.name, run.device, run.fingerprint) == ("a", "gpu", "abc")
    assert run.backend == keras.backend.backend()
    assert run.versions == versions()
    assert run.machine == f"{platform.system()} {platform.machine()}"
    assert not run.finished
    made = datetime.datetime.fromisoformat(run.made)
    assert made.utcoffset() == datetime.timedelta(0)
    assert before <= made <= datetime.datetime.now(datetime.UTC)


def test_a_fingerprint_depends_on_names_and_contents(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    expected = hashlib.sha256(b"aabb").hexdigest()[:16]
    assert fingerprint({"b": b, "a": a}) == expected
    for sources in ({"a": a}, {"a": b, "b": a}, {"c": a, "b": b}):
        assert fingerprint(sources) != expected


def test_a_damaged_file_is_rejected_unless_harmless(path):
    content, saved = path.read_bytes(), load_record(path)
    rng = np.random.default_rng(0)
    detected = 0
    positions = range(0, len(content), 7)
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            assert_equal(load_record(path), saved)
        except ValueError:
            detected += 1
    assert detected > len(positions) / 2
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
    assert content.count(b"(100000,)") == 1
    path.write_bytes(content.replace(b"(100000,)", b"( 10000,)"))
    assert_rejected(path, "received .*damaged")


@pytest.mark.parametrize("version", [FORMAT + 1, None, str(FORMAT), [2], True])
def test_another_format_is_rejected(path, version):
    """Nothing else in the file is read."""
    write_parts(path, {"format": version, "new": [1]}, {"new": np.array("x")})
    assert_rejected(path, rf"a record of format {FORMAT} .*compute it again")


def update_run(**fields):
    return lambda header, arrays: header["run"].update(fields)


def remove_field(name):
    return lambda header, arrays: header.pop(name)


def put_array(name, array):
    return lambda header, arrays: arrays.update({name: np.array(array)})


def remove_array(name):
    return lambda header, arrays: arrays.pop(name)


@pytest.mark.parametrize(
    "change",
    [
        *map(remove_field, ("run", "dtypes", "left_out", "references")),
        remove_field("errors"),
        update_run(more="words"),
        update_run(name=None),
        update_run(versions=None),
        update_run(versions={"keras": 3}),
        update_run(finished="no"),
        lambda header, arrays: header["run"].pop("made"),
        lambda header, arrays: header.update(dtypes=["float32"]),
        lambda header, arrays: header["dtypes"].update({VALUE: "float32"}),
        remove_array(VALUE),
        remove_array(REFERENCE),
        put_array(VALUE, "words"),
        put_array(VALUE, 1j),
        put_array(VALUE, np.zeros(2, "V4")),
        put_array(REFERENCE, [None, 1.0]),
        put_array("value/pool", 1.0),
        put_array("other/pool/float32/forward/output 0", 1.0),
        put_array("reference/pool/float8/forward/output 0", 1.0),
        put_array("reference/pool/float32/backward/output 0", 1.0),
    ],
)
def test_a_record_with_invalid_contents_is_rejected(path, change):
    header, arrays = read_parts(path)
    change(header, arrays)
    write_parts(path, header, arrays)
    assert_rejected(path)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def archive(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(name, "words")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"words", b"\0" * 1000, b"PK\3\4"),
        *(archive("header.npy"), archive("photo.jpg")),
        *(npz(x=np.ones(3)), npz(header=np.ones(3)), npz(header="[1]")),
    ],
)
def test_a_file_that_is_not_a_record_is_rejected(path, content):
    path.write_bytes(content)
    assert_rejected(path)


def test_a_missing_file_and_a_folder_are_rejected(tmp_path):
    assert_rejected(tmp_path / "none.npz", "FileNotFoundError")
    assert_rejected(tmp_path)


class Attack:
    """Create a file when unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def test_loading_executes_no_code_from_the_file(path, tmp_path):
    canary = tmp_path / "canary"
    attack = np.array([Attack(canary)], dtype=object)
    header, arrays = read_parts(path)
    header = np.array(json.dumps(header))
    pickled = pickle.dumps(Attack(canary))
    for content in (
        pickled,
        npz(header=header, **{VALUE: attack}),
        npz(header=attack, **arrays),
    ):
        path.write_bytes(content)
        assert_rejected(path, "pickle")
        assert not canary.exists()
    pickle.loads(pickled).close()  # shows that the attack works
    assert canary.exists()


@needs_limits
@pytest.mark.parametrize("size", [0, 300, 1000])
def test_a_full_disk_leaves_the_old_record(path, size):
    before = contents(path.parent)
    large = make_record("b", np.random.default_rng(0).random(3000))
    with full_after(size), pytest.raises(OSError, match="File too large"):
        large.save(path)
    assert contents(path.parent) == before


def test_temporary_files_of_a_killed_run_are_ignored(tmp_path):
    for name in ("a", "b"):
        make_record(name).save(tmp_path / f"{name}.npz")
    for name in ("half", "whole"):
        left = tmp_path / f".a.{name}.tmp" / "new"
        left.mkdir(parents=True)
        (left / "a.npz").write_bytes(b"PK")
    assert [run.name for run in compare(tmp_path).runs] == ["a", "b"]
