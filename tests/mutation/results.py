"""What mutmut left: mutants by room, and which of them no test can kill."""

import difflib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

EQUIVALENT = Path(__file__).with_name("equivalent.txt")

KILLED, TIMED_OUT, SURVIVED = "killed", "timed out", "survived"
NO_TESTS, NOT_RUN = "no tests", "not run"
# mutmut's exit codes; -11 is a process that crashed.
OUTCOMES = {
    **dict.fromkeys((1, 3, -11), KILLED),
    **dict.fromkeys((24, -24, 36, 152, 255, -9), TIMED_OUT),
    **dict.fromkeys((5, 33), NO_TESTS),
    None: NOT_RUN,
    0: SURVIVED,
}


@dataclass(frozen=True)
class Mutant:
    """A change to one function, and what became of it."""

    name: str
    function: str
    change: tuple[str, ...]  # the lines that differ, "- old" and "+ new"
    outcome: str

    @property
    def tried(self) -> bool:
        return self.outcome != NOT_RUN

    @property
    def alive(self) -> bool:
        return self.tried and self.outcome not in (KILLED, TIMED_OUT)

    @property
    def key(self) -> tuple[str, ...]:
        """What stays when other lines change: names hold numbers."""
        return self.function, *self.change

    def __str__(self) -> str:
        return "\n".join(self.key)


def mutants(folder: Path) -> dict[str, Mutant]:
    """By name, of the copy of the project in which mutmut ran."""
    found = {}
    for path in sorted((folder / "mutants").rglob("*.meta")):
        file = path.with_suffix("")
        lines = file.read_text().splitlines()
        spans = json.loads(file.with_suffix(".py.spans").read_text())["spans"]
        codes = json.loads(path.read_text())["exit_code_by_key"]
        for name, code in codes.items():
            module, _, mutated = name.rpartition(".")
            mangled, _, _ = mutated.partition("__mutmut_")
            bodies = [
                lines[spans[function][0] - 1 : spans[function][1]]
                for function in (f"{mangled}__mutmut_orig", mutated)
            ]
            found[name] = Mutant(
                name,
                f"{module}.{readable(mangled)}",
                change(mangled, *bodies),
                OUTCOMES.get(code, f"exit code {code}"),
            )
    return found


def readable(mangled: str) -> str:
    """`x_f` is f, `xǁCǁf` is C.f."""
    if "ǁ" in mangled:
        return mangled.removeprefix("xǁ").replace("ǁ", ".")
    return mangled.removeprefix("x_")


def change(
    mangled: str, before: list[str], after: list[str]
) -> tuple[str, ...]:
    def plain(lines: list[str]) -> list[str]:
        return [
            line.replace("__mutmut_orig(", "(") if "def " in line else line
            for line in lines
        ]

    before, after = plain(before), plain(after)
    # The name of the copy is no part of what is changed.
    for i, line in enumerate(after):
        if line.lstrip().startswith(f"def {mangled}__mutmut_"):
            start, _, rest = line.partition("__mutmut_")
            after[i] = start + "(" + rest.partition("(")[2]
            break
    return tuple(
        f"{line[0]} {line[2:].strip()}"
        for line in difflib.ndiff(before, after)
        if line[0] in "+-"
    )


def explained() -> dict[tuple[str, ...], str]:
    """The mutants that `equivalent.txt` lists, each with its reason."""
    found = {}
    reason = ""
    for block in EQUIVALENT.read_text().split("\n\n"):
        lines = [line.strip() for line in block.strip().splitlines()]
        comments = [line for line in lines if line.startswith("#")]
        if comments:
            reason = " ".join(line.lstrip("# ") for line in comments)
        key = tuple(line for line in lines if not line.startswith("#"))
        if key:
            found[key] = reason
    return found


def table(
    rooms: dict[str, Iterable[Mutant]], equivalent: dict[tuple[str, ...], str]
) -> str:
    """A row for each room; survivors; what is listed and is no survivor."""
    columns = (KILLED, TIMED_OUT, SURVIVED, NO_TESTS)
    head = [
        *("room", "mutants", "tried", *columns),
        *("equivalent", "score", "without equivalent"),
    ]
    rows = [head]
    lines: list[str] = []
    for name, found in rooms.items():
        found = list(found)
        counts = Counter(mutant.outcome for mutant in found)
        tried = len(found) - counts[NOT_RUN]
        alive = [m for m in found if m.alive]
        same = [m for m in alive if m.key in equivalent]
        killed = tried - len(alive)
        rows.append(
            [
                *(name, str(len(found)), str(tried)),
                *(str(counts[column]) for column in columns),
                str(len(same)),
                percent(killed, tried),
                percent(killed, tried - len(same)),
            ]
        )
        lines += [
            f"\n[{name}: {m.outcome}, {m.name}]\n{m}"
            for m in alive
            if m.key not in equivalent
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        [
            *lines,
            "",
            *(
                "  ".join(
                    cell.rjust(width) if i else cell.ljust(width)
                    for i, (cell, width) in enumerate(
                        zip(row, widths, strict=True)
                    )
                )
                for row in rows
            ),
        ]
    )


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
