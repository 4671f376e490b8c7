"""From a user's history and candidates to a ranking. Needs NumPy only."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

# The model: features `(rows, 1)` and `(rows, steps)` by name to `(rows, 1)`.
Scorer = Callable[[dict[str, np.ndarray]], np.ndarray]


class UnknownItems(ValueError):
    """Candidates that the model has never seen."""


@dataclass(frozen=True)
class Items:
    """What a model is told of the items. Place 0 of each list is padding."""

    ids: list[str]  # as the world outside names them
    titles: list[str]
    features: dict[str, list[int]]  # the model's features, and their values
    steps: int  # the length of a history

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Items":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Ranking:
    items: list[str]  # the best first
    scores: list[float]
    steps: int  # how many of the history counted
    unknown: list[str]  # of the history, and passed over


class Ranker:
    """Ranks some candidates for one user, by one call of the model.

    The user's ids are repeated, once for each candidate: so any of
    `kseq.models` will do.
    """

    def __init__(self, items: Items, score: Scorer) -> None:
        self.steps = items.steps
        self.ids = items.ids
        self.score = score
        self._place = {name: i for i, name in enumerate(items.ids) if i > 0}
        self._features = {
            name: np.array(values, "int32")
            for name, values in items.features.items()
        }

    def rank(
        self, history: Sequence[str], candidates: Sequence[str]
    ) -> Ranking:
        """The candidates, the best first.

        Args:
            history: what the user liked, the oldest first. Of more than
                `steps` the newest count. Items that the model does not know
                are passed over: a user may well have met newer ones.
            candidates: what is to be ranked.

        Raises:
            UnknownItems: the model does not know a candidate.
        """
        unknown = [name for name in candidates if name not in self._place]
        if unknown:
            raise UnknownItems(f"unknown candidates: {', '.join(unknown)}")
        known = [self._place[name] for name in history if name in self._place]
        known = known[-self.steps :]
        of_candidates = np.array([self._place[name] for name in candidates])
        scores = self.score(self.features(known, of_candidates))[:, 0]
        order = np.argsort(-scores, kind="stable")
        return Ranking(
            items=[candidates[i] for i in order],
            scores=[float(scores[i]) for i in order],
            steps=len(known),
            unknown=[name for name in history if name not in self._place],
        )

    def features(
        self, history: Sequence[int], candidates: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What the model is given, a row a candidate; of items' places."""
        padded = np.zeros(self.steps, "int32")
        padded[: len(history)] = history
        rows = np.tile(padded, (len(candidates), 1))
        found = {}
        for name, values in self._features.items():
            found[name] = values[candidates][:, None]
            found[f"hist_{name}"] = values[rows]
        return found
