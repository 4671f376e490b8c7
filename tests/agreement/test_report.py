"""A comparison's reports, word for word."""

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
    used,
    worst,
    write_reports,
)


def difference(runs, relative, **changed):
    fields = {
        "case": "pool",
        "dtype": "float32",
        "kind": "forward",
        "array": "output 0",
        "absolute": 3e-7,
        "ulps": 12.4,
        "limit": 2e-6,
        "farther": None,
    }
    return Difference(runs=runs, relative=relative, **(fields | changed))


def run(name, backend, versions):
    return Run(name, backend, "cpu", "f", versions, "here", "today", True)


PAIR, A_REF, B_REF = ("a", "b&"), ("a", "reference"), ("b&", "reference")


def agreeing():
    return Comparison(
        [
            run("a", "torch", {"keras": "3.15", "torch": "2.13"}),
            run("b&", "tensorflow", {"tensorflow-cpu": "2.21"}),
            run("c", "numpy", {}),
        ],
        [
            difference(PAIR, 0.0, dtype="float64", limit=1e-12),
            difference(PAIR, 1e-7),
            difference(
                PAIR, 2e-7, case="top[k]", array="output 1", farther="b&"
            ),
            difference(A_REF, 2e-8),
            difference(B_REF, 4e-8),
            difference(PAIR, 1e-6, kind="fit", limit=5e-5),
        ],
    )


def failing():
    comparison = agreeing()
    comparison.differences.append(
        difference(PAIR, 1e-4, kind="gradients_compiled", limit=1e-5)
    )
    where = "pool/float32/gradients_compiled/"
    comparison.fail("tolerance", where + "input 0", "[red] & too far")
    comparison.fail("tolerance", where + "input 1", "too far")
    comparison.fail("tolerance", where + "input 2", "too far")
    comparison.fail("shape", where + "input 1", "shapes differ")
    comparison.fail("missing run", "", "no [/record]")
    return comparison


def printed(comparison, **options):
    console = Console(file=io.StringIO(), width=120, **options)
    print_report(comparison, console)
    return console.file.getvalue().splitlines()


def cells(lines):
    return [
        [cell.strip() for cell in re.split("[│┃]", line.strip().strip("│┃"))]
        for line in lines
        if not set(line) & set("┏┡└")
    ]


def test_the_worst_uses_up_most_of_its_tolerance():
    found = [
        difference(PAIR, 1e-7),
        difference(PAIR, 1e-8, limit=1e-8),
        difference(PAIR, 1e-3, limit=1.0),
    ]
    assert worst(found) is found[1]
    assert worst([]) is None
    assert used(found[1]) == 1.0
    assert used(difference(PAIR, math.nan)) == math.inf


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (0.0, "hsl(120 65% 82%)"),
        (1e-3, "hsl(120 65% 82%)"),
        (1e-2, "hsl(97 65% 82%)"),
        (1.0, "hsl(50 65% 82%)"),
        (1.01, "#f28b82"),
        (math.inf, "#f28b82"),
        (math.nan, "#f28b82"),
    ],
)
def test_colour(ratio, expected):
    assert colour(ratio) == expected


def test_the_terminal_of_runs_that_agree():
    limit_of = "where most of the limit is used"
    assert cells(printed(agreeing())) == [
        ["Runs"],
        ["run", "backend", "device", "made", "keras"],
        ["a", "torch 2.13", "cpu", "today", "3.15"],
        ["b&", "tensorflow 2.21", "cpu", "today", ""],
        ["c", "numpy", "cpu", "today", ""],
        ["Largest differences, in units of the largest value"],
        [
            *("computation", "cases", "between runs", "to reference"),
            *("limit", limit_of),
        ],
        ["float64 forward", "1", "0.0e+00", "-", "1e-12", "pool, a and b&"],
        [
            "float32 forward",
            "2",
            "2.0e-07",
            "4.0e-08",
            "2e-06",
            "top[k], a and b&",
        ],
        ["float32 fit", "1", "1.0e-06", "-", "5e-05", "pool, a and b&"],
        ["The runs agree."],
    ]


def test_numbers_stand_at_the_right():
    lines = printed(agreeing())
    (row,) = (line for line in lines if "float32 fit" in line)
    assert row.startswith("│ float32 fit     │     1 │      1.0e-06 │")
    assert row.endswith("│ 5e-05 │ pool, a and b&                  │")


def test_what_is_long_is_not_broken():
    comparison = failing()
    comparison.fail("error", "pool", "long " * 40 + "end")
    told = "error pool: " + "long " * 40 + "end"
    assert told in printed(comparison)
    console = Console(file=io.StringIO(), width=60)
    print_report(comparison, console)
    assert "float32 gradients compiled" in console.file.getvalue()


def test_a_backend_has_one_version():
    versions = {"tensorflow": "2.21", "tensorflow-cpu": "2.20"}
    both = Comparison([run("a", "tensorflow", versions)])
    assert ["a", "tensorflow 2.21", "cpu", "today", ""] in cells(printed(both))


def test_the_terminal_of_runs_that_do_not():
    assert printed(failing())[-4:] == [
        "tolerance pool/float32/gradients_compiled/input 0: [red] & too far "
        "(2 more like it)",
        "shape pool/float32/gradients_compiled/input 1: shapes differ",
        "missing run: no [/record]",
        "The runs do not agree: 5 failures.",
    ]


def test_what_fails_is_red():
    lines = printed(failing(), force_terminal=True, color_system="standard")
    red = [line for line in lines if "\x1b[31m" in line]
    assert len(red) == 5
    assert "float32 gradients compiled" in red[0]
    assert "\x1b[32mThe runs agree.\x1b[0m" in printed(
        agreeing(), force_terminal=True, color_system="standard"
    )


def test_markdown():
    head, rule, *rows = to_markdown(failing()).splitlines()
    assert head == ("| dtype | computation | a | b& | c | worst pair | limit |")
    assert rule == "|---|---|---|---|---|---|---|"
    assert rows == [
        "| float64 | forward | - | - | - | 0.0e+00 | 1e-12 |",
        "| float32 | forward | 2.0e-08 | 4.0e-08 | - | 2.0e-07 | 2e-06 |",
        "| float32 | gradients, compiled | - | - | - | 1.0e-04 | 1e-05 |",
        "| float32 | fit | - | - | - | 1.0e-06 | 5e-05 |",
    ]
    assert to_markdown(failing()).endswith("|\n")


def test_json():
    told = json.loads(to_json(failing()))
    assert told.keys() == {
        *("agrees", "runs", "failures", "differences", "tolerances"),
    }
    assert told["agrees"] is False
    assert told["runs"][0]["versions"] == {"keras": "3.15", "torch": "2.13"}
    assert told["failures"][-1] == {
        "kind": "missing run",
        "where": "",
        "what": "no [/record]",
    }
    assert told["differences"][2] == {
        "case": "top[k]",
        "dtype": "float32",
        "kind": "forward",
        "array": "output 1",
        "runs": ["a", "b&"],
        "absolute": 3e-7,
        "relative": 2e-7,
        "ulps": 12.4,
        "limit": 2e-6,
        "farther": "b&",
        "within": True,
    }
    assert told["differences"][-1]["within"] is False
    assert told["tolerances"]["float64/fit"] == {
        "limit": 1e-12,
        "reason": "20 steps of training carry rounding on",
    }
    assert to_json(failing()).startswith('{\n "agrees"')


HEAD = (
    "<tr><th>run</th><th>backend</th><th>device</th><th>made</th>"
    "<th>versions</th></tr>"
)
RUNS = (
    "<div class=scroll><table class=text>" + HEAD + "<tr><td>a</td>"
    "<td>torch</td><td>cpu</td><td>today</td>"
    "<td>keras 3.15, torch 2.13</td></tr><tr><td>b&amp;</td>"
    "<td>tensorflow</td><td>cpu</td><td>today</td>"
    "<td>tensorflow-cpu 2.21</td></tr><tr><td>c</td><td>numpy</td>"
    "<td>cpu</td><td>today</td><td></td></tr></table></div>"
)
WHERE = "output 0: absolute 3.0e-07, 12 ulps, limit"
FLOAT64 = (
    "<h2>float64</h2><div class=scroll><table><tr><th>case</th>"
    "<th>a<br>b&amp;</th></tr><tr><td>pool</td>"
    f'<td style="background:hsl(120 65% 82%)" title="forward, {WHERE} 1e-12">'
    "0.0e+00</td></tr></table></div>"
)
FLOAT32 = (
    "<h2>float32</h2><div class=scroll><table><tr><th>case</th>"
    "<th>a<br>b&amp;</th><th>a<br>reference</th><th>b&amp;<br>reference</th>"
    "</tr><tr><td>pool</td>"
    f'<td style="background:hsl(80 65% 82%)" title="forward, {WHERE} 2e-06">'
    "1.0e-07</td>"
    f'<td style="background:hsl(97 65% 82%)" title="forward, {WHERE} 2e-06">'
    "2.0e-08</td>"
    f'<td style="background:hsl(90 65% 82%)" title="forward, {WHERE} 2e-06">'
    "4.0e-08</td></tr><tr><td>top[k]</td>"
    '<td style="background:hsl(73 65% 82%)" title="forward, output 1: absolute '
    '3.0e-07, 12 ulps, limit 2e-06; farther from the reference: b&amp;">'
    "2.0e-07</td><td class=none>&ndash;</td><td class=none>&ndash;</td></tr>"
    "</table></div>"
)


def test_html():
    page = to_html(agreeing())
    assert page.startswith(
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
    )
    assert f"<p class=ok>The runs agree.</p>{RUNS}\n<p>Each cell" in page
    assert page.endswith(f"\n{FLOAT64}{FLOAT32}\n</html>\n")


def test_the_reference_stands_behind_the_runs():
    pairs = [("a", "reference"), ("a", "z"), ("s", "z")]
    page = to_html(Comparison([], [difference(p, 0.0) for p in pairs]))
    assert "<th>a<br>z</th><th>s<br>z</th><th>a<br>reference</th></tr>" in page


def test_html_of_failures():
    where = "pool/float32/gradients_compiled/input"
    told = (
        "<p class=bad>5 failures.</p><ul>"
        f"<li><b>tolerance</b> {where} 0: [red] &amp; too far "
        "(2 more like it)</li>"
        f"<li><b>shape</b> {where} 1: shapes differ</li>"
        "<li><b>missing run</b> : no [/record]</li></ul>" + RUNS
    )
    page = to_html(failing())
    assert told in page
    # The worst of a case's kinds is shown, beyond its tolerance.
    assert (
        '<td style="background:#f28b82" title="gradients_compiled, '
        f'{WHERE} 1e-05">1.0e-04</td>' in page
    )


def test_one_failure_is_no_failures():
    comparison = Comparison([])
    comparison.fail("missing run", "", "none")
    assert "<p class=bad>1 failure.</p>" in to_html(comparison)


def test_reports_are_written(tmp_path):
    write_reports(failing(), tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "agreement.json": to_json(failing()),
        "agreement.md": to_markdown(failing()),
        "index.html": to_html(failing()),
    }
