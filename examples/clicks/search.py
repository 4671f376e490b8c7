"""Searches the sizes of the model and the learning rate with Keras Tuner."""

import tempfile
from typing import Any

import keras
import keras_tuner

from clicks.data import ITEMS, Batch
from clicks.model import SEED, start_model

TRIALS = 3
EPOCHS = 2


def search(train: Batch, valid: Batch) -> list[dict[str, Any]]:
    """Return each trial's choices and its loss on `valid`, best first."""
    with tempfile.TemporaryDirectory(prefix="clicks-") as folder:
        tuner = keras_tuner.RandomSearch(
            build,
            objective="val_loss",
            max_trials=TRIALS,
            seed=SEED,  # the same trials on every backend
            directory=folder,
            project_name="search",
        )
        tuner.search(
            *train,
            validation_data=valid,
            epochs=EPOCHS,
            batch_size=100,
            shuffle=False,
            verbose=0,
        )
        trials = tuner.oracle.get_best_trials(TRIALS)
    return [
        {**trial.hyperparameters.values, "loss": trial.score}
        for trial in trials
    ]


def build(choices: keras_tuner.HyperParameters) -> keras.Model:
    model = start_model(
        ITEMS,
        dim=choices.Choice("dim", [4, 16]),
        units=choices.Choice("units", [8, 32]),
    )
    rate = choices.Choice("learning_rate", [1e-3, 1e-2])
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    return model
