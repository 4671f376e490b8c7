"""Lines and branches of each room that ran: `python -m tests.coverage FILE`."""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path, PurePath
from typing import Any

import coverage

COUNTS = (
    *("num_statements", "missing_lines"),
    *("num_branches", "missing_branches"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="what coverage combined")
    parser.add_argument(
        "--missing", action="store_true", help="and which lines did not"
    )
    options = parser.parse_args()
    measured = coverage.Coverage(data_file=options.data)
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "coverage.json")
        measured.json_report(outfile=str(out))
        files = json.loads(out.read_text())["files"]
    print(table(files))
    if options.missing:
        for name, found in sorted(files.items()):
            if found["missing_lines"] or found["missing_branches"]:
                print(
                    f"{name}: {found['missing_lines']} "
                    f"{found['missing_branches']}"
                )
    return 0


def room(name: str) -> str:
    """`kseq/ops/backends/plain.py` is of kseq/ops/backends."""
    parts = PurePath(name).parts
    return "/".join(parts[parts.index("kseq") : -1])


def table(files: dict[str, Any]) -> str:
    """A row for each room, and one for all."""
    rooms: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(COUNTS, 0)
    )
    for name, found in files.items():
        for count in COUNTS:
            for key in (room(name), "all"):
                rooms[key][count] += found["summary"][count]
    rows = ["| room | lines | ran | branches | ran | together |"]
    rows.append("|---|---|---|---|---|---|")
    for name in sorted(rooms, key=lambda key: (key == "all", key)):
        counts = rooms[name]
        lines, branches = counts["num_statements"], counts["num_branches"]
        of_lines = lines - counts["missing_lines"]
        of_branches = branches - counts["missing_branches"]
        together = percent(of_lines + of_branches, lines + branches)
        rows.append(
            f"| {name} | {lines} | {percent(of_lines, lines)} | {branches} | "
            f"{percent(of_branches, branches)} | {together} |"
        )
    return "\n".join(rows)


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    sys.exit(main())
