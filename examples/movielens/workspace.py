"""The folder that the processes share, and the settings of a run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kseq.data import Samples

BASELINE = "mean"
MODELS = {
    "din": "DIN: attention to the candidate",
    "dien": "DIEN: GRUs and attention",
    "dsin": "DSIN: self-attention in sessions",
    "bst": "BST: a Transformer of the history",
    BASELINE: "the history's mean",
}


@dataclass(frozen=True)
class Settings:
    models: list[str]
    seeds: list[int]
    epochs: int
    patience: int = 1
    steps: int = 10
    popularity: float = 1.0  # of the negatives
    negatives: int = 20  # for each like of validation and test; 1 in training
    batch_size: int = 512
    learning_rate: float = 5e-3
    users_shown: int = 3


@dataclass(frozen=True)
class Workspace:
    """Paths in the shared folder, and what the main process writes there."""

    folder: Path

    def write(
        self,
        settings: Settings,
        genre_set: np.ndarray,
        samples: dict[str, Samples],
        seen: np.ndarray,
    ) -> None:
        self._settings.write_text(json.dumps(asdict(settings)))
        np.savez(self._catalogue, genre_set=genre_set, seen=seen)
        for name, part in samples.items():
            np.savez(
                self.folder / f"samples-{name}.npz",
                label=part.label,
                user=part.user.astype(str),
                **part.inputs,
            )

    def settings(self) -> Settings:
        return Settings(**json.loads(self._settings.read_text()))

    def genre_set(self) -> np.ndarray:
        return np.load(self._catalogue)["genre_set"]

    def seen(self) -> np.ndarray:
        """`(users to show, movies)`: what not to recommend."""
        return np.load(self._catalogue)["seen"]

    def samples(
        self, name: str
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Return the inputs, the labels and the users."""
        with np.load(self.folder / f"samples-{name}.npz") as arrays:
            inputs = dict(arrays)
        return inputs, inputs.pop("label"), inputs.pop("user")

    def predictions(self, backend: str, model: str) -> Path:
        """Of the test, `(2, rows)`: before and after training."""
        return self.folder / f"{backend}-{model}-predictions.npy"

    def saved_model(self, backend: str, model: str) -> Path:
        return self.folder / f"{backend}-{model}.keras"

    def explained(self, backend: str) -> Path:
        return self.folder / f"{backend}-explained.npz"

    def log(self, backend: str) -> Path:
        return self.folder / f"{backend}.log"

    @property
    def _settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def _catalogue(self) -> Path:
        return self.folder / "catalogue.npz"
