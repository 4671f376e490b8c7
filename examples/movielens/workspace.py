"""The folder through which the processes share their work, and the events."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from movielens.data import Samples

MODELS = {
    "din": "DIN: the history weighed by attention to the candidate",
    "mean": "the same model with the history's mean",
}


@dataclass(frozen=True)
class Settings:
    epochs: int
    seed: int
    steps: int = 50
    batch_size: int = 1024
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Workspace:
    """Where each thing lies; what is written once is read by every process."""

    folder: Path

    def write(
        self,
        settings: Settings,
        genres: np.ndarray,
        samples: dict[str, Samples],
    ) -> None:
        self._settings.write_text(json.dumps(asdict(settings)))
        np.save(self._genres, genres)
        for name, part in samples.items():
            part.save(self._samples(name))

    def settings(self) -> Settings:
        return Settings(**json.loads(self._settings.read_text()))

    def genres(self) -> np.ndarray:
        return np.load(self._genres)

    def samples(self, name: str) -> Samples:
        return Samples.load(self._samples(name))

    def starting_weights(self, model: str) -> Path:
        return self.folder / f"start-{model}.npz"

    def predictions(self, backend: str, model: str) -> Path:
        """An array (epochs + 1, samples): before training, then by epoch."""
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
    def _genres(self) -> Path:
        return self.folder / "genres.npy"

    def _samples(self, name: str) -> Path:
        return self.folder / f"samples-{name}.npz"
