"""MovieLens-100K as samples: a candidate, the likes before it, a label."""

import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kseq.data import NegativeSampling, Samples, sequence_samples
from movielens.features import (
    CANDIDATE,
    SESSION_GAP,
    SESSION_STEPS,
    SESSIONS,
)

CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: "
    "History and Context. ACM Transactions on Interactive Intelligent Systems "
    "5, 4, Article 19. GroupLens, https://doi.org/10.1145/2827872"
)
LIKED_FROM = 4.0  # of 5 stars
MAX_PLOTTED_STEPS = 30
# fmt: off
GROUPLENS_GENRES = (  # the last columns of u.item
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy",
    "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror",
    "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
# fmt: on


class Rating(NamedTuple):
    user: str
    movie: str
    stars: float
    time: int


class Movie(NamedTuple):
    title: str
    genres: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """The movies by index; index 0 is padding, of movies and of genre sets."""

    index: dict[str, int]
    titles: list[str]
    genre_sets: list[tuple[str, ...]]
    genre_set: np.ndarray  # (movies,), the index of its genre set

    @classmethod
    def from_movies(cls, movies: dict[str, Movie]) -> "Catalogue":
        sets = sorted({movie.genres for movie in movies.values()})
        number = {genres: i for i, genres in enumerate(sets, 1)}
        movie_sets = [number[movie.genres] for movie in movies.values()]
        return cls(
            index={movie: i for i, movie in enumerate(movies, 1)},
            titles=["(padding)", *(movie.title for movie in movies.values())],
            genre_sets=[("(padding)",), *sets],
            genre_set=np.array([0, *movie_sets], "int32"),
        )


def recbole_folder() -> Path:
    """Return the folder of MovieLens-100K in the installed recbole.

    recbole is not imported: that would need its pinned dependencies.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "MovieLens-100K is missing: pip install --no-deps recbole==1.2.1, "
            "whose wheel contains it, or pass its folder with --data"
        )
    package = Path(spec.submodule_search_locations[0])
    return package / "dataset_example" / "ml-100k"


def read(folder: Path) -> tuple[list[Rating], dict[str, Movie]]:
    """Read ratings and movies from recbole's or GroupLens's files."""
    formats = {
        ("ml-100k.inter", "ml-100k.item"): (_recbole_rating, _recbole_movie),
        ("u.data", "u.item"): (_grouplens_rating, _grouplens_movie),
    }
    for names, (rating, movie) in formats.items():
        ratings_file, movies_file = (folder / name for name in names)
        if ratings_file.is_file() and movies_file.is_file():
            return (
                list(map(rating, _rows(ratings_file))),
                dict(map(movie, _rows(movies_file))),
            )
    expected = " or ".join(" with ".join(names) for names in formats)
    received = (
        ", ".join(p.name for p in sorted(folder.glob("*"))[:8]) or "nothing"
    )
    if not folder.is_dir():
        received = "no such folder"
    raise ValueError(
        f"data: expected {expected} in {folder}; received {received}"
    )


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line; skip recbole's header."""
    grouplens_movies = path.name == "u.item"
    encoding = "latin-1" if grouplens_movies else "utf-8"
    separator = "|" if grouplens_movies else "\t"
    lines = path.read_text(encoding=encoding).splitlines()
    if path.name.startswith("ml-100k."):
        lines = lines[1:]
    for line in lines:
        if line:
            yield line.split(separator)


def _recbole_rating(row: list[str]) -> Rating:
    user, movie, stars, time = row
    return Rating(user, movie, float(stars), int(float(time)))


_grouplens_rating = _recbole_rating  # the same four columns


def _recbole_movie(row: list[str]) -> tuple[str, Movie]:
    movie, title, year, genres = row
    return movie, Movie(
        f"{title} ({year})" if year else title, (*genres.split(),)
    )


def _grouplens_movie(row: list[str]) -> tuple[str, Movie]:
    movie, title, *_ = row
    flags = row[-len(GROUPLENS_GENRES) :]
    names = itertools.compress(GROUPLENS_GENRES, map(int, flags))
    return movie, Movie(title, tuple(names))


def keep_users(ratings: list[Rating], users: int, seed: int) -> list[Rating]:
    """Return the ratings of `users` randomly chosen users."""
    all_users = sorted({rating.user for rating in ratings})
    if users >= len(all_users):
        return ratings
    kept = set(np.random.default_rng(seed).choice(all_users, users, False))
    return [rating for rating in ratings if rating.user in kept]


def build_samples(
    ratings: Iterable[Rating], catalogue: Catalogue, steps: int, seed: int = 0
) -> Samples:
    """Return a sample for each rating, in order of time.

    Its history has the user's last likes before it. Each like gets a random
    negative for DIEN: another movie.
    """
    ratings = sorted(ratings, key=lambda rating: rating.time)
    movies = [catalogue.index[rating.movie] for rating in ratings]
    return sequence_samples(
        {
            "user": [rating.user for rating in ratings],
            "movie": movies,
            "genres": catalogue.genre_set[movies],
            "liked": [rating.stars >= LIKED_FROM for rating in ratings],
            "time": [rating.time for rating in ratings],
        },
        item="movie",
        features=["genres"],
        label="liked",
        steps=steps,
        session_gap=SESSION_GAP,
        session_count=SESSIONS,
        session_steps=SESSION_STEPS,
        negatives=NegativeSampling(seed=seed),
    )


def popularity(train: Samples, movies: int) -> dict[str, np.ndarray]:
    """Return scores of each movie computed from `train`, without a model."""
    rated, liked = train.inputs["movie"], train.label
    seen = np.bincount(rated, minlength=movies)
    likes = np.bincount(rated, weights=liked, minlength=movies)
    # Smoothed with ten average ratings.
    rate = (likes + 10 * liked.mean()) / (seen + 10)
    return {"number of likes": likes, "share of likes": rate}


def pairs_to_plot(samples: Samples, users: int, seed: int) -> Samples:
    """Return two candidates of each of some users, one liked and one not.

    The two follow each other in time and get the same history, that of the
    earlier one, so that only the candidates differ.
    """
    by_user = np.argsort(samples.user, kind="stable")
    earlier, later = by_user[:-1], by_user[1:]
    length = samples.inputs["seq_length"]
    usable = (
        (samples.user[earlier] == samples.user[later])
        & (samples.label[earlier] != samples.label[later])
        & (length[earlier] > 0)
        & (length[earlier] <= MAX_PLOTTED_STEPS)
    )
    earlier, later = earlier[usable], later[usable]
    # The longest history of each user that still fits a plot.
    longest = np.argsort(-length[earlier], kind="stable")
    _, first_of_user = np.unique(
        samples.user[earlier[longest]], return_index=True
    )
    chosen = np.random.default_rng(seed).permutation(longest[first_of_user])[
        :users
    ]
    rows = np.stack([earlier[chosen], later[chosen]], axis=1).ravel()
    pairs, source = samples[rows], samples[np.repeat(earlier[chosen], 2)]
    candidates = {name: pairs.inputs[name] for name in CANDIDATE}
    return replace(pairs, inputs=source.inputs | candidates)
