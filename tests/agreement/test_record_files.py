"""A record on disk: whole, damaged, of another version, somebody else's."""

import copy
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from kseq.agreement.__main__ import main
from kseq.agreement.compare import compare
from kseq.agreement.record import FORMAT, load_record, new_record
from tests.reliability.disk import contents, full_after, needs_limits


def record(name="a"):
    made = new_record(name, "cpu", "sources")
    values = np.arange(6.0).reshape(2, 3)
    made.values["pool/float32/forward/output 0"] = values.astype("float32")
    made.dtypes["pool/float32/forward/output 0"] = "float32"
    made.references["pool/float32/forward/output 0"] = values
    made.leave_out("pool", "float64", "forward", "a reason")
    made.errors["other/float32/fit"] = "RuntimeError: no"
    made.run.finished = True
    return made


@pytest.fixture
def path(tmp_path):
    record().save(tmp_path / "a.npz")
    return tmp_path / "a.npz"


def refused(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        load_record(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: expected a record ")
    assert "\n" not in said
    return said


def same(one, other):
    assert one.run == other.run
    for held in ("values", "references"):
        mine, theirs = getattr(one, held), getattr(other, held)
        assert mine.keys() == theirs.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], theirs[key])
    for told in ("dtypes", "left_out", "errors"):
        assert getattr(one, told) == getattr(other, told)
    return True


def test_it_comes_back_as_it_was(path):
    made = record()
    made.save(path)
    assert same(load_record(path), made)


def test_cut_off_anywhere(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 11):
        path.write_bytes(whole[:size])
        refused(path, "received ")


def test_any_byte_changed(path):
    """It is refused, or it was a byte that says nothing."""
    whole, saved = path.read_bytes(), load_record(path)
    rng = np.random.default_rng(0)
    tried = refusals = harmless = 0
    for at in range(0, len(whole), 3):
        tried += 1
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            loaded = load_record(path)
        except ValueError as error:
            said = str(error)
            refusals += said.startswith(f"{path}: expected a record ")
        else:
            harmless += same(loaded, saved)
    assert refusals + harmless == tried > 2 * harmless


def test_a_size_changed(path):
    """NumPy would give the array's first numbers, and never see the rest."""
    header, arrays = parts(path)
    write(path, header, {**arrays, REFERENCE: np.zeros(100_000)})
    load_record(path)
    whole = path.read_bytes()
    assert whole.count(b"(100000,)") == 1
    path.write_bytes(whole.replace(b"(100000,)", b"( 10000,)"))
    refused(path, "a record written by kseq.agreement; received .*damaged")


def parts(path):
    """The header and the arrays, to be written anew."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("header"))), arrays


def write(path, header, arrays):
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_of_a_newer_version(path):
    """Whatever else it may hold: no field of it is looked at."""
    write(path, {"format": FORMAT + 1, "new": [1]}, {"new": np.array("words")})
    said = refused(path, f"a record of format {FORMAT} .*; received ")
    assert said.endswith(
        f"(this one is of another version of kseq: compute it again); "
        f"received {FORMAT + 1}"
    )


@pytest.mark.parametrize("format", [None, "2", 2.5, [2], True])
def test_of_no_version(path, format):
    write(path, {"format": format}, {})
    refused(path, "a record of format")


def with_run(**fields):
    return lambda header, arrays: header["run"].update(fields)


def without(name):
    return lambda header, arrays: header.pop(name)


def with_array(name, array):
    return lambda header, arrays: arrays.update({name: np.array(array)})


def lacking(name):
    return lambda header, arrays: arrays.pop(name)


KEY = "value/pool/float32/forward/output 0"
REFERENCE = KEY.replace("value", "reference")


@pytest.mark.parametrize(
    "change",
    [
        without("run"),
        without("dtypes"),
        without("left_out"),
        without("references"),
        without("errors"),
        with_run(more="words"),
        with_run(name=None),
        with_run(versions=None),
        with_run(versions={"keras": 3}),
        with_run(finished="no"),
        lambda header, arrays: header["run"].pop("made"),
        lambda header, arrays: header.update(dtypes=["float32"]),
        lambda header, arrays: header["dtypes"].update({KEY: "float32"}),
        lacking(KEY),
        lacking(REFERENCE),
        with_array(KEY, "words"),
        with_array(KEY, 1j),
        with_array(KEY, np.zeros(2, "V4")),
        with_array(REFERENCE, None),
        with_array(REFERENCE, [None, 1.0]),
        with_array("value/pool", 1.0),
        with_array("pool", 1.0),
        with_array("other/pool/float32/forward/output 0", 1.0),
        with_array("reference/pool/float8/forward/output 0", 1.0),
        with_array("reference/pool/float32/backward/output 0", 1.0),
    ],
)
def test_of_this_version_by_its_own_word_only(path, change):
    header, arrays = parts(path)
    change(header, arrays)
    write(path, header, arrays)
    refused(path, "a record written by kseq.agreement; received ")


def test_an_array_in_no_form_of_numpy_s(path):
    header, arrays = parts(path)
    del arrays[REFERENCE]
    write(path, header, arrays)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"{REFERENCE}.npy", b"words")
    refused(path, "a record written by kseq.agreement; received ")


def test_a_header_that_is_no_table(path):
    write(path, ["format", FORMAT], {})
    refused(path, "a record written by")


def other_files(path):
    yield b""
    yield b"words"
    yield b"\0" * 1000
    array = io.BytesIO()
    np.save(array, np.ones(3))
    yield array.getvalue()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("header.npy", "words")
        file.writestr("photo.jpg", b"\0" * 100)
    yield archive.getvalue()
    theirs = io.BytesIO()
    np.savez(theirs, x=np.ones(3))
    yield theirs.getvalue()
    numbers = io.BytesIO()
    np.savez(numbers, header=np.ones(3))
    yield numbers.getvalue()


def test_of_somebody_else(path):
    for content in other_files(path):
        path.write_bytes(content)
        refused(path, "a record written by kseq.agreement; received ")


def test_none_and_a_folder(tmp_path):
    refused(tmp_path / "none.npz", "FileNotFoundError")
    refused(tmp_path, "received ")


class Attack:
    """What runs when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def test_no_code_of_a_file_is_run(path, tmp_path):
    canary = tmp_path / "canary"
    attack = Attack(canary)
    header, arrays = parts(path)
    files = [pickle.dumps(attack)]
    for held in (
        {"header": np.array(json.dumps(header)), KEY: np.array([attack])},
        {"header": np.array([attack], dtype=object), **arrays},
    ):
        file = io.BytesIO()
        np.savez(file, allow_pickle=True, **held)
        files.append(file.getvalue())
    for content in files:
        path.write_bytes(content)
        refused(path, "pickle")
        assert main(["compare", str(tmp_path)]) == 2
        assert not canary.exists()
    pickle.loads(files[0]).close()  # it would have
    assert canary.exists()


# Written.


@needs_limits
@pytest.mark.parametrize("size", [0, 10, 300, 1000])
def test_a_full_disk_leaves_the_old_record(path, size):
    before = contents(path.parent)
    assert size < len(before["a.npz"])
    more = record("b")
    more.values["big/float32/forward/output 0"] = np.arange(3000.0)
    with full_after(size), pytest.raises(OSError, match="File too large"):
        more.save(path)
    assert contents(path.parent) == before


def test_what_a_killed_run_left_is_no_record(path):
    """Neither half of one, nor a whole one that was not yet in its place."""
    folder = path.parent
    for name, content in (("half", b"PK"), ("whole", path.read_bytes())):
        left = folder / f".a.{name}.tmp" / "new"
        left.mkdir(parents=True)
        (left / "a.npz").write_bytes(content)
    other = record("b")
    other.save(folder / "b.npz")
    found = compare(folder)
    assert [run.name for run in found.runs] == ["a", "b"]


# As commands.


def one_line(capsys, *words):
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    for word in words:
        assert word in said
    return said


@pytest.fixture
def pair(tmp_path):
    """A folder of two records that agree."""
    for name in ("a", "b"):
        made = copy.deepcopy(record(name))
        made.errors.clear()
        made.save(tmp_path / "records" / f"{name}.npz")
    return tmp_path / "records"


def test_a_damaged_record_and_the_command(pair, capsys):
    assert main(["compare", str(pair)]) == 0
    capsys.readouterr()
    whole = (pair / "b.npz").read_bytes()
    for content in (b"", whole[:-30], whole[:300]):
        (pair / "b.npz").write_bytes(content)
        assert main(["compare", str(pair)]) == 2
        one_line(capsys, f"{pair / 'b.npz'}: expected a record")


def test_a_report_that_cannot_be_written(pair, capsys):
    file = pair / "words.txt"
    file.write_text("words")
    assert main(["compare", str(pair), "--out", str(file)]) == 2
    one_line(capsys, "--out: expected a file to write", str(file))
    assert file.read_text() == "words"


@needs_limits
def test_a_full_disk_leaves_the_old_reports(pair, capsys):
    assert main(["compare", str(pair)]) == 0
    capsys.readouterr()
    before = contents(pair)
    with full_after(100):
        assert main(["compare", str(pair)]) == 2
    one_line(capsys, "--out: expected a file to write", "File too large")
    assert contents(pair) == before


CASES = """
from pathlib import Path
import numpy as np
from kseq.agreement import case

@case(kinds=("forward",), dtypes=("float32",))
def same():
    Path({path!r}).touch()
    return abs, np.ones((50, 100))
"""


@pytest.fixture
def module(tmp_path):
    """A file of cases, and another that says that they were computed."""
    computed = tmp_path / "computed"
    (tmp_path / "cases.py").write_text(CASES.format(path=str(computed)))
    return tmp_path / "cases.py", computed


@pytest.mark.parametrize("command", ["record", "run"])
def test_a_place_that_cannot_be_written_is_refused_first(
    module, command, monkeypatch, capsys
):
    cases, computed = module
    below_a_file = cases / "a.npz"
    monkeypatch.setattr("kseq.agreement.run.installed", lambda name: True)
    assert main([command, str(cases), "--out", str(below_a_file)]) == 2
    one_line(capsys, "out: expected a file to write", str(below_a_file))
    assert not computed.exists()


def test_a_record_does_not_take_a_folder_s_place(module, tmp_path, capsys):
    cases, computed = module
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").touch()
    assert main(["record", str(cases), "--out", str(tmp_path / "folder")]) == 2
    one_line(capsys, "out: expected a file to write", "it is a folder")
    assert (tmp_path / "folder" / "precious").exists()
    assert not computed.exists()


@needs_limits
def test_a_full_disk_while_a_record_is_written(
    module, tmp_path, monkeypatch, capsys
):
    cases, _ = module
    out = tmp_path / "a.npz"
    assert main(["record", str(cases), "--out", str(out)]) == 0
    before = out.read_bytes()
    # Only while it is written: what a backend writes is its own business.
    save = type(record()).save

    def on_a_full_disk(self, path):
        with full_after(100):
            save(self, path)

    monkeypatch.setattr(type(record()), "save", on_a_full_disk)
    assert main(["record", str(cases), "--out", str(out)]) == 2
    one_line(capsys, "out: expected a file to write", "File too large")
    assert out.read_bytes() == before
