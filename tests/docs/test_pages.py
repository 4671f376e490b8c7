"""The code in README and docs runs; names, tables and pictures exist.

Code of DeepCTR, which is not installed, is in `{code-block} python` blocks.
"""

import ast
import inspect
import pkgutil
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

import keras
import pytest

import kseq.layers
from tests.golden.load import checkpoint, model
from tests.support import skip_left_out

once = pytest.mark.once

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(page.relative_to(ROOT)): page.read_text()
    for page in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
}
# {code-cell}s of the tutorials run when the documentation is built.
BLOCKS = {
    f"{name}-{i}": block
    for name, text in PAGES.items()
    if not name.endswith(".zh-CN.md")  # the same blocks as the English page
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    )
}
# A text block directly after a block shows its output.
OUTPUTS = {
    block: output
    for text in PAGES.values()
    for block, output in re.findall(
        r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, re.M | re.S
    )
}
# Pages for all backends; the other pages' blocks run on PyTorch.
EVERYWHERE = (
    "README.md",
    "docs/first_model.md",
    "docs/saving.md",
    "docs/tutorials/your_own_layer.md",
)
# Blocks that need a certain backend.
BACKENDS = {
    "docs/export.md-0": ("tensorflow", "torch"),
    "docs/export.md-1": ("tensorflow", "torch"),
    "docs/devices.md-1": ("jax",),
    "docs/large_data.md-0": ("tensorflow",),
}
# Blocks that train for longer than it takes to see that they run.
LONG = ("README.md-0", "docs/data.md-0", "docs/tutorials/sasrec.md-0")
assert {*LONG} <= BLOCKS.keys()
FILES = {
    "din.h5": model("din").files["weights"],
    "dien.h5": model("dien_augru").files["weights"],
    "deepctr_torch_din.pth": checkpoint("deepctr_torch_din_softmax"),
    "fuxictr_dien.model": checkpoint("fuxictr_dien_augru"),
}
LAYERS = {
    layer.__module__.rpartition(".")[2]: layer
    for layer in vars(kseq.layers).values()
    if inspect.isclass(layer)
}


@pytest.fixture
def restored_distribution():
    yield
    keras.distribution.set_distribution(None)


def blocks_of(backend):
    for name in BLOCKS:
        page = name.rpartition("-")[0]
        if name in BACKENDS or page in EVERYWHERE or backend == "torch":
            yield name


@once
@pytest.mark.parametrize("page", ["README", "docs/first_model"])
def test_the_chinese_page_has_the_same_code(page):
    blocks = [
        re.findall(r"^```.*?^```", PAGES[name], re.M | re.S)
        for name in (f"{page}.md", f"{page}.zh-CN.md")
    ]
    assert blocks[0] == blocks[1] != []


@pytest.mark.usefixtures("restored_distribution")
@pytest.mark.parametrize("name", [*blocks_of(keras.backend.backend())])
def test_block_runs(name, tmp_path, monkeypatch, capsys):
    backend = keras.backend.backend()
    block = BLOCKS[name]
    if name in LONG:
        block = re.sub(r"\bepochs=\d+", "epochs=1", block)
    monkeypatch.setenv("KERAS_BACKEND", backend)  # README's block sets it
    if backend not in BACKENDS.get(name, backend):
        pytest.skip(f"runs on {' and '.join(BACKENDS[name])} only")
    if "MultiOptimizer" in block and not hasattr(
        keras.optimizers, "MultiOptimizer"
    ):
        pytest.skip("Keras 3.15 has it")
    if ".fit(" in block:
        skip_left_out("fit")
    monkeypatch.chdir(tmp_path)
    if "from large_data import" in block:
        monkeypatch.syspath_prepend(ROOT / "examples")
    for file, content in FILES.items():
        if f'"{file}"' in block:
            Path(file).write_bytes(content)
    # The first line of a block may be a file name.
    modules = {
        match[1]: text
        for other, text in BLOCKS.items()
        if other.rpartition("-")[0] == name.rpartition("-")[0]
        and (match := re.match(r"# ([\w]+)\.py\n", text))
    }
    monkeypatch.syspath_prepend(tmp_path)
    for module, text in modules.items():
        monkeypatch.delitem(sys.modules, module, raising=False)
        Path(f"{module}.py").write_text(text)
    names = [module for module, text in modules.items() if text == BLOCKS[name]]
    if names and names[0].startswith("test_"):
        # An editable install can be older than the plugin.
        plugins = {e.value for e in entry_points(group="pytest11")}
        options = [] if "pytest_kseq" in plugins else ["-p", "pytest_kseq"]
        assert pytest.main([*options, "-q", f"{names[0]}.py"]) == 0
        return
    exec(compile(block, name, "exec"), {"__name__": "block"})
    printed = capsys.readouterr().out
    assert OUTPUTS.get(BLOCKS[name], printed) == printed


@once
@pytest.mark.parametrize("page", PAGES)
def test_python_is_in_fenced_blocks_and_names_exist(page):
    prose = re.sub(r"^(```|---).*?^\1", "", PAGES[page], flags=re.M | re.S)
    assert not re.search(r"^ {4}(import|from) kseq", prose, re.M)
    for name in set(re.findall(r"`(kseq(?:\.\w+)+)", PAGES[page])):
        assert pkgutil.resolve_name(name) is not None


@once
@pytest.mark.parametrize("page", PAGES)
def test_generated_tables_are_filled_in(page):
    text = PAGES[page]
    for table in re.findall(r"agreement: begin -->(.*?)<!--", text, re.S):
        assert "| float64 | forward |" in table
    sequence = {
        layer.__name__
        for layer in LAYERS.values()
        if ".sequence." in layer.__module__
    }
    for table in re.findall(r"saved: begin -->(.*?)<!--", text, re.S):
        assert {*re.findall(r"^\| `(\w+)`", table, re.M)} >= sequence


@once
@pytest.mark.parametrize("name", LAYERS)
def test_layer_page_lists_all_arguments_and_defaults(name):
    text = PAGES[f"docs/layers/{name}.md"]
    header = "| argument | default | description |\n|---|---|---|\n"
    _, _, table = text.partition(header)
    listed = {}
    for row in table.partition("\n\n")[0].splitlines():
        names, values = row.replace("`", "").split("|")[1:3]
        names = names.replace(" ", "").split(",")
        if values.strip():
            defaults = ast.literal_eval(f"[{values}]")
        else:
            defaults = [inspect.Parameter.empty] * len(names)
        listed |= zip(names, defaults, strict=True)
    _, *parameters = inspect.signature(LAYERS[name].__init__).parameters.items()
    assert listed == {
        argument: parameter.default
        for argument, parameter in parameters
        if parameter.kind != parameter.VAR_KEYWORD
    }
    index = PAGES["docs/layers/index.md"]
    assert f"({name}.md)" in index
    assert f"\n{name}\n" in index  # in the table of contents
