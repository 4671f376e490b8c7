"""What kseq is to reach: ratios to its peers, and limits of memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.lineup import LINEUP
from benchmarks.results import Results

WHAT = {
    "train": "forward + backward",
    "first": "first calls",
    "peak": "peak memory",
}

# PyTorch's yardsticks where padding is computed, and where it is not.
BY_HAND = ("whole-torch", "native-torch")


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        ours, peer: names of the line-up; without a peer it is a limit.
        wanted: peer / ours at least; a limit is not to be passed.
        what: "train" (forward and backward), "first" (call) or "peak".
    """

    work: str
    ours: str
    peer: str | None
    wanted: float
    what: str = "train"

    @property
    def against(self) -> str:
        """The peer, and its framework where that is another one."""
        if self.peer is None:
            return ""
        peer = LINEUP[self.peer]
        same = peer.framework == LINEUP[self.ours].framework
        return peer.label if same else peer.title

    @property
    def bound(self) -> str:
        return (
            f"≤ {self.wanted} MB" if self.peer is None else f"≥ {self.wanted}"
        )

    def measured(self, results: Results) -> float | None:
        own = results.value(self.work, self.ours, self.what)
        if self.peer is None or own is None:
            return own
        peer = results.value(self.work, self.peer, self.what)
        return None if peer is None else peer / own

    def measured_in(self, runs: list[Results]) -> list[float]:
        """A number of each run that has one."""
        found = map(self.measured, runs)
        return [number for number in found if number is not None]

    def holds(self, measured: float) -> bool:
        if self.peer is None:
            return measured <= self.wanted
        return measured >= self.wanted


def _din() -> Iterator[Claim]:
    for work, graph, torch, jax in (
        ("DIN T=100 E=16", 1.5, 1.35, 1.5),
        ("DIN T=100 E=64", 2.0, 2.0, 2.0),
        ("DIN T=20 E=64", 1.4, 1.5, 1.7),
        ("DIN T=500 E=16", 1.4, 1.4, 1.4),
    ):
        yield Claim(work, "kseq-graph", "deepctr", graph)
        yield Claim(work, "kseq-torch", "deepctr-torch", torch)
        for peer in BY_HAND:
            yield Claim(work, "kseq-torch", peer, 0.9)
        yield Claim(work, "kseq-jax", "naive-jax", jax)
        yield Claim(work, "kseq-jax", "native-jax", 0.95)


def _augru() -> Iterator[Claim]:
    for work, graph, torch in (
        ("AUGRU H=16", 1.3, 1.4),
        ("AUGRU H=64", 1, 1.1),
    ):
        yield Claim(work, "kseq-graph", "deepctr", graph)
        if work == "AUGRU H=16":
            yield Claim(work, "kseq-xla", "deepctr", 1.7)
        yield Claim(work, "kseq-torch", "deepctr-torch", torch)
        yield Claim(work, "kseq-torch", "native-torch", 0.75)
        yield Claim(work, "kseq-jax", "native-jax", 0.95)


def _bilstm() -> Iterator[Claim]:
    yield Claim("BiLSTM", "kseq-graph", "deepctr", 0.8)
    yield Claim("BiLSTM", "kseq-graph", "deepctr", 5, "first")
    yield Claim("BiLSTM", "kseq-torch", "native-torch", 0.67)
    yield Claim("BiLSTM", "kseq-torch", "keras-lstm-torch", 4)
    yield Claim("BiLSTM", "kseq-jax", "keras-lstm-jax", 0.95)


def _transformer() -> Iterator[Claim]:
    for work, graph, jax_peer, jax in (
        ("Transformer T=1000", 1.5, "naive-jax", 0.95),
        ("Transformer T=4000", 1.7, "deepctr", 1.1),
    ):
        yield Claim(work, "kseq-graph", "deepctr", graph)
        for peer in BY_HAND:
            yield Claim(work, "kseq-torch", peer, 0.9)
        yield Claim(work, "kseq-jax", jax_peer, jax)


def _pooling() -> Iterator[Claim]:
    for mode in ("sum", "mean", "max", "weighted"):
        work = f"pooling {mode}"
        yield Claim(work, "kseq-graph", "deepctr", 1)
        yield Claim(work, "kseq-xla", "deepctr", 1.5)
        if mode == "sum":
            yield Claim(work, "kseq-torch", "deepctr-torch", 3)
        yield Claim(work, "kseq-jax", "native-jax", 0.95)


def _memory() -> Iterator[Claim]:
    for name, mb in (("graph", 250), ("torch", 150), ("jax", 150)):
        yield Claim("Transformer T=4000", f"kseq-{name}", None, mb, "peak")
    for name in ("graph", "torch", "jax"):
        yield Claim("DIN T=100 E=64", f"kseq-{name}", "deepctr", 2, "peak")


CLAIMS = [
    *_din(),
    *_augru(),
    *_bilstm(),
    *_transformer(),
    *_pooling(),
    *_memory(),
]
