"""MovieLens-100K as samples: a candidate, the likes before it, a label."""

import importlib.util
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

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


@dataclass(frozen=True)
class Samples:
    """One row for each rating, in order of time."""

    user: np.ndarray  # (samples,)
    movie: np.ndarray  # (samples,), the candidate
    history: np.ndarray  # (samples, steps), oldest first, then zeros
    history_time: np.ndarray  # (samples, steps), in seconds
    negatives: np.ndarray  # (samples, steps), another movie for each like
    length: np.ndarray  # (samples,), valid steps of the history
    liked: np.ndarray  # (samples,), the label
    time: np.ndarray  # (samples,), in seconds

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: np.ndarray | slice) -> "Samples":
        return Samples(*(getattr(self, f.name)[rows] for f in fields(self)))

    def save(self, path: Path) -> None:
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Samples":
        with np.load(path) as arrays:
            return cls(**arrays)


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
    """Return a sample for each rating, with the user's last likes before it.

    Each like gets a random negative for DIEN: another movie.
    """
    ratings = sorted(ratings, key=lambda rating: rating.time)
    users = {
        name: i for i, name in enumerate(sorted({r.user for r in ratings}), 1)
    }
    # Movie, time and negative of each step.
    histories = np.zeros((len(ratings), steps, 3), "int32")
    length = np.zeros(len(ratings), "int32")
    likes: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    movies = len(catalogue.titles) - 1
    rng = np.random.default_rng(seed)
    row = 0
    for _, second in itertools.groupby(ratings, lambda rating: rating.time):
        simultaneous = list(second)
        # Likes of the same second are not in each other's history.
        for rating in simultaneous:
            known = likes[rating.user][-steps:]
            if known:
                histories[row, : len(known)] = known
            length[row] = len(known)
            row += 1
        for rating in simultaneous:
            if rating.stars >= LIKED_FROM:
                movie = catalogue.index[rating.movie]
                # Uniform over the other movies.
                negative = (movie + rng.integers(1, movies) - 1) % movies + 1
                likes[rating.user].append((movie, rating.time, negative))
    return Samples(
        user=np.array([users[r.user] for r in ratings], "int32"),
        movie=np.array([catalogue.index[r.movie] for r in ratings], "int32"),
        history=histories[..., 0],
        history_time=histories[..., 1],
        negatives=histories[..., 2],
        length=length,
        liked=np.array([r.stars >= LIKED_FROM for r in ratings], "float32"),
        time=np.array([r.time for r in ratings], "int64"),
    )


def split_by_time(
    samples: Samples, earlier: float = 0.8
) -> tuple[Samples, Samples]:
    """Split at a moment, so that no second is in both parts."""
    moment = samples.time[int(earlier * len(samples))]
    train, valid = samples.time < moment, samples.time >= moment
    if not train.any():
        raise ValueError(
            "data: all ratings have the same time; cannot split them"
        )
    return samples[train], samples[valid]


def popularity(train: Samples, movies: int) -> dict[str, np.ndarray]:
    """Return scores of each movie computed from `train`, without a model."""
    seen = np.bincount(train.movie, minlength=movies)
    likes = np.bincount(train.movie, weights=train.liked, minlength=movies)
    # Smoothed with ten average ratings.
    rate = (likes + 10 * train.liked.mean()) / (seen + 10)
    return {"number of likes": likes, "share of likes": rate}


def pairs_to_plot(samples: Samples, users: int, seed: int) -> Samples:
    """Return two candidates of each of some users, one liked and one not.

    The two follow each other in time and get the same history, that of the
    earlier one, so that only the candidates differ.
    """
    by_user = np.argsort(samples.user, kind="stable")
    earlier, later = by_user[:-1], by_user[1:]
    usable = (
        (samples.user[earlier] == samples.user[later])
        & (samples.liked[earlier] != samples.liked[later])
        & (samples.length[earlier] > 0)
        & (samples.length[earlier] <= MAX_PLOTTED_STEPS)
    )
    earlier, later = earlier[usable], later[usable]
    # The longest history of each user that still fits a plot.
    longest = np.argsort(-samples.length[earlier], kind="stable")
    _, first_of_user = np.unique(
        samples.user[earlier[longest]], return_index=True
    )
    chosen = np.random.default_rng(seed).permutation(longest[first_of_user])[
        :users
    ]
    rows = np.stack([earlier[chosen], later[chosen]], axis=1).ravel()
    source = np.repeat(earlier[chosen], 2)
    histories = {
        name: getattr(samples, name)[source]
        for name in ("history", "history_time", "negatives", "length")
    }
    return replace(samples[rows], **histories)
