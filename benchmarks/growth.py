"""How kseq's time and memory grow with the work: straight lines, or not.

`python -m benchmarks.growth`, or `tox run -e bench -- --growth`.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.lineup import LINEUP, Contender
from benchmarks.measure import KEEP_MEMORY, Remote
from benchmarks.text import write_text
from benchmarks.works import Work

NAME = "growth.json"
CONTENDERS = ("kseq-graph", "kseq-torch", "kseq-jax")
KINDS = (
    "din",
    "augru",
    "bilstm",
    "transformer",
    "pooling",
    "weighted",
    "k_max",
    "positions",
    "bias",
)
TOO_LONG = 3000  # ms of a call, after which a line ends


@dataclasses.dataclass(frozen=True)
class Line:
    """A kind of work in a few sizes of one axis, the others fixed."""

    kind: str
    axis: str
    values: tuple[int, ...]
    fixed: dict[str, int]

    def works(self) -> Iterator[tuple[int, Work]]:
        for value in self.values:
            yield value, _work(self.kind, **self.fixed, **{self.axis: value})


def _work(kind: str, B: int, T: int, E: int, K: int = 1) -> Work:
    settings = {
        "din": (("hidden_units", (80, 40)),),
        "transformer": (("heads", 2), ("blinding", True)),
        "pooling": (("mode", "mean"),),
        "k_max": (("k", 2),),
    }
    units = {"augru": E, "bilstm": E, "transformer": E // 2}
    return Work(
        name=f"{kind} B={B} T={T} E={E} K={K}",
        kind=kind,
        batch=B,
        steps=T,
        dim=E,
        units=units.get(kind, 0),
        candidates=K,
        lengths="full",
        settings=settings.get(kind, ()),
    )


def lines() -> Iterator[Line]:
    for kind in KINDS:
        # Of attention, T x T scores of one example are enough.
        batch = 1 if kind == "transformer" else 4
        thousand = (1, 10, 100, 1000)
        yield Line(kind, "T", (10, 100, 1000, 10000), {"B": batch, "E": 32})
        yield Line(kind, "B", thousand, {"T": 100, "E": 32})
        yield Line(kind, "E", (8, 32, 128, 512), {"B": 16, "T": 100})
        if kind == "din":
            yield Line(kind, "K", thousand, {"B": 4, "T": 100, "E": 32})


def measure(
    contenders: Iterable[Contender], kinds: Iterable[str] = KINDS
) -> Iterator[dict[str, Any]]:
    """CPU ms and MB of forward + backward at each point of each line."""
    remotes = [Remote(c, **KEEP_MEMORY) for c in contenders]
    try:
        for line in lines():
            if line.kind not in kinds:
                continue
            for remote in remotes:
                yield from _points(remote, line)
                remote.ask("rest")
    finally:
        for remote in remotes:
            remote.close()


def _points(remote: Remote, line: Line) -> Iterator[dict[str, Any]]:
    for value, work in line.works():
        answer = remote.ask("grow", dataclasses.asdict(work))
        yield {
            "kind": line.kind,
            "axis": line.axis,
            "at": value,
            "contender": remote.contender.name,
            **{
                k: round(v, 3) if k != "error" else v for k, v in answer.items()
            },
        }
        if answer.get("ms", math.inf) > TOO_LONG:
            return


def slope(points: list[tuple[float, float]]) -> float | None:
    """Of a log-log line at its upper end: 1 is linear, 2 quadratic."""
    if len(points) < 2:
        return None
    (x0, y0), (x1, y1) = sorted(points)[-2:]
    if min(y0, y1) <= 0:
        return None
    return math.log(y1 / y0) / math.log(x1 / x0)


def save(folder: Path, about: dict[str, Any], points: list[Any]) -> None:
    """The points, and older ones of kinds that were not measured now."""
    points = [{**point, "revision": about["revision"]} for point in points]
    measured = {point["kind"] for point in points}
    if old := load(folder):
        points += [p for p in old["points"] if p["kind"] not in measured]
    rows = ",\n".join(json.dumps(point) for point in points)
    text = f'{{\n"about": {json.dumps(about)},\n"points": [\n{rows}\n]\n}}\n'
    write_text(folder / NAME, text)


def load(folder: Path) -> dict[str, Any] | None:
    path = folder / NAME
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def contenders(frameworks: list[str]) -> list[Contender]:
    chosen = (LINEUP[name] for name in CONTENDERS)
    return [c for c in chosen if not frameworks or c.framework in frameworks]


if __name__ == "__main__":
    import sys

    from benchmarks.__main__ import main

    main([*sys.argv[1:], "--growth"])
