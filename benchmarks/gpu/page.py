"""Tables of the results, and the section of docs/gpu.md that has them."""

import json
import re
from typing import Any

from benchmarks.gpu.jobs import CONTENDERS, PRECISIONS
from benchmarks.gpu.remote import ROOT

Results = dict[str, Any]
FILE = "gpu.json"
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "gpu.md"
# Of the largest value. What differs from float64 by more is not timed.
LIMITS = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 2e-1}
HEAD = (
    "| contender | forward, ms | of the copy | forward + backward, ms "
    "| of the copy | first calls, s | peak, MB | difference |\n"
    "|---|---|---|---|---|---|---|---|"
)


def write(results: Results) -> None:
    """Replace the section between the markers of docs/gpu.md."""
    begin, end = "<!-- times -->\n", "<!-- end of times -->"
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{tables(results)}\n{end}{after}")


def tables(results: Results) -> str:
    """A table for each workload, precision and kind of lengths."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in results["rows"]:
        groups.setdefault(_group(row), []).append(row)
    parts = [_about(results["about"])]
    for (name, lengths, precision), rows in groups.items():
        title = f"{name}, {PRECISIONS[precision]}, {lengths} lengths"
        copy = next((r for r in rows if r["contender"] == "copy"), {})
        lines = [_line(row, copy) for row in rows]
        parts.append("\n".join([f"**{title}**\n", HEAD, *lines]))
    return "\n\n".join(parts) + "\n"


def _group(row: dict[str, Any]) -> tuple[str, ...]:
    workload = row["workload"]
    return workload["name"], workload["lengths"], row["precision"]


def _about(about: dict[str, Any]) -> str:
    torch, jax = about["torch"], about["jax"]
    versions = torch.get("versions", {}) | jax.get("versions", {})
    software = ", ".join(f"{k} {v}" for k, v in versions.items())
    lines = [
        f"Measured on {about['date']} on {torch.get('device')} "
        f"({about['machine']}), Python {about['python']}, {software}, "
        f"revision {about['revision']}."
    ]
    lines += [
        f"{name}: {found['error']}."
        for name, found in (("PyTorch", torch), ("JAX", jax))
        if "error" in found
    ]
    if jax.get("device", torch.get("device")) != torch.get("device"):
        lines.append(f"JAX computed on {jax['device']}.")
    return "\n".join(lines)


def _line(row: dict[str, Any], copy: dict[str, Any]) -> str:
    label = CONTENDERS[row["contender"]].label
    for name, value in row.get("launch", {}).items():
        label += f", {name}={value}"
    if "error" in row:
        error = re.sub(r"\s+", " ", row["error"]).replace("|", "/")
        return f"| {label} | {error[:120]} | | | | | | |"
    cells = [label]
    for name in ("forward", "train"):
        time = row[name]["median"]
        cells.append(f"{time:.3g}")
        floor = copy.get(name, {}).get("median")
        cells.append(f"{time / floor:.3g}" if floor else "")
    cells.append(" + ".join(f"{s:.1f}" for s in row.get("first", {}).values()))
    cells.append(f"{row['peak_mb']:.0f}" if "peak_mb" in row else "")
    cells.append(f"{row['difference']:.0e}" if "difference" in row else "")
    return f"| {' | '.join(cells)} |"


def one_line(row: dict[str, Any]) -> str:
    """What is printed while the script runs."""
    cells = _line(row, {}).strip("| ").split("|")
    return f"{', '.join(_group(row))}: {' '.join(' '.join(cells).split())}"


if __name__ == "__main__":
    write(json.loads((RESULTS / FILE).read_text()))
