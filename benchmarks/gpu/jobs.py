"""What is measured, the most important first."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from benchmarks.workloads import Workload

PRECISIONS = {
    "float32": "float32",
    "tf32": "float32, products in TF32",
    "bfloat16": "bfloat16",
}
RECURRENT = ("gru", "augru", "bilstm")
FUSED = (*RECURRENT, "din")


@dataclasses.dataclass(frozen=True)
class Contender:
    """An implementation of some kinds of workloads.

    Args:
        label: shown in tables.
        kinds: what it supports; empty: all.
        framework: the worker that runs it.
        same: False: another function, compared with itself in float64.
        precisions: where its products are computed as the name says.
    """

    label: str
    kinds: tuple[str, ...] = ()
    framework: str = "torch"
    same: bool = True
    precisions: tuple[str, ...] = (*PRECISIONS,)


CONTENDERS = {
    "copy": Contender("the bytes that must move, copied"),
    "kseq": Contender("kseq, PyTorch"),
    "triton": Contender("Triton kernel", FUSED),
    "triton-tf32x3": Contender(
        "Triton kernel, three TF32 products", FUSED, precisions=("float32",)
    ),
    "packed": Contender(
        "nn.GRU or nn.LSTM, packed (another function)", RECURRENT, same=False
    ),
    "sdpa": Contender("scaled_dot_product_attention", ("transformer",)),
    "compiled": Contender("kseq, torch.compile"),
    "kseq-jax": Contender(
        "kseq, JAX", framework="jax", precisions=("float32", "bfloat16")
    ),
    "deepctr-torch": Contender(
        "deepctr-torch", ("din", "pooling"), precisions=("float32",)
    ),
    "deepctr-torch-augru": Contender(
        "deepctr-torch (another cell)",
        ("augru",),
        same=False,
        precisions=("float32",),
    ),
}


def _din(dim: int, batch: int = 1024, candidates: int = 1) -> Workload:
    name = f"DIN B={batch} T=100 E={dim}"
    if candidates > 1:
        name += f" K={candidates}"
    return Workload(
        *(name, "din", batch, 100, dim),
        candidates=candidates,
        settings=(("hidden_units", (80, 40)),),
    )


def _recurrent(kind: str, units: int) -> Workload:
    name = f"{kind.upper()} B=256 T=100 H={units}"
    return Workload(name, kind, 256, 100, units, units=units)


def _transformer(batch: int, steps: int, blinding: bool) -> Workload:
    name = f"Transformer B={batch} T={steps}"
    settings = (("heads", 2), ("blinding", blinding))
    return Workload(
        name + (" blinding" if blinding else ""),
        *("transformer", batch, steps, 32),
        units=16,
        settings=settings,
    )


def _pooling(mode: str) -> Workload:
    name = f"pooling {mode} B=1024 T=100 E=64"
    return Workload(name, "pooling", 1024, 100, 64, settings=(("mode", mode),))


WORKLOADS = (
    _recurrent("augru", 64),
    _din(64),
    _recurrent("gru", 64),
    Workload("BiLSTM B=256 T=100 H=32", "bilstm", 256, 100, 32, units=32),
    _din(16),
    _din(64, batch=128, candidates=100),
    _recurrent("augru", 16),
    _recurrent("gru", 16),
    _recurrent("augru", 128),
    _recurrent("gru", 128),
    _transformer(16, 1000, True),
    _transformer(16, 1000, False),
    _transformer(2, 4000, False),
    _pooling("mean"),
    _pooling("max"),
)
# Those measured in all precisions and with MovieLens's lengths.
MAIN = (*WORKLOADS[:4], WORKLOADS[5], WORKLOADS[10])


# Other ways to launch the kernels, of which the best become defaults.
LAUNCHES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "augru": [
        (
            "triton" if rows < 16 else "triton-tf32x3",
            {"rows": rows, "warps": warps},
        )
        for rows in (2, 4, 8, 16)
        for warps in (2, 4, 8)
    ]
    + [
        ("triton", {"rows": 4, "keep": False}),
        ("triton-tf32x3", {"rows": 16, "keep": False}),
    ],
    # Not more: each takes several seconds to compile.
    "din": [
        (contender, {"steps": steps, "warps": warps})
        for contender in ("triton", "triton-tf32x3")
        for steps, warps in ((16, 4), (16, 8), (32, 4))
    ],
}


def plan(words: list[str], dry: bool) -> Iterator[dict[str, Any]]:
    """The jobs whose workload's name contains one of the words, in order.

    `dry`: tiny sizes, one of each kind and precision.
    """
    workloads, main = (WORKLOADS, MAIN) if not dry else _small()
    movielens = [dataclasses.replace(w, lengths="movielens") for w in main]
    jobs = [
        *_jobs(workloads, "float32"),
        *(() if dry else _launches(main[:2])),
        *_jobs(main, "bfloat16"),
        *_jobs(main, "tf32"),
        *_jobs(movielens, "float32"),
    ]
    # torch.compile unrolls the time loop, which may take all the time left.
    slow = [job for job in jobs if _compiles_a_loop(job)]
    jobs = [job for job in jobs if not _compiles_a_loop(job)] + slow[:1]
    for job in jobs:
        name = job["workload"]["name"].lower()
        if not words or any(word.lower() in name for word in words):
            yield job


def _compiles_a_loop(job: dict[str, Any]) -> bool:
    kind = job["workload"]["kind"]
    return job["contender"] == "compiled" and kind in RECURRENT


def _jobs(
    workloads: tuple[Workload, ...], precision: str
) -> Iterator[dict[str, Any]]:
    for workload in workloads:
        for name, contender in CONTENDERS.items():
            supported = not contender.kinds or workload.kind in contender.kinds
            if supported and precision in contender.precisions:
                yield {
                    "workload": dataclasses.asdict(workload),
                    "precision": precision,
                    "contender": name,
                }


def _launches(workloads: tuple[Workload, ...]) -> Iterator[dict[str, Any]]:
    for workload in workloads:
        for contender, launch in LAUNCHES[workload.kind]:
            yield {
                "workload": dataclasses.asdict(workload),
                "precision": "float32",
                "contender": contender,
                "launch": launch,
            }


def _small() -> tuple[tuple[Workload, ...], tuple[Workload, ...]]:
    by_kind = {w.kind: w for w in WORKLOADS}
    small = tuple(
        dataclasses.replace(
            w,
            name=f"{w.kind}, tiny",
            **{"batch": 3, "steps": 5, "dim": 8 if w.kind == "din" else 4},
            units=w.units and (2 if w.kind == "transformer" else 4),
            candidates=min(w.candidates, 2),
        )
        for w in by_kind.values()
    )
    return small, small[-1:]  # pooling
