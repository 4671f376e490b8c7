"""Report a comparison on the terminal and as HTML, Markdown and JSON."""

import html
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kseq.agreement.compare import (
    Comparison,
    Difference,
    Failure,
    counted,
)
from kseq.agreement.record import Run
from kseq.agreement.tables import KINDS, POLICIES, TOLERANCES, tolerance
from kseq.files import replace_text

REPORTS = ("agreement.json", "agreement.md", "index.html")
Rows = dict[tuple[str, str], list[Difference]]


def share(difference: Difference) -> float:
    """Return a difference in units of its limit."""
    found = [difference.between_runs, *difference.to_reference.values()]
    return max(found) / difference.limit


def by_policy_and_kind(comparison: Comparison) -> Rows:
    """Group the differences, in the order of the tables."""
    rows: Rows = {(policy, kind): [] for policy in POLICIES for kind in KINDS}
    for difference in comparison.differences:
        if (difference.policy, difference.kind) in rows:
            rows[difference.policy, difference.kind].append(difference)
    return {key: found for key, found in rows.items() if found}


def to_run(differences: Iterable[Difference], run: str) -> float | None:
    """Return the largest difference of a run to the reference."""
    found = [d.to_reference[run] for d in differences if run in d.to_reference]
    return max(found, default=None)


def print_report(comparison: Comparison, console: Console) -> None:
    """Print the runs, the largest differences and the failures."""
    runs = Table(title="Runs")
    for column in ("run", "backend", "device", "created", "keras"):
        runs.add_column(column)
    for run in comparison.runs:
        runs.add_row(
            *_plain(
                run.name,
                _backend(run),
                run.device,
                run.made,
                run.versions.get("keras", ""),
            )
        )
    console.print(runs)
    table = Table(title="Largest differences, in units of the largest value")
    table.add_column("computation", no_wrap=True)
    for column in ("tests", "between runs", "to reference", "limit"):
        table.add_column(column, justify="right")
    table.add_column("where most of the limit is used")
    for (policy, kind), found in by_policy_and_kind(comparison).items():
        farthest = max(found, key=share)
        names = {run for d in found for run in d.to_reference}
        references = [to_run(found, name) or 0.0 for name in names]
        table.add_row(
            *_plain(
                f"{policy} {kind.replace('_', ' ')}",
                str(len({d.test for d in found})),
                number(max(d.between_runs for d in found)),
                number(max(references, default=None)),
                f"{farthest.limit:.0e}",
                farthest.test.rpartition("::")[2],
            )
        )
    console.print(table)
    for note in comparison.notes:
        console.print(note, markup=False, soft_wrap=True)
    for failure, more in grouped(comparison.failures):
        console.print(
            Text.assemble((failure.test, "red"), f" {failure}{more}"),
            soft_wrap=True,
        )
    style = "green" if comparison.agrees else "red"
    console.print(Text(verdict(comparison), style))


def verdict(comparison: Comparison) -> str:
    tests = counted(comparison.tests, "test")
    if comparison.agrees:
        return f"The runs agree in {tests}."
    failures = counted(len(comparison.failures), "failure")
    return f"The runs do not agree: {failures} in {tests}."


def _plain(*cells: str) -> list[Text]:
    """Disable markup: rich would read "[mean]" in a name as a style."""
    return [Text(cell) for cell in cells]


def grouped(failures: Iterable[Failure]) -> Iterator[tuple[Failure, str]]:
    """Yield the first failure of each test and kind, and a count."""
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        key = failure.test, failure.policy, failure.kind
        groups.setdefault(key, []).append(failure)
    for first, *others in groups.values():
        yield first, f" ({len(others)} more like it)" if others else ""


def number(difference: float | None) -> str:
    return "-" if difference is None else f"{difference:.1e}"


def to_json(comparison: Comparison) -> str:
    """Return all runs, differences, failures and tolerances."""
    return json.dumps(
        {
            "agrees": comparison.agrees,
            "tests": comparison.tests,
            "runs": [asdict(run) for run in comparison.runs],
            "failures": [asdict(f) for f in comparison.failures],
            "differences": [asdict(d) for d in comparison.differences],
            "explained": {
                name: sorted(tests)
                for name, tests in comparison.explained.items()
            },
            "tolerances": {
                f"{dtype}/{kind}": asdict(limit)
                for (dtype, kind), limit in TOLERANCES.items()
            },
        },
        indent=1,
    )


def to_markdown(comparison: Comparison) -> str:
    """Return a table of the largest differences, with one column per run."""
    names = [run.name for run in comparison.runs]
    head = ["dtype", "computation", *names, "worst pair", "limit"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (policy, kind), found in by_policy_and_kind(comparison).items():
        cells = [policy, kind.replace("_", ", ")]
        cells += [number(to_run(found, name)) for name in names]
        cells.append(number(max(d.between_runs for d in found)))
        cells.append(f"{tolerance(kind, policy).limit:.0e}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem;
       max-width: 72rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: 13px; white-space: nowrap }
th, td { padding: .25rem .55rem; border: 1px solid #d9dee3; text-align: right }
th { background: #f3f5f7; font-weight: 600 }
th:first-child, td:first-child { text-align: left }
.text td, .text th { text-align: left; white-space: normal }
.ok { color: #116329; font-weight: 600 }
.bad { color: #b3261e; font-weight: 600 }
.none { color: #8a929a }
pre { white-space: pre-wrap }
"""


def to_html(comparison: Comparison) -> str:
    """Return a self-contained page with a heat map for each dtype."""
    style = "ok" if comparison.agrees else "bad"
    sections = [
        heat_map(comparison, policy)
        for policy in POLICIES
        if any(d.policy == policy for d in comparison.differences)
    ]
    return f"""<!doctype html>
<html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>kseq agreement</title><style>{STYLE}</style>
<h1>Agreement between runs</h1>
<p class={style}>{verdict(comparison)}</p>
{_failures(comparison)}{_runs(comparison)}
<p>Each cell shows the largest difference of a test between runs or to its
reference, in units of the largest value. Its colour shows the share of the
tolerance: green for a thousandth or less, yellow for all of it, red for more.
Hover over a cell for details.</p>
{"".join(sections)}
</html>
"""


def heat_map(comparison: Comparison, policy: str) -> str:
    """Return a table of tests by kinds, coloured by share of the tolerance."""
    cells: dict[tuple[str, str], Difference] = {}
    for d in comparison.differences:
        key = d.test, d.kind
        if d.policy == policy and (
            key not in cells or share(d) > share(cells[key])
        ):
            cells[key] = d
    kinds = [k for k in KINDS if any(kind == k for _, kind in cells)]
    head = "".join(f"<th>{kind.replace('_', ' ')}</th>" for kind in kinds)
    rows = [
        f"<tr><td>{html.escape(test)}</td>"
        + "".join(_cell(cells.get((test, kind))) for kind in kinds)
        + "</tr>"
        for test in dict.fromkeys(test for test, _ in cells)
    ]
    return (
        f"<h2>{policy}</h2><div class=scroll><table><tr><th>test</th>{head}"
        f"</tr>{''.join(rows)}</table></div>"
    )


def _cell(difference: Difference | None) -> str:
    if difference is None:
        return "<td class=none>&ndash;</td>"
    found = {**difference.to_reference, "between runs": difference.between_runs}
    where = f"{difference.array}, limit {difference.limit:.0e}: " + ", ".join(
        f"{name} {x:.1e}" for name, x in found.items()
    )
    return (
        f'<td style="background:{colour(share(difference))}" '
        f'title="{html.escape(where)}">{max(found.values()):.1e}</td>'
    )


def colour(ratio: float) -> str:
    """Return green at 0.001 of the tolerance, yellow at 1 and red above."""
    if not ratio <= 1:
        return "#f28b82"
    heat = 1 + math.log10(max(ratio, 1e-3)) / 3
    return f"hsl({120 - 70 * heat:.0f} 65% 82%)"


def _failures(comparison: Comparison) -> str:
    items = "".join(
        f"<li><b>{html.escape(failure.test)}</b> "
        f"<pre>{html.escape(f'{failure}{more}')}</pre></li>"
        for failure, more in grouped(comparison.failures)
    )
    return f"<ul>{items}</ul>" if items else ""


def _runs(comparison: Comparison) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(run.name)}</td><td>{html.escape(run.backend)}"
        f"</td><td>{html.escape(run.device)}</td><td>{html.escape(run.made)}"
        f"</td><td>{html.escape(_versions(run))}</td></tr>"
        for run in comparison.runs
    )
    return (
        "<div class=scroll><table class=text><tr><th>run</th><th>backend</th>"
        "<th>device</th><th>created</th><th>versions</th></tr>"
        f"{rows}</table></div>"
    )


def _backend(run: Run) -> str:
    packages = (run.backend, f"{run.backend}-cpu")
    known = [run.versions[p] for p in packages if p in run.versions]
    return " ".join((run.backend, *known[:1]))


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {v}" for name, v in run.versions.items())


def write_reports(comparison: Comparison, folder: Path) -> None:
    """Write `agreement.json`, `agreement.md` and `index.html` atomically."""
    formats = (to_json, to_markdown, to_html)
    for name, convert in zip(REPORTS, formats, strict=True):
        replace_text(folder / name, convert(comparison))
