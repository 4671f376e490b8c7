"""Report a comparison on the terminal and as HTML, Markdown and JSON."""

import html
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kseq.agreement.compare import REFERENCE, Comparison, Difference, Failure
from kseq.agreement.files import REPORTS
from kseq.agreement.record import Run
from kseq.agreement.tables import DTYPES, KINDS, TOLERANCES, tolerance
from kseq.files import replace_text

Rows = dict[tuple[str, str], list[Difference]]


def worst(differences: Iterable[Difference]) -> Difference | None:
    """Return the difference with the largest share of its tolerance."""
    return max(differences, key=tolerance_share, default=None)


def tolerance_share(difference: Difference) -> float:
    """Return a difference in units of its tolerance; NaN becomes infinity."""
    ratio = difference.relative / difference.limit
    return math.inf if math.isnan(ratio) else ratio


def by_dtype_and_kind(comparison: Comparison) -> Rows:
    """Group the differences, in the order of the tables."""
    rows: Rows = {(dtype, kind): [] for dtype in DTYPES for kind in KINDS}
    for difference in comparison.differences:
        rows[difference.dtype, difference.kind].append(difference)
    return {key: found for key, found in rows.items() if found}


def between_runs(differences: Iterable[Difference]) -> list[Difference]:
    return [d for d in differences if REFERENCE not in d.runs]


def to_reference(differences: Iterable[Difference]) -> list[Difference]:
    return [d for d in differences if REFERENCE in d.runs]


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
    for column in ("cases", "between runs", "to reference", "limit"):
        table.add_column(column, justify="right")
    table.add_column("where most of the limit is used")
    for (dtype, kind), found in by_dtype_and_kind(comparison).items():
        farthest = worst(found)
        assert farthest is not None
        table.add_row(
            *_plain(
                f"{dtype} {kind.replace('_', ' ')}",
                str(len({d.case for d in found})),
                number(worst(between_runs(found))),
                number(worst(to_reference(found))),
                f"{farthest.limit:.0e}",
                f"{farthest.case}, {' and '.join(farthest.runs)}",
            ),
            style=None if farthest.within else "red",
        )
    console.print(table)
    for failure, more in grouped(comparison.failures):
        where = f" {failure.where}" if failure.where else ""
        console.print(
            Text.assemble(
                (failure.kind, "red"), f"{where}: {failure.what}{more}"
            ),
            soft_wrap=True,
        )
    verdict = (
        "[green]The runs agree.[/green]"
        if comparison.agrees
        else "[red]The runs do not agree: "
        f"{counted(comparison.failures)}.[/red]"
    )
    console.print(verdict)


def _plain(*cells: str) -> list[Text]:
    """Disable markup: rich would read "[mean]" in a name as a style."""
    return [Text(cell) for cell in cells]


def grouped(failures: Iterable[Failure]) -> Iterator[tuple[Failure, str]]:
    """Yield the first failure of each kind and computation, and a count."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        case, dtype, kind, *_ = (*failure.where.split("/"), "", "", "")
        key = failure.kind, f"{case}/{dtype}/{kind}"
        groups.setdefault(key, []).append(failure)
    for first, *others in groups.values():
        yield first, f" ({len(others)} more like it)" if others else ""


def counted(failures: Sequence[Failure]) -> str:
    return f"{len(failures)} failure{'' if len(failures) == 1 else 's'}"


def number(difference: Difference | None) -> str:
    return "-" if difference is None else f"{difference.relative:.1e}"


def to_json(comparison: Comparison) -> str:
    """Return all runs, differences, failures and tolerances."""
    return json.dumps(
        {
            "agrees": comparison.agrees,
            "runs": [asdict(run) for run in comparison.runs],
            "failures": [asdict(f) for f in comparison.failures],
            "differences": [
                {**asdict(d), "within": d.within}
                for d in comparison.differences
            ],
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
    for (dtype, kind), found in by_dtype_and_kind(comparison).items():
        cells = [dtype, kind.replace("_", ", ")]
        cells += [
            number(worst(d for d in to_reference(found) if name in d.runs))
            for name in names
        ]
        cells.append(number(worst(between_runs(found))))
        cells.append(f"{tolerance(kind, dtype).limit:.0e}")
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
"""


def to_html(comparison: Comparison) -> str:
    """Return a self-contained page with a heat map for each dtype."""
    verdict = (
        "<p class=ok>The runs agree.</p>"
        if comparison.agrees
        else f"<p class=bad>{counted(comparison.failures)}.</p>"
    )
    sections = [
        heat_map(comparison, dtype)
        for dtype in DTYPES
        if any(d.dtype == dtype for d in comparison.differences)
    ]
    return f"""<!doctype html>
<html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>kseq agreement</title><style>{STYLE}</style>
<h1>Agreement between runs</h1>
{verdict}{_failures(comparison)}{_runs(comparison)}
<p>Each cell shows the largest difference of a case, over forward, gradients and
fit, in units of the computation's largest value. Its colour shows the share of
the tolerance: green for a thousandth or less, yellow for all of it, red for
more. Hover over a cell for details.</p>
{"".join(sections)}
</html>
"""


def heat_map(comparison: Comparison, dtype: str) -> str:
    """Return a table of cases by pairs of runs, coloured by tolerance share."""
    found = [d for d in comparison.differences if d.dtype == dtype]
    pairs = sorted({d.runs for d in found}, key=lambda p: (REFERENCE in p, p))
    cells: dict[tuple[str, tuple[str, str]], list[Difference]] = {}
    for difference in found:
        cells.setdefault((difference.case, difference.runs), []).append(
            difference
        )
    head = "".join(
        f"<th>{html.escape(first)}<br>{html.escape(second)}</th>"
        for first, second in pairs
    )
    rows = [
        f"<tr><td>{html.escape(case)}</td>"
        + "".join(_cell(worst(cells.get((case, p), []))) for p in pairs)
        + "</tr>"
        for case in sorted({d.case for d in found})
    ]
    return (
        f"<h2>{dtype}</h2><div class=scroll><table><tr><th>case</th>{head}"
        f"</tr>{''.join(rows)}</table></div>"
    )


def _cell(difference: Difference | None) -> str:
    if difference is None:
        return "<td class=none>&ndash;</td>"
    where = (
        f"{difference.kind}, {difference.array}: absolute "
        f"{difference.absolute:.1e}, {difference.ulps:.0f} ulps, limit "
        f"{difference.limit:.0e}"
    )
    if difference.farther:
        where += f"; farther from the reference: {difference.farther}"
    return (
        f'<td style="background:{colour(tolerance_share(difference))}" '
        f'title="{html.escape(where)}">{difference.relative:.1e}</td>'
    )


def colour(ratio: float) -> str:
    """Return green at 0.001 of the tolerance, yellow at 1 and red above."""
    if not ratio <= 1:
        return "#f28b82"
    heat = 1 + math.log10(max(ratio, 1e-3)) / 3
    return f"hsl({120 - 70 * heat:.0f} 65% 82%)"


def _failures(comparison: Comparison) -> str:
    if comparison.agrees:
        return ""
    items = "".join(
        f"<li><b>{html.escape(failure.kind)}</b> "
        f"{html.escape(f'{failure.where}: {failure.what}{more}')}</li>"
        for failure, more in grouped(comparison.failures)
    )
    return f"<ul>{items}</ul>"


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
