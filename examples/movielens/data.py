"""MovieLens-100K as samples: a candidate, the likes before it, a label."""

import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kseq.data import (
    NegativeSampling,
    Samples,
    add_negatives,
    sequence_samples,
    split_last,
)
from movielens.features import SESSION_GAP, SESSION_STEPS, SESSIONS

CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: "
    "History and Context. ACM Transactions on Interactive Intelligent Systems "
    "5, 4, Article 19. GroupLens, https://doi.org/10.1145/2827872"
)
LIKED_FROM = 4.0  # of 5 stars
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
        session_steps=min(SESSION_STEPS, steps),
        negatives=NegativeSampling(seed=seed),
    )


def leave_last_out(
    samples: Samples, popularity: float, negatives: int, seed: int
) -> dict[str, Samples]:
    """Return likes with negatives; each user's last like is in the test.

    The like before the last one is in the validation part. A negative is a
    movie that the user has never rated. Training has one for each like.
    """
    counts = {"train": 1, "valid": negatives, "test": negatives}
    parts = split_last(samples[samples.label > 0])
    return {
        name: add_negatives(
            part,
            count,
            NegativeSampling(popularity, exclude_seen=True, seed=seed + i),
        )
        for i, ((name, count), part) in enumerate(
            zip(counts.items(), parts, strict=True)
        )
    }


def likes(train: Samples, movies: int) -> np.ndarray:
    """Return the number of likes of each movie: a score without a model."""
    liked = train.inputs["movie"][train.label > 0]
    return np.bincount(liked, minlength=movies)


def users_to_show(
    samples: Samples, test: Samples, users: int, movies: int, seed: int
) -> tuple[Samples, np.ndarray]:
    """Return the last like of some users, and all other movies they rated.

    The users are a random choice of those with a full history.
    """
    length = test.inputs["seq_length"]
    rows = np.flatnonzero((test.label > 0) & (length == length.max()))
    shown = test[np.random.default_rng(seed).permutation(rows)[:users]]
    seen = np.zeros((len(shown), movies), bool)
    for row, user, movie in zip(
        seen, shown.user, shown.inputs["movie"], strict=True
    ):
        row[samples.inputs["movie"][samples.user == user]] = True
        row[movie] = False
    return shown, seen
