"""The reports of a comparison: terminal, Markdown, JSON and HTML."""

import io
import json
import math
import re

import pytest
from rich.console import Console

from kseq.agreement.compare import Comparison, Difference
from kseq.agreement.record import Run
from kseq.agreement.report import (
    colour,
    print_report,
    to_html,
    to_json,
    to_markdown,
    worst,
)

pytestmark = pytest.mark.once

WHERE = "pool/float32/gradients_compiled"
RED = "\x1b[31m"
PAIR, A_REF, B_REF = ("a", "b&"), ("a", "reference"), ("b&", "reference")


def difference(
    runs, relative, kind="forward", case="pool", limit=2e-6, farther=None
):
    names = case, "float32", kind, "output 0", runs
    return Difference(*names, 3e-7, relative, 12.4, limit, farther)


@pytest.fixture
def comparison():
    end = "here", "today", True
    keras_and_torch = {"keras": "3.15", "torch": "2.13"}
    runs = [
        Run("a", "torch", "cpu", "f", keras_and_torch, *end),
        Run("b&", "tensorflow", "cpu", "f", {"tensorflow-cpu": "2.21"}, *end),
    ]
    differences = [
        difference(PAIR, 1e-7),
        difference(PAIR, 2e-7, case="top[k]", farther="b&"),
        difference(A_REF, 2e-8),
        difference(B_REF, 4e-8),
        difference(PAIR, 1e-6, kind="fit", limit=5e-5),
    ]
    return Comparison(runs, differences)


@pytest.fixture
def failing(comparison):
    comparison.differences.append(
        difference(PAIR, 1e-4, kind="gradients_compiled", limit=1e-5)
    )
    for array in ("input 0", "input 1", "input 2"):
        comparison.fail("tolerance", f"{WHERE}/{array}", f"[red] & {array}")
    comparison.fail("shape", f"{WHERE}/input 1", "long " * 40 + "end")
    comparison.fail("missing run", "", "no [/record]")
    return comparison


def printed(comparison, **options):
    console = Console(file=io.StringIO(), width=120, **options)
    print_report(comparison, console)
    return console.file.getvalue().splitlines()


def test_nan_is_the_worst_difference():
    found = [difference(PAIR, value) for value in (1e-3, math.nan, 1.0)]
    assert worst(found) is found[1]
    assert worst([]) is None
    assert colour(math.nan) == colour(1.01) == "#f28b82"


def test_the_terminal_report_of_runs_that_agree(comparison):
    lines = printed(comparison)
    rows = [re.findall(r"[^\s│┃](?:[^│┃]*[^\s│┃])?", line) for line in lines]
    for row in (
        "run|backend|device|created|keras",
        "a|torch 2.13|cpu|today|3.15",
        "b&|tensorflow 2.21|cpu|today",
        "float32 forward|2|2.0e-07|4.0e-08|2e-06|top[k], a and b&",
        "float32 fit|1|1.0e-06|-|5e-05|pool, a and b&",
    ):
        assert row.split("|") in rows
    assert lines[-1] == "The runs agree."


def test_the_terminal_report_of_runs_that_do_not_agree(failing):
    lines = printed(failing, force_terminal=True, color_system="standard")
    red = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines if RED in line]
    assert red[0].split()[1:4] == ["float32", "gradients", "compiled"]
    assert red[1:] == [
        f"tolerance {WHERE}/input 0: [red] & input 0 (2 more like it)",
        f"shape {WHERE}/input 1: {'long ' * 40}end",
        "missing run: no [/record]",
        "The runs do not agree: 5 failures.",
    ]


def test_markdown(failing):
    assert to_markdown(failing).splitlines() == [
        "| dtype | computation | a | b& | worst pair | limit |",
        "|---|---|---|---|---|---|",
        "| float32 | forward | 2.0e-08 | 4.0e-08 | 2.0e-07 | 2e-06 |",
        "| float32 | gradients, compiled | - | - | 1.0e-04 | 1e-05 |",
        "| float32 | fit | - | - | 1.0e-06 | 5e-05 |",
    ]


def test_json(failing):
    report = json.loads(to_json(failing))
    assert report["agrees"] is False
    assert report["runs"][0]["versions"] == {"keras": "3.15", "torch": "2.13"}
    assert report["failures"][-1]["what"] == "no [/record]"
    assert [d["within"] for d in report["differences"]] == [True] * 5 + [False]
    assert report["tolerances"]["float64/fit"]["limit"] == 1e-12


def test_html(comparison):
    page = to_html(comparison)
    for part in (
        "<p class=ok>The runs agree.</p>",
        "<td>keras 3.15, torch 2.13</td></tr><tr><td>b&amp;</td>",
        "<th>a<br>b&amp;</th><th>a<br>reference</th><th>b&amp;<br>reference",
        # The worst computation of a case, by the share of its tolerance.
        'style="background:hsl(80 65% 82%)" title="forward, output 0: '
        'absolute 3.0e-07, 12 ulps, limit 2e-06">1.0e-07</td>',
        'farther from the reference: b&amp;">2.0e-07</td>'
        "<td class=none>&ndash;</td><td class=none>&ndash;</td></tr>",
    ):
        assert part in page


def test_html_of_failures(failing):
    page = to_html(failing)
    assert "<p class=bad>5 failures.</p><ul><li><b>tolerance</b> pool/" in page
    assert ": [red] &amp; input 0 (2 more like it)</li>" in page
    assert 'background:#f28b82" title="gradients_compiled, output 0' in page
