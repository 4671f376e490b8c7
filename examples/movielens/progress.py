"""A line of progress every few seconds, with an estimate of what is left."""

import time
from collections.abc import Callable

EVERY = 8.0  # seconds
# Of a batch, of the mean's: to estimate before a model has been trained.
COSTS = {"mean": 1, "din": 4, "bst": 5, "dien": 6, "dsin": 9}


class Progress:
    """Batches trained, weighted by the models' costs.

    A model that stops early has done all its batches.
    """

    def __init__(
        self, models: list[str], runs: int, batches: int, show: Callable
    ) -> None:
        self.batches, self.show = batches, show
        self.total = runs * sum(COSTS[model] for model in models) * batches
        self.start = self.shown = time.perf_counter()
        self.done = 0.0
        self.current: dict[str, list] = {}  # model and its batches, by backend
        self.states: dict[str, str] = {}

    def begin(self, backend: str, model: str, seed: int) -> None:
        self.finish(backend)
        self.current[backend] = [model, 0]
        self.states[backend] = f"{model}, seed {seed}"

    def batch(self, backend: str) -> None:
        model, count = self.current[backend]
        self.current[backend] = [model, count + 1]
        self.done += COSTS[model]

    def finish(self, backend: str) -> None:
        model, count = self.current.pop(backend, ["", self.batches])
        self.done += COSTS.get(model, 0) * (self.batches - count)
        self.states[backend] = "done"

    def tick(self) -> None:
        now = time.perf_counter()
        if now - self.shown < EVERY:
            return
        self.shown = now
        passed = now - self.start
        left = "estimating"
        if self.done > 0.03 * self.total:
            seconds = passed * (self.total - self.done) / self.done
            left = f"at most {clock(seconds)} left"
        states = "; ".join(f"{b}: {state}" for b, state in self.states.items())
        self.show(
            f"  {clock(passed)} passed, {left} | {states or 'importing Keras'}"
        )


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
