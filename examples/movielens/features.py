"""What each model is given of a sample: as feature columns and as arrays."""

from dataclasses import replace

import numpy as np

from kseq.feature_column import FeatureColumn, SparseFeat, VarLenSparseFeat
from movielens.data import Samples
from movielens.sessions import split_sessions

MOVIE_DIM = 16
GENRES_DIM = 8
# What the history is made of, and compared with. A movie's genres are one
# feature: of 1682 movies in 19 genres there are 216 sets. No user's id: six of
# seven samples of the later part are of users whom the earlier does not know.
CANDIDATE = ("movie", "genres")
SESSIONS = 5
SESSION_STEPS = 20
# Seconds. MovieLens is rated in bursts: nine of ten likes follow the one before
# within 145 seconds. DSIN's half an hour would leave one session or none to
# 74 % of the later samples, a day to 82 %; five minutes leave it to half.
SESSION_GAP = 5 * 60


def sequences(model: str, steps: int) -> dict[str, int]:
    """Steps of each sequence that a model reads, by its columns' prefix."""
    match model:
        case "dsin":
            return {f"sess_{i}_": SESSION_STEPS for i in range(SESSIONS)}
        case "dien":
            return {"hist_": steps, "neg_hist_": steps}
        case _:
            return {"hist_": steps}


def lengths(model: str) -> str | None:
    """The input of the histories' lengths, which DIN tells from the ids."""
    return None if model in ("din", "dsin") else "hist_length"


def columns(
    model: str, genre_set: np.ndarray, steps: int
) -> list[FeatureColumn]:
    candidate = [
        SparseFeat("movie", len(genre_set), MOVIE_DIM),
        SparseFeat("genres", int(genre_set.max()) + 1, GENRES_DIM),
    ]
    return candidate + [
        # A copy keeps the embedding's name, and with it the table.
        VarLenSparseFeat(
            replace(column, name=prefix + column.name),
            maxlen,
            length_name=lengths(model),
        )
        for prefix, maxlen in sequences(model, steps).items()
        for column in candidate
    ]


def features(
    model: str, samples: Samples, genre_set: np.ndarray
) -> dict[str, np.ndarray]:
    """An array for each input of the model, by its name."""
    movies = {"": samples.movie[:, None]}
    if model == "dsin":
        sessions, count = split_sessions(
            samples.history,
            samples.history_time,
            samples.length,
            gap=SESSION_GAP,
            sessions=SESSIONS,
            steps=SESSION_STEPS,
        )
        movies |= {f"sess_{i}_": sessions[:, i] for i in range(SESSIONS)}
        found = {"sess_length": count[:, None]}
    else:
        movies["hist_"] = samples.history
        found = {}
    if name := lengths(model):
        found[name] = samples.length[:, None]
    if model == "dien":
        movies["neg_hist_"] = samples.negatives
    for prefix, ids in movies.items():
        found[f"{prefix}movie"] = ids
        found[f"{prefix}genres"] = genre_set[ids]
    return found
