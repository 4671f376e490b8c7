"""The inputs of each model, as feature columns and as arrays."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kseq.feature_column import FeatureColumn, SparseFeat, VarLenSparseFeat

MOVIE_DIM = 16
GENRES_DIM = 8
# Features of the candidate and of the history. A movie's genres are one
# feature: 1682 movies in 19 genres have 216 different sets. There is no user
# id: six of seven validation samples are of users without training samples.
CANDIDATE = ("movie", "genres")
SESSIONS = 5
SESSION_STEPS = 20
# Seconds. MovieLens is rated in bursts: nine of ten likes follow the previous
# one within 145 seconds. With DSIN's half an hour 74 % of the validation
# samples would have at most one session, with a day 82 %; with five minutes
# half of them have.
SESSION_GAP = 5 * 60


def sequences(model: str, steps: int) -> dict[str, int]:
    """Return the steps of each of a model's sequences, by column prefix."""
    match model:
        case "dsin":
            session = min(SESSION_STEPS, steps)
            return {f"sess_{i}_": session for i in range(SESSIONS)}
        case "dien":
            return {"hist_": steps, "neg_hist_": steps}
        case _:
            return {"hist_": steps}


def lengths(model: str) -> str | None:
    """Return the name of the lengths' input; DIN and DSIN mask id 0 instead."""
    return None if model in ("din", "dsin") else "seq_length"


def columns(
    model: str, genre_set: np.ndarray, steps: int
) -> list[FeatureColumn]:
    candidate = [
        SparseFeat("movie", len(genre_set), MOVIE_DIM),
        SparseFeat("genres", int(genre_set.max()) + 1, GENRES_DIM),
    ]
    return candidate + [
        # A copy keeps the embedding's name, and so shares the table.
        VarLenSparseFeat(
            replace(column, name=prefix + column.name),
            maxlen,
            length_name=lengths(model),
        )
        for prefix, maxlen in sequences(model, steps).items()
        for column in candidate
    ]


def features(model: keras.Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs that a model has, of those of all models."""
    return {tensor.name: inputs[tensor.name] for tensor in model.inputs}


def shuffled_history(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs with the steps of each sequence in a random order."""
    rng, changed = np.random.default_rng(0), dict(inputs)
    for name, ids in inputs.items():
        prefix = name.removesuffix(CANDIDATE[0])
        if prefix in ("", name):
            continue
        # Padding stays at the end.
        order = np.where(ids > 0, rng.random(ids.shape), 2).argsort(axis=1)
        for column in CANDIDATE:
            values = inputs[prefix + column]
            changed[prefix + column] = np.take_along_axis(values, order, axis=1)
    return changed


def another_users_history(inputs: dict[str, Any], rows: int) -> dict[str, Any]:
    """Return inputs with the history of the next user, who is `rows` below."""
    return {
        name: x if name in CANDIDATE else np.roll(x, rows, axis=0)
        for name, x in inputs.items()
    }
