"""The works that are timed: what goes in, and with which weights.

All contenders get the same arrays; nothing here knows a framework.
"""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

MOVIELENS = Path(__file__).with_name("movielens_lengths.json")


@dataclasses.dataclass(frozen=True)
class Work:
    """One work.

    Args:
        kind: the name of the function of a contender that does it.
        batch, steps, dim: B, T and E of the sequences.
        units: width of a recurrent state, or of one attention head.
        candidates: K.
        lengths: "uniform" in 1..T, "full", or "movielens".
        settings: what else the kind asks for.
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
        """The arrays that go in; gradients are taken of those of floats.

        - din: query `(B, K, E)`, keys `(B, T, E)`, lengths `(B, 1)`;
        - augru: x `(B, T, E)`, lengths, scores `(B, T, 1)`;
        - all others: x `(B, T, E)`, lengths;
        - weighted: x, lengths, weights `(B, T, 1)`.

        Lengths are int32.
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
        drawn = np.interp(
            rng.random(shape), np.linspace(0, 1, len(quantiles)), quantiles
        )
        return np.clip(np.round(drawn), 1, self.steps).astype("int32")

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
            pairs = list(itertools.pairwise(widths))
            # The scorer's own kernel and bias come first.
            return [
                (widths[-1], 1),
                (1,),
                *pairs,
                *((width,) for width in widths[1:]),
            ]
        if self.kind == "augru":
            return [
                (dim + units, 2 * units),
                (2 * units,),
                (dim + units, units),
                (units,),
            ]
        if self.kind == "bilstm":
            one = [(dim, 4 * units), (units, 4 * units), (4 * units,)]
            return one + one
        if self.kind == "transformer":
            return [(dim, dim)] * 3
        return []

    def upstream(self) -> np.ndarray:
        """What the output is multiplied by to make the loss."""
        rng = np.random.default_rng(2)
        return rng.normal(size=self._output_shape()).astype("float32")

    def _output_shape(self) -> tuple[int, int, int]:
        if self.kind == "bilstm":
            return self.batch, self.steps, 2 * self.units
        if self.kind in ("transformer", "positions", "bias"):
            return self.batch, self.steps, self.dim
        if self.kind == "k_max":
            return self.batch, self["k"], self.dim
        width = self.units if self.kind == "augru" else self.dim
        return self.batch, self.candidates, width


def _din(batch: int, steps: int, dim: int, **more: Any) -> Work:
    name = f"DIN T={steps} E={dim}"
    if "lengths" in more:
        name += f" {more['lengths']}"
    if "candidates" in more:
        name += f" K={more['candidates']}"
    settings = (("hidden_units", (80, 40)),)
    return Work(name, "din", batch, steps, dim, settings=settings, **more)


def _pooling(mode: str) -> Work:
    settings = (("mode", mode),)
    return Work(f"pooling {mode}", "pooling", 1024, 100, 64, settings=settings)


def _transformer(batch: int, steps: int, blinding: bool) -> Work:
    name = f"Transformer T={steps}" + ("" if blinding else " sees itself")
    settings = (("heads", 2), ("blinding", blinding))
    return Work(
        name, "transformer", batch, steps, 32, units=16, settings=settings
    )


WORKS = {
    work.name: work
    for work in (
        _din(1024, 20, 64),
        _din(1024, 100, 16),
        _din(1024, 100, 64),
        _din(1024, 500, 16),
        _din(1024, 100, 64, lengths="movielens"),
        _din(16, 100, 64, candidates=100),
        Work("AUGRU H=16", "augru", 256, 100, 16, units=16),
        Work("AUGRU H=64", "augru", 256, 100, 64, units=64),
        Work("BiLSTM", "bilstm", 256, 100, 32, units=32, lengths="full"),
        _transformer(2, 1000, True),
        _transformer(1, 4000, True),
        _transformer(1, 4000, False),
        _pooling("sum"),
        _pooling("mean"),
        _pooling("max"),
        Work("pooling weighted", "weighted", 1024, 100, 64),
    )
}


def choose(words: list[str]) -> list[str]:
    """The works of these names, or whose names hold one of these words."""
    for word in words:
        if not any(_fits(word, name) for name in WORKS):
            raise ValueError(f"works: expected {[*WORKS]}; received {word!r}")
    return [
        name
        for name in WORKS
        if not words or any(_fits(word, name) for word in words)
    ]


def _fits(word: str, name: str) -> bool:
    return word == name if word in WORKS else word.lower() in name.lower()
