"""Every Python block of the README and the pages runs as it is shown.

Blocks of DeepCTR's side, which cannot run here, are `{code-block} python`.
"""

import ast
import pkgutil
import re
import textwrap
from pathlib import Path

import keras
import pytest

import kseq.layers.sequence
from kseq.agreement.record import load_record
from kseq.agreement.run import record_module
from kseq.agreement.tables import left_out
from tests.golden.load import model


def is_layer(value):
    return isinstance(value, type) and issubclass(value, keras.Layer)


ROOT = Path(__file__).parents[2]
PAGES = {
    str(page.relative_to(ROOT)): page
    for page in (
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
# A notebook's {code-cell}s run where the pages are built.
BLOCKS = [
    pytest.param(block, id=f"{name}-{i}")
    for name, page in PAGES.items()
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    )
]

# Blocks that are for some backends, and why.
RUNS_ON = {
    "docs/export.md-0": (
        ("tensorflow", "torch"),
        "it exports to nothing of its own",
    ),
    "docs/devices.md-1": (("jax",), "keras.distribution is JAX's"),
    "docs/large_data.md-0": (("tensorflow",), "tf.data is TensorFlow's"),
}


def test_there_are_blocks():
    pages = {block.id.rpartition("-")[0] for block in BLOCKS}
    assert {"README.md", "docs/faq.md", "docs/first_model.md"} <= pages
    assert len(BLOCKS) >= 30
    assert RUNS_ON.keys() <= {block.id for block in BLOCKS}


def indented_python(text):
    """Indented blocks that are Python: they would not be run."""
    prose = re.sub(r"^(```|---).*?^\1", "", text, flags=re.M | re.S)
    for block in re.findall(r"^\n((?: {4}.*\n|\s*\n)+)", prose, re.M):
        try:
            tree = ast.parse(textwrap.dedent(block))
        except SyntaxError:  # a command, a shell's answer
            continue
        if tree.body:
            yield block


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_python_stands_in_fences(page):
    assert not [*indented_python(page.read_text())]


def test_python_without_a_fence_is_seen():
    text = "So:\n\n    import kseq\n\n    kseq.gone()\n\nand\n\n    pip x\n"
    (block,) = indented_python(f"{text}\n```python\n\n    1\n```\n")
    assert "kseq.gone()" in block


@pytest.fixture
def one_device():
    """What a block says of devices is forgotten after it."""
    yield
    keras.distribution.set_distribution(None)


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block, tmp_path, monkeypatch, request, one_device):
    of_block = request.node.callspec.id
    backends, reason = RUNS_ON.get(of_block, (None, ""))
    if backends and keras.backend.backend() not in backends:
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)  # some write files
    if "from large_data import" in block:
        monkeypatch.syspath_prepend(ROOT / "examples")
    for name, stands_for in (("din", "din.h5"), ("dien_augru", "dien.h5")):
        if f'"{stands_for}"' in block:
            Path(stands_for).write_bytes(model(name).files["weights"])
    no_fit = left_out(keras.backend.backend(), "fit", "float32")
    if ".fit(" in block and no_fit:
        pytest.skip(no_fit)
    if not block.startswith("# "):
        exec(compile(block, "block", "exec"), {"__name__": "block"})
        return
    # A file of cases: its first line is its name.
    module = tmp_path / block.splitlines()[0].removeprefix("# ")
    module.write_text(block)
    record_module(module, tmp_path / "run.npz")
    record = load_record(tmp_path / "run.npz")
    assert record.values or record.left_out
    assert not record.errors


def names_of_kseq(text):
    return sorted({*re.findall(r"`(kseq(?:\.\w+)+)", text)})


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_what_a_page_names_is_there(page):
    for name in names_of_kseq(page.read_text()):
        assert pkgutil.resolve_name(name) is not None


def test_a_name_that_is_not_there_is_seen():
    (name,) = names_of_kseq("see `kseq.layers.Nothing(1)`")
    with pytest.raises(AttributeError):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_has_no_blanks(page):
    text = page.read_text()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    assert not re.findall(r"\b[A-Z]+_[A-Z]+\b(?<!KERAS_BACKEND)", prose)
    for table in re.findall(r"agreement: begin -->(.*?)<!--", text, re.S):
        assert "| float64 | forward |" in table
    for table in re.findall(r"saved: begin -->(.*?)<!--", text, re.S):
        shown = set(re.findall(r"^\| `(\w+)`", table, re.M))
        layers = {
            n for n, v in vars(kseq.layers.sequence).items() if is_layer(v)
        }
        assert layers <= shown
