"""Ranks candidates for a user's history. Needs only NumPy."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

# Maps features by name, of the candidates `(1, candidates)` and of the history
# `(1, steps)`, to scores `(1, candidates)`.
Scorer = Callable[[dict[str, np.ndarray]], np.ndarray]


class UnknownItems(ValueError):
    """Candidates that the model does not know."""


@dataclass(frozen=True)
class Items:
    """The model's features of all items. Index 0 of each list is padding."""

    ids: list[str]  # names used in requests
    titles: list[str]
    features: dict[str, list[int]]  # values by feature
    steps: int  # the length of a history

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Items":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Ranking:
    items: list[str]  # best first
    scores: list[float]
    steps: int  # valid steps of the history
    unknown: list[str]  # ignored items of the history


class Ranker:
    """Ranks the candidates of one user in one row of a ranking model."""

    def __init__(self, items: Items, score: Scorer) -> None:
        self.steps = items.steps
        self.ids = items.ids
        self.score = score
        self._index = {name: i for i, name in enumerate(items.ids) if i > 0}
        self._features = {
            name: np.array(values, "int32")
            for name, values in items.features.items()
        }

    def rank(
        self, history: Sequence[str], candidates: Sequence[str]
    ) -> Ranking:
        """Return the candidates, best first.

        Args:
            history: items that the user liked, oldest first. Only the last
                `steps` are used. Items that the model does not know, such as
                newer ones, are ignored.
            candidates: the items to rank.

        Raises:
            UnknownItems: the model does not know a candidate.
        """
        unknown = [name for name in candidates if name not in self._index]
        if unknown:
            raise UnknownItems(f"unknown candidates: {', '.join(unknown)}")
        known = [self._index[name] for name in history if name in self._index]
        known = known[-self.steps :]
        indices = np.array([self._index[name] for name in candidates])
        scores = self.score(self.features(known, indices))[0]
        order = np.argsort(-scores, kind="stable")
        return Ranking(
            items=[candidates[i] for i in order],
            scores=[float(scores[i]) for i in order],
            steps=len(known),
            unknown=[name for name in history if name not in self._index],
        )

    def features(
        self, history: Sequence[int], candidates: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the model's inputs: one history, and all candidates.

        Args:
            history, candidates: indices of items.
        """
        padded = np.zeros(self.steps, "int32")
        padded[: len(history)] = history
        inputs = {}
        for name, values in self._features.items():
            inputs[name] = values[candidates][None]
            inputs[f"hist_{name}"] = values[padded][None]
        return inputs
