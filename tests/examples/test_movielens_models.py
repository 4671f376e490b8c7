"""The MovieLens example: samples, sessions, AUC, and a whole small run."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from movielens import data, metrics  # noqa: E402
from movielens.data import Catalogue, Movie, Rating  # noqa: E402
from movielens.features import features  # noqa: E402
from movielens.model import build_model  # noqa: E402
from movielens.report import check_replaceable  # noqa: E402
from movielens.sessions import split_sessions  # noqa: E402
from movielens.workspace import MODELS as MODEL_NAMES  # noqa: E402

from kseq.agreement.tables import left_out  # noqa: E402

MOVIES = {
    str(10 * i): Movie(f"Movie {i} (19{50 + i})", genres)
    for i, genres in enumerate(
        [("Drama",), ("Comedy", "Romance"), ("Horror",), ()] * 3, 1
    )
}


def random_ratings(users: int = 12, each: int = 15) -> list[Rating]:
    rng = np.random.default_rng(0)
    return [
        Rating(
            user=f"u{user}",
            movie=str(movie),
            stars=float(rng.integers(1, 6)),
            # Few moments, so that many ratings share one.
            time=int(1000 + 10 * user + rng.integers(0, 40)),
        )
        for user in range(users)
        for movie in rng.choice(list(MOVIES), each)
    ]


def write_recbole(folder: Path, ratings: list[Rating]) -> None:
    inter = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    inter += ["\t".join(map(str, rating)) for rating in ratings]
    item = [
        "item_id:token\tmovie_title:token_seq\trelease_year:token"
        "\tclass:token_seq"
    ]
    for name, movie in MOVIES.items():
        title, year = movie.title.removesuffix(")").split(" (")
        item.append(f"{name}\t{title}\t{year}\t{' '.join(movie.genres)}")
    (folder / "ml-100k.inter").write_text("\n".join(inter) + "\n")
    (folder / "ml-100k.item").write_text("\n".join(item) + "\n")


def write_grouplens(folder: Path, ratings: list[Rating]) -> None:
    lines = [f"{r.user}\t{r.movie}\t{r.stars:g}\t{r.time}\n" for r in ratings]
    (folder / "u.data").write_text("".join(lines))
    items = []
    for name, movie in MOVIES.items():
        flags = [str(int(g in movie.genres)) for g in data.GROUPLENS_GENRES]
        items.append("|".join([name, movie.title, "date", "", "url", *flags]))
    (folder / "u.item").write_text("\n".join(items), encoding="latin-1")


WRITERS = {"recbole": write_recbole, "grouplens": write_grouplens}


@pytest.mark.parametrize("form", WRITERS)
def test_both_forms_are_read_alike(tmp_path: Path, form: str) -> None:
    ratings = random_ratings()
    WRITERS[form](tmp_path, ratings)
    assert data.read(tmp_path) == (ratings, MOVIES)


def test_missing_data_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"ml-100k\.inter.*u\.data.*no such"):
        data.read(tmp_path / "absent")
    (tmp_path / "u.data").touch()
    with pytest.raises(ValueError, match=r"u\.item in .*; found u\.data"):
        data.read(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"recbole==1\.2\.1"):
        data.recbole_folder()


def test_a_sample_holds_the_likes_before_it() -> None:
    a, b, c = list(MOVIES)[:3]
    ratings = [
        Rating("x", c, 5, time=30),
        Rating("x", a, 4, time=10),
        Rating("x", b, 3, time=20),
        Rating("y", a, 5, time=25),
        Rating("x", a, 1, time=30),
    ]
    samples = data.build_samples(ratings, Catalogue.of(MOVIES), steps=2)
    assert samples.user.tolist() == [1, 1, 2, 1, 1]
    assert samples.movie.tolist() == [1, 2, 1, 3, 1]
    assert samples.liked.tolist() == [1, 0, 1, 1, 0]
    # The last two are of one second: neither is in the other's history.
    assert samples.length.tolist() == [0, 1, 0, 1, 1]
    assert samples.history[:, 0].tolist() == [0, 1, 0, 1, 1]
    assert not samples.history[:, 1].any()


def test_only_the_last_likes_are_kept() -> None:
    ratings = [Rating("x", m, 5, time=i) for i, m in enumerate(MOVIES)]
    samples = data.build_samples(ratings, Catalogue.of(MOVIES), steps=3)
    assert samples.history[-1].tolist() == [9, 10, 11]
    assert samples.length[-1] == 3


def test_nothing_leaks_from_the_future() -> None:
    ratings = random_ratings()
    catalogue = Catalogue.of(MOVIES)
    samples = data.build_samples(ratings, catalogue, steps=200)
    likes = [r for r in ratings if r.stars >= data.LIKED_FROM]
    users = sorted({r.user for r in ratings})
    for i in range(len(samples)):
        earlier = sorted(
            catalogue.index[like.movie]
            for like in likes
            if like.user == users[samples.user[i] - 1]
            and like.time < samples.time[i]
        )
        length = samples.length[i]
        assert sorted(samples.history[i, :length]) == earlier
        assert not samples.history[i, length:].any()


def test_the_split_is_by_time() -> None:
    samples = data.build_samples(
        random_ratings(), Catalogue.of(MOVIES), steps=5
    )
    train, valid = data.split_by_time(samples)
    assert len(train) + len(valid) == len(samples)
    assert train.time.max() < valid.time.min()
    at_once = [Rating("x", m, 5, time=1) for m in MOVIES]
    samples = data.build_samples(at_once, Catalogue.of(MOVIES), steps=5)
    with pytest.raises(ValueError, match="one time"):
        data.split_by_time(samples)


def test_popularity_is_of_the_training_part() -> None:
    ratings = [Rating("x", m, 5, time=i) for i, m in enumerate(MOVIES)]
    train, _ = data.split_by_time(
        data.build_samples(ratings, Catalogue.of(MOVIES), steps=5)
    )
    likes = data.popularity(train, len(MOVIES) + 1)["number of likes"]
    assert likes.tolist() == [0, *[1] * len(train), *[0] * 3]


def test_pictured_pairs_share_user_and_history() -> None:
    samples = data.build_samples(
        random_ratings(), Catalogue.of(MOVIES), steps=5
    )
    pairs = data.pairs_to_picture(samples, users=3, seed=0)
    assert len(pairs) == 6
    first, second = pairs[0::2], pairs[1::2]
    np.testing.assert_array_equal(first.user, second.user)
    np.testing.assert_array_equal(first.history, second.history)
    assert (first.liked != second.liked).all()
    assert len(np.unique(first.user)) == 3


def test_sets_of_genres_are_numbered_from_one() -> None:
    catalogue = Catalogue.of(MOVIES)
    sets = [(), ("Comedy", "Romance"), ("Drama",), ("Horror",)]
    assert catalogue.genre_sets[1:] == sets
    assert catalogue.genre_set[:6].tolist() == [0, 3, 2, 4, 1, 3]


def test_each_like_has_another_movie_as_its_negative() -> None:
    ratings = random_ratings()
    catalogue = Catalogue.of(MOVIES)
    samples = data.build_samples(ratings, catalogue, steps=200, seed=3)
    again = data.build_samples(ratings, catalogue, steps=200, seed=3)
    other = data.build_samples(ratings, catalogue, steps=200, seed=4)
    np.testing.assert_array_equal(samples.negatives, again.negatives)
    assert (samples.negatives != other.negatives).any()
    likes = samples.history > 0
    assert (samples.negatives != samples.history)[likes].all()
    # Every movie is drawn, and padding has none.
    drawn = np.unique(samples.negatives[likes])
    assert drawn.tolist() == [*range(1, len(MOVIES) + 1)]
    assert not samples.negatives[~likes].any()


def sessions_of(ids: list[int], times: list[int]) -> tuple[list, int]:
    found, count = split_sessions(
        np.array([ids + [0] * (8 - len(ids))]),
        np.array([times + [0] * (8 - len(ids))]),
        np.array([len(ids)]),
        gap=10,
        sessions=2,
        steps=3,
    )
    return found[0].tolist(), count[0]


@pytest.mark.parametrize(
    ("ids", "times", "sessions", "count"),
    [
        ([], [], [[0, 0, 0], [0, 0, 0]], 0),
        ([5], [900], [[5, 0, 0], [0, 0, 0]], 1),
        # A pause of the gap's length is none yet.
        ([5, 6], [0, 10], [[5, 6, 0], [0, 0, 0]], 1),
        ([5, 6, 7], [0, 11, 12], [[5, 0, 0], [6, 7, 0]], 2),
        # The last sessions, and the last steps of each.
        (
            [1, 2, 3, 4, 5, 6],
            [0, 20, 40, 41, 42, 43],
            [[2, 0, 0], [4, 5, 6]],
            2,
        ),
        ([1, 2, 3, 4, 5], [0, 1, 2, 3, 30], [[2, 3, 4], [5, 0, 0]], 2),
        ([1, 2, 3, 4, 5, 6, 7, 8], [*range(8)], [[6, 7, 8], [0, 0, 0]], 1),
    ],
)
def test_sessions_by_hand(
    ids: list[int], times: list[int], sessions: list, count: int
) -> None:
    assert sessions_of(ids, times) == (sessions, count)


def test_sessions_of_a_batch_are_those_of_each() -> None:
    samples = data.build_samples(
        random_ratings(), Catalogue.of(MOVIES), steps=10
    )
    sizes = {"gap": 5, "sessions": 3, "steps": 2}
    rows = [
        (samples.history[s], samples.history_time[s], samples.length[s])
        for s in (slice(i, i + 1) for i in range(len(samples)))
    ]
    found, count = split_sessions(
        samples.history, samples.history_time, samples.length, **sizes
    )
    alone = [split_sessions(*row, **sizes) for row in rows]
    np.testing.assert_array_equal(found, np.concatenate([a for a, _ in alone]))
    np.testing.assert_array_equal(count, np.concatenate([n for _, n in alone]))
    assert set(count) == {0, 1, 2, 3}


def test_auc_by_hand() -> None:
    liked = np.array([1, 0, 1, 0, 1])
    scores = np.array([0.9, 0.5, 0.5, 0.1, 0.3])
    # Of six pairs: 0.9 wins both, 0.5 ties one and wins one, 0.3 wins one.
    assert metrics.auc(liked, scores) == pytest.approx(4.5 / 6)
    assert metrics.auc(liked, np.zeros(5)) == 0.5
    assert metrics.auc(liked, liked) == 1.0
    assert metrics.auc(liked, -liked) == 0.0
    with pytest.raises(ValueError, match="one kind"):
        metrics.auc(np.ones(3), np.ones(3))


def test_log_loss_by_hand() -> None:
    loss = metrics.log_loss(np.array([1, 0]), np.array([0.5, 0.75]))
    assert loss == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert math.isfinite(metrics.log_loss(np.array([1]), np.array([0.0])))


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "new")
    check_replaceable(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="earlier report"):
        check_replaceable(tmp_path)
    (tmp_path / "report.json").touch()
    check_replaceable(tmp_path)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_each_model_is_given_its_inputs(name: str) -> None:
    catalogue = Catalogue.of(MOVIES)
    samples = data.build_samples(random_ratings(), catalogue, steps=5)[:7]
    model = build_model(name, catalogue.genre_set, steps=5)
    inputs = features(name, samples, catalogue.genre_set)
    assert inputs.keys() == {symbol.name for symbol in model.inputs}
    assert model(inputs).shape == (7, 1)


def test_dsin_is_trained_without_dropout() -> None:
    dsin = build_model("dsin", np.arange(3), steps=5)
    assert dsin.get_layer("bi_lstm").dropout_rate == 0


@pytest.fixture
def backend() -> str:
    name = keras.backend.backend()
    why = left_out(name, "fit", "float32")
    if why is not None:
        pytest.skip(why)
    return name


def run_example(
    *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / "movielens_models.py", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
    )


def test_a_whole_run_leaves_a_report(tmp_path: Path, backend: str) -> None:
    write_recbole(tmp_path, random_ratings())
    out = tmp_path / "reports" / "demo"
    done = run_example(
        *("--model", "din,dien,dsin", "--backends", backend),
        *("--epochs", "1", "--data", tmp_path, "--out", out),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Harper" in done.stdout
    assert not [p for p in out.parent.iterdir() if p != out]

    report = json.loads((out / "report.json").read_text())
    for model in ("din", "dien", "dsin", "mean"):
        assert report["weights"][model] > 0
        (epoch,) = report["training"][model][backend]
        assert 0 <= epoch["auc"] <= 1
        assert math.isfinite(epoch["train_loss"])
        assert math.isfinite(epoch["valid_loss"])
        assert report["loading"][model][backend] <= 1e-5
    assert report["versions"][backend]["keras"] == keras.version()

    page = (out / "index.html").read_text(encoding="utf-8")
    pictures = {p.name for p in out.glob("*.png")}
    assert pictures >= {"auc.png", "loss.png", "attention-1.png"}
    assert all(f'src="{name}"' in page for name in pictures)
    assert "Harper" in page


def test_a_failing_worker_fails_the_run(tmp_path: Path, backend: str) -> None:
    write_grouplens(tmp_path, random_ratings())
    out = tmp_path / "demo"
    out.mkdir()
    (out / "report.json").write_text("{}")
    broken = tmp_path / "broken" / "keras"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('out of order')")
    done = run_example(
        *("--backends", backend, "--data", tmp_path, "--out", out),
        PYTHONPATH=str(broken.parent),
    )
    assert done.returncode == 1
    assert "out of order" in done.stderr
    assert [p.name for p in out.iterdir()] == ["report.json"]


def test_missing_data_end_the_run(tmp_path: Path) -> None:
    done = run_example("--data", tmp_path, "--out", tmp_path / "demo")
    assert done.returncode == 1
    assert "ml-100k.inter with ml-100k.item" in done.stderr
    assert not (tmp_path / "demo").exists()
