"""What a record keeps, and what a file gives back of it."""

import datetime
import hashlib
import json
import platform
import re

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.record import (
    FORMAT,
    Record,
    Run,
    fingerprint,
    load_record,
    new_record,
    reference_key,
    to_numpy,
)
from kseq.installed import versions

RUN = Run("a", "torch", "gpu", "abc", {"keras": "3"}, "here", "now", True)


def test_a_file_gives_all_back(tmp_path):
    record = Record(RUN)
    record.add("pool", "float32", "fit", {"output 0": np.arange(3.0)})
    record.add_references("pool", "float32", "fit", {"output 0": [1, 2]})
    record.leave_out("pool", "float64", "fit", "a reason")
    record.fail("pool", "float16", "fit", RuntimeError("\nfirst\nsecond"))
    record.save(tmp_path / "folder" / "a.npz")
    found = load_record(tmp_path / "folder" / "a.npz")
    assert found.run == RUN
    key = "pool/float32/fit/output 0"
    assert found.values.keys() == found.references.keys() == {key}
    np.testing.assert_array_equal(found.values[key], [0, 1, 2])
    np.testing.assert_array_equal(found.references[key], [1, 2])
    assert found.dtypes == {key: "float64"}
    assert found.left_out == {"pool/float64/fit": "a reason"}
    assert found.errors == {"pool/float16/fit": "RuntimeError: first"}


def test_an_error_without_a_text():
    record = Record(RUN)
    record.fail("pool", "float32", "fit", KeyError())
    assert record.errors == {"pool/float32/fit": "KeyError: "}


def test_one_result_for_each_key():
    record = Record(RUN)
    record.add("pool", "float32", "fit", {"output 0": np.ones(1)})
    message = (
        "case: expected one result for each key; received "
        "'pool/float32/fit/output 0'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record.add("pool", "float32", "fit", {"output 0": np.ones(1)})


@pytest.mark.parametrize("add", [Record.add, Record.add_references])
def test_what_a_file_could_not_give_back_is_not_kept(add, tmp_path):
    record = Record(RUN)
    message = (
        "pool/float32/fit/output 0: expected an array of real numbers; "
        "received 'complex64'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        add(record, "pool", "float32", "fit", {"output 0": np.ones(1, "F")})
    record.save(tmp_path / "a.npz")
    assert load_record(tmp_path / "a.npz").run == RUN


def test_references_know_no_compiler():
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


def test_the_key_of_a_reference():
    name = "compiled_compiled/float32/forward_compiled/weight 0 a/kernel"
    assert reference_key(name) == (
        "compiled_compiled/float32/forward/weight 0 a/kernel"
    )


def test_a_new_record_says_where_it_is_made():
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    run = new_record("a", "gpu", "abc").run
    assert (run.name, run.device, run.fingerprint) == ("a", "gpu", "abc")
    assert run.backend == keras.backend.backend()
    assert run.versions == versions()
    assert run.machine == f"{platform.system()} {platform.machine()}"
    assert not run.finished
    made = datetime.datetime.fromisoformat(run.made)
    assert made.utcoffset() == datetime.timedelta(0)
    assert made.microsecond == 0
    assert before <= made <= datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
def test_a_file_can_hold_every_dtype(dtype):
    array = to_numpy(ops.convert_to_tensor([1, 2], dtype))
    assert array.dtype == ("float32" if dtype == "bfloat16" else dtype)
    np.testing.assert_array_equal(array, [1, 2])


def saved(path, header=None, **arrays):
    """A record, of which something is changed."""
    record = Record(RUN)
    record.add("pool", "float32", "fit", {"output 0": np.ones(1)})
    record.save(path)
    with np.load(path) as file:
        held = dict(file)
    held["header"] = np.array(
        json.dumps(json.loads(str(held["header"])) | (header or {}))
    )
    with path.open("wb") as file:
        np.savez(file, **held, **arrays)


def test_a_record_of_another_format_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, {"format": 1})
    message = (
        f"{path}: expected a record of format {FORMAT} (this one is of another "
        "version of kseq: compute it again); received 1"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_record(path)


def test_a_record_that_lacks_arrays_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, {"dtypes": {}})
    message = "arrays: expected all that the header tells of; received "
    with pytest.raises(ValueError, match=re.escape(message)):
        load_record(path)


def test_a_record_of_other_arrays_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, **{"other/name": np.ones(1)})
    with pytest.raises(ValueError, match=r"expected a record written by"):
        load_record(path)


@pytest.mark.parametrize(
    ("content", "error"), [(b"", "EOFError"), (b"PK\3\4", "BadZipFile")]
)
def test_a_file_that_is_no_record_is_refused(tmp_path, content, error):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    message = (
        f"{path}: expected a record written by kseq.agreement; received "
        f'"{error}('
    )
    with pytest.raises(ValueError, match=re.escape(message[:-2])):
        load_record(path)


def test_an_array_of_something_else_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        np.savez(file, header=np.array("[1]"))
    with pytest.raises(ValueError, match=r"a record written by.*TypeError"):
        load_record(path)
    with path.open("wb") as file:
        np.savez(file, nothing=np.ones(1))
    with pytest.raises(ValueError, match=r"a record written by.*KeyError"):
        load_record(path)


def test_a_fingerprint_is_of_names_and_texts_in_any_order(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    a, b = tmp_path / "a", tmp_path / "b"
    made = fingerprint({"a": a, "b": b})
    assert made == hashlib.sha256(b"aabb").hexdigest()[:16]
    assert made == fingerprint({"b": b, "a": a})
    assert made != fingerprint({"a": a})
    assert made != fingerprint({"a": b, "b": a})
    assert made != fingerprint({"c": a, "b": b})
