"""Every layer has a page and figures, which show what it does now."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import keras
import pytest

import kseq.layers
from docs.figures import make
from docs.figures.flow import run
from docs.figures.flows import FLOWS, dice
from docs.figures.plots import PLOTS

ROOT = Path(__file__).parents[2]
LAYERS = {
    layer.__module__.rpartition(".")[2]: layer
    for layer in vars(kseq.layers).values()
    if inspect.isclass(layer)
}
PAGES = {p.stem: p.read_text() for p in (ROOT / "docs/layers").glob("*.md")}
FIGURES = ROOT / "docs" / "figures"


def test_every_layer_has_a_page_and_a_figure():
    assert len(LAYERS) >= 16
    assert FLOWS.keys() == LAYERS.keys()
    assert PAGES.keys() == LAYERS.keys() | {"index"}
    for name in LAYERS:
        assert f"({name}.md)" in PAGES["index"]
        assert f"\n{name}\n" in PAGES["index"]  # in the table of contents


def test_every_figure_is_shown_and_there():
    shown = {
        name: set(re.findall(r"\]\(\.\./figures/(\S+)\)", page))
        for name, page in PAGES.items()
    }
    for name in LAYERS:
        plots = {f"{name}-run.svg"} if name in PLOTS else set()
        assert shown[name] == {f"{name}.svg"} | plots
    there = {path.name for path in FIGURES.glob("*.svg")}
    assert there == set().union(*shown.values())


def defaults_told(page):
    """The arguments of a page's table, and their defaults."""
    _, _, table = page.partition("| argument | default | |\n|---|---|---|\n")
    told = {}
    for row in table.partition("\n\n")[0].splitlines():
        names, values = row.replace("`", "").split("|")[1:3]
        if values.strip():
            values = ast.literal_eval(f"[{values}]")
            told |= zip(names.replace(" ", "").split(","), values, strict=True)
        else:
            told[names.strip()] = inspect.Parameter.empty
    return told


@pytest.mark.parametrize("name", LAYERS)
def test_a_page_tells_all_arguments_and_their_defaults(name):
    _, *parameters = inspect.signature(LAYERS[name].__init__).parameters.items()
    assert defaults_told(PAGES[name]) == {
        name: p.default for name, p in parameters if p.kind != p.VAR_KEYWORD
    }


runs_figures = pytest.mark.skipif(
    keras.backend.backend() in ("jax", "openvino"),
    reason="it compiles each of the figures' hundreds of small computations",
)


@runs_figures
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_shows_the_layer_as_it_is(name):
    assert make.check_flow(name) is None


@runs_figures
@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_shows_what_the_layer_gives(name):
    assert make.check_plot(name) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": "B B"}, "is not"),
        ({"compute": lambda x, p, alpha: p * x}, "not what the layer gives"),
        ({"weights": {}, "compute": lambda x, p: p * x}, "drawn"),
    ],
)
def test_a_flow_that_is_wrong_is_refused(change, said):
    flow = dice()
    *others, last = flow.boxes
    boxes = (*others, dataclasses.replace(last, **change))
    with pytest.raises(ValueError, match=said):
        run(dataclasses.replace(flow, boxes=boxes))


@pytest.mark.parametrize(
    ("file", "present", "old", "check"),
    [
        ("dice.svg", "(2, 6)", "(2, 7)", make.check_flow),
        ("dice-run.svg", "-2.9", "-2.8", make.check_plot),
    ],
)
def test_an_old_figure_is_seen(
    file, present, old, check, tmp_path, monkeypatch
):
    text = (FIGURES / file).read_text()
    assert present in text
    (tmp_path / file).write_text(text.replace(present, old))
    monkeypatch.setattr(make, "HERE", tmp_path)
    assert "dice: shows other" in check("dice")
