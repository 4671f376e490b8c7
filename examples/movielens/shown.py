"""What the models look at, and what they rank first, for some users."""

from dataclasses import dataclass

import numpy as np

from kseq.data import Samples
from movielens.data import Catalogue
from movielens.workspace import MODELS, Workspace

TOP = 5


@dataclass
class Ranking:
    by: str
    titles: list[str]  # the first ones
    place: int  # of the movie that the user liked next


@dataclass
class User:
    history: list[str]  # the oldest first
    liked: str  # next
    movies: int  # that were ranked: all that the user had not rated
    rankings: list[Ranking]
    # DIN's, for the movie liked next and the one that DIN ranks first.
    attention: np.ndarray | None  # (2, steps)


def read_users(
    backend: str,
    workspace: Workspace,
    shown: Samples,
    catalogue: Catalogue,
    likes: np.ndarray,
) -> list[User]:
    seen = workspace.seen()
    with np.load(workspace.explained(backend)) as arrays:
        explained = dict(arrays)
    scores = {
        MODELS[model]: explained[f"{model} scores"]
        for model in MODELS
        if f"{model} scores" in explained
    }
    scores["number of likes"] = np.where(seen, -np.inf, likes)[:, 1:]
    users = []
    for i, liked in enumerate(shown.inputs["movie"]):
        length = shown.inputs["seq_length"][i]
        attention = explained.get("attention")
        users.append(
            User(
                [
                    catalogue.titles[movie]
                    for movie in shown.inputs["hist_movie"][i, :length]
                ],
                catalogue.titles[liked],
                int((~seen[i, 1:]).sum()),
                [
                    Ranking(
                        by,
                        [
                            catalogue.titles[1 + movie]
                            for movie in np.argsort(-of[i], kind="stable")[:TOP]
                        ],
                        1 + int((of[i] > of[i, liked - 1]).sum()),
                    )
                    for by, of in scores.items()
                ],
                None
                if attention is None
                else attention[2 * i : 2 * i + 2, :length],
            )
        )
    return users
