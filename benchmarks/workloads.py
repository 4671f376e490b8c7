"""The workloads: their inputs, weights and sizes as NumPy arrays."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

# Quantiles of the history lengths in MovieLens-100K.
MOVIELENS = Path(__file__).with_name("movielens_lengths.json")


@dataclasses.dataclass(frozen=True)
class Workload:
    """One workload.

    Args:
        kind: the name of the contenders' function that runs it.
        batch, steps, dim: B, T and E of the sequences.
        units: width of a recurrent state, or of one attention head.
        candidates: K.
        lengths: "uniform" in 1..T, "full", or "movielens".
        settings: further arguments of the kind.
    """

    name: str
    kind: str
    batch: int
    steps: int
    dim: int
    units: int = 0
    candidates: int = 1
    lengths: str = "uniform"
    settings: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        return dict(self.settings)[name]

    def inputs(self) -> list[np.ndarray]:
        """The input arrays; lengths are int32 `(B, 1)`.

        - din: query `(B, K, E)`, keys `(B, T, E)`, lengths;
        - augru: x `(B, T, E)`, lengths, scores `(B, T, 1)`;
        - weighted: x, lengths, weights `(B, T, 1)`;
        - all others: x, lengths.
        """
        rng = np.random.default_rng(0)
        shape = (self.batch, self.steps, self.dim)
        x = rng.normal(size=shape).astype("float32")
        lengths = self._lengths(rng)
        if self.kind == "din":
            shape = (self.batch, self.candidates, self.dim)
            return [rng.normal(size=shape).astype("float32"), x, lengths]
        if self.kind in ("augru", "weighted"):
            return [x, lengths, rng.random((*x.shape[:2], 1), "float32")]
        return [x, lengths]

    def _lengths(self, rng: np.random.Generator) -> np.ndarray:
        shape = (self.batch, 1)
        if self.lengths == "full":
            return np.full(shape, self.steps, "int32")
        if self.lengths == "uniform":
            return rng.integers(1, self.steps + 1, shape, "int32")
        quantiles = json.loads(MOVIELENS.read_text())["quantiles"]
        lengths = np.interp(
            rng.random(shape), np.linspace(0, 1, len(quantiles)), quantiles
        )
        return np.clip(np.round(lengths), 1, self.steps).astype("int32")

    def weights(self) -> list[np.ndarray]:
        """The layer's weights, in DeepCTR's order."""
        rng = np.random.default_rng(1)
        return [
            (rng.normal(size=s) / np.sqrt(s[0])).astype("float32")
            for s in self._weight_shapes()
        ]

    def _weight_shapes(self) -> list[tuple[int, ...]]:
        dim, units = self.dim, self.units
        if self.kind == "din":
            widths = (4 * dim, *self["hidden_units"])
            # The output layer's kernel and bias come first.
            return [
                (widths[-1], 1),
                (1,),
                *itertools.pairwise(widths),
                *((width,) for width in widths[1:]),
            ]
        if self.kind in ("augru", "gru"):
            return [
                (dim + units, 2 * units),
                (2 * units,),
                (dim + units, units),
                (units,),
            ]
        if self.kind == "bilstm":
            return 2 * [(dim, 4 * units), (units, 4 * units), (4 * units,)]
        if self.kind == "transformer":
            return [(dim, dim)] * 3
        return []

    def upstream(self) -> np.ndarray:
        """The gradient of the loss with respect to the output."""
        rng = np.random.default_rng(2)
        return rng.normal(size=self._output_shape()).astype("float32")

    def _output_shape(self) -> tuple[int, int, int]:
        if self.kind == "bilstm":
            return self.batch, self.steps, 2 * self.units
        if self.kind == "gru":
            return self.batch, self.steps, self.units
        if self.kind in ("transformer", "positions", "bias"):
            return self.batch, self.steps, self.dim
        if self.kind == "k_max":
            return self.batch, self["k"], self.dim
        width = self.units if self.kind == "augru" else self.dim
        return self.batch, self.candidates, width


def _din(steps: int, dim: int, batch: int = 1024, **options: Any) -> Workload:
    name = f"DIN T={steps} E={dim}"
    if "lengths" in options:
        name += f" {options['lengths']}"
    if "candidates" in options:
        name += f" K={options['candidates']}"
    settings = (("hidden_units", (80, 40)),)
    return Workload(
        name, "din", batch, steps, dim, settings=settings, **options
    )


def _pooling(mode: str) -> Workload:
    return Workload(
        f"pooling {mode}", "pooling", 1024, 100, 64, settings=(("mode", mode),)
    )


def _transformer(batch: int, steps: int, blinding: bool) -> Workload:
    name = f"Transformer T={steps}" + ("" if blinding else " sees itself")
    settings = (("heads", 2), ("blinding", blinding))
    return Workload(
        name, "transformer", batch, steps, 32, units=16, settings=settings
    )


WORKLOADS = {
    workload.name: workload
    for workload in (
        _din(20, 64),
        _din(100, 16),
        _din(100, 64),
        _din(500, 16),
        _din(100, 64, lengths="movielens"),
        _din(100, 64, batch=16, candidates=100),
        Workload("AUGRU H=16", "augru", 256, 100, 16, units=16),
        Workload("AUGRU H=64", "augru", 256, 100, 64, units=64),
        Workload("BiLSTM", "bilstm", 256, 100, 32, units=32, lengths="full"),
        _transformer(2, 1000, True),
        _transformer(1, 4000, True),
        _transformer(1, 4000, False),
        _pooling("sum"),
        _pooling("mean"),
        _pooling("max"),
        Workload("pooling weighted", "weighted", 1024, 100, 64),
    )
}


def choose(words: list[str]) -> list[str]:
    """Names of the workloads that contain one of the words; all by default.

    A full name selects only that workload.
    """

    def matches(word: str, name: str) -> bool:
        exact = word in WORKLOADS
        return word == name if exact else word.lower() in name.lower()

    for word in words:
        if not any(matches(word, name) for name in WORKLOADS):
            raise ValueError(
                f"workloads: expected a part of one of {[*WORKLOADS]}; "
                f"received {word!r}"
            )
    return [
        name
        for name in WORKLOADS
        if not words or any(matches(word, name) for word in words)
    ]
