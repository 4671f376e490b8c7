"""How kseq's time and memory grow with the size of a workload."""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import KEEP_MEMORY, Remote, workers
from benchmarks.workloads import Workload

FILE = "growth.json"
KSEQ = ("kseq-graph", "kseq-torch", "kseq-jax")
# Kinds of workloads, and what they are called.
KINDS = {
    "din": "DIN",
    "augru": "AUGRU",
    "bilstm": "BiLSTM",
    "transformer": "Transformer",
    "pooling": "pooling",
    "weighted": "weighted sum",
    "k_max": "k-max",
    "positions": "positions",
    "bias": "bias",
}
MAX_MS = 3000  # larger sizes are not measured after a call this slow


@dataclasses.dataclass(frozen=True)
class Series:
    """One kind of workload in several sizes of one axis."""

    kind: str
    axis: str
    sizes: tuple[int, ...]
    fixed: dict[str, int]

    def workloads(self) -> Iterator[tuple[int, Workload]]:
        for size in self.sizes:
            yield size, _workload(self.kind, **self.fixed, **{self.axis: size})


def _workload(kind: str, B: int, T: int, E: int, K: int = 1) -> Workload:
    settings = {
        "din": (("hidden_units", (80, 40)),),
        "transformer": (("heads", 2), ("blinding", True)),
        "pooling": (("mode", "mean"),),
        "k_max": (("k", 2),),
    }
    units = {"augru": E, "bilstm": E, "transformer": E // 2}
    return Workload(
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


def series() -> Iterator[Series]:
    for kind in KINDS:
        # Attention computes T x T scores for each example.
        batch = 1 if kind == "transformer" else 4
        sizes = (1, 10, 100, 1000)
        yield Series(kind, "T", (10, 100, 1000, 10000), {"B": batch, "E": 32})
        yield Series(kind, "B", sizes, {"T": 100, "E": 32})
        yield Series(kind, "E", (8, 32, 128, 512), {"B": 16, "T": 100})
        if kind == "din":
            yield Series(kind, "K", sizes, {"B": 4, "T": 100, "E": 32})


def measure(frameworks: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield CPU ms and MB of forward + backward for each size."""
    chosen = [CONTENDERS[name] for name in KSEQ]
    chosen = [c for c in chosen if c.framework in frameworks]
    with workers(chosen, **KEEP_MEMORY) as remotes:
        for one in series():
            for remote in remotes:
                yield from _points(remote, one)
                remote.ask("release")


def _points(remote: Remote, one: Series) -> Iterator[dict[str, Any]]:
    for size, workload in one.workloads():
        answer = remote.ask("grow", dataclasses.asdict(workload))
        yield {
            "kind": one.kind,
            "axis": one.axis,
            "at": size,
            "contender": remote.contender.name,
            **answer,
        }
        if answer.get("ms", math.inf) > MAX_MS:
            return


def slope(points: list[tuple[float, float]]) -> float | None:
    """The exponent between the two largest sizes: 1 is linear, 2 quadratic."""
    if len(points) < 2:
        return None
    (x0, y0), (x1, y1) = sorted(points)[-2:]
    if min(y0, y1) <= 0:
        return None
    return math.log(y1 / y0) / math.log(x1 / x0)


def save(folder: Path, about: dict[str, Any], points: list[Any]) -> None:
    rows = ",\n".join(
        json.dumps({**point, "revision": about["revision"]}) for point in points
    )
    (folder / FILE).write_text(
        f'{{\n"about": {json.dumps(about)},\n"points": [\n{rows}\n]\n}}\n'
    )


def load(folder: Path) -> dict[str, Any] | None:
    path = folder / FILE
    return json.loads(path.read_text()) if path.is_file() else None
