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
    "bst": "BST: self-attention in the history",
    BASELINE: "the history's mean",
}


@dataclass(frozen=True)
class Settings:
    models: list[str]
    epochs: int
    seed: int
    steps: int = 50
    batch_size: int = 1024
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Workspace:
    """Paths in the shared folder, and what the main process writes there."""

    folder: Path

    def write(
        self,
        settings: Settings,
        genre_set: np.ndarray,
        samples: dict[str, Samples],
    ) -> None:
        self._settings.write_text(json.dumps(asdict(settings)))
        np.save(self._genre_set, genre_set)
        for name, part in samples.items():
            np.savez(self._samples(name), label=part.label, **part.inputs)

    def settings(self) -> Settings:
        return Settings(**json.loads(self._settings.read_text()))

    def genre_set(self) -> np.ndarray:
        return np.load(self._genre_set)

    def samples(self, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the inputs and the labels."""
        with np.load(self._samples(name)) as arrays:
            inputs = dict(arrays)
        label = inputs.pop("label")
        return inputs, label

    def predictions(self, backend: str, model: str) -> Path:
        """An array (epochs + 1, samples); the first row is before training."""
        return self.folder / f"{backend}-{model}-predictions.npy"

    def saved_model(self, backend: str, model: str) -> Path:
        return self.folder / f"{backend}-{model}.keras"

    def loaded_predictions(self, backend: str, model: str) -> Path:
        return self.folder / f"{backend}-{model}-loaded.npy"

    def attention(self) -> Path:
        return self.folder / "attention.npy"

    def log(self, backend: str) -> Path:
        return self.folder / f"{backend}.log"

    @property
    def _settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def _genre_set(self) -> Path:
        return self.folder / "genre_set.npy"

    def _samples(self, name: str) -> Path:
        return self.folder / f"samples-{name}.npz"
