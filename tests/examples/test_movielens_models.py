"""The MovieLens example: its samples, sessions and metrics, and a small run."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from movielens import data, features  # noqa: E402
from movielens.data import Catalogue, Movie, Rating  # noqa: E402

from tests.support import skip_left_out  # noqa: E402

pytestmark = pytest.mark.once

GENRES = [("Drama",), ("Comedy", "Romance"), ("Horror",), ()]
MOVIES = {
    str(10 * i): Movie(f"Movie {i} (19{50 + i})", genres)
    for i, genres in enumerate(3 * GENRES, 1)
}
CATALOGUE = Catalogue.from_movies(MOVIES)
RNG = np.random.default_rng(0)
# The times are few, so that many ratings share one.
RATINGS = [
    Rating(
        f"u{user}",
        str(RNG.choice([*MOVIES])),
        float(RNG.integers(1, 6)),
        int(RNG.integers(1000, 1040) + 10 * user),
    )
    for user in range(12)
    for _ in range(15)
]


def write_recbole(folder):
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    rows += ["\t".join(map(str, rating)) for rating in RATINGS]
    (folder / "ml-100k.inter").write_text("\n".join(rows) + "\n")
    rows = ["item_id:token\tmovie_title:token_seq\tyear:token\tclass:token_seq"]
    for name, (title, genres) in MOVIES.items():
        title, year = title.removesuffix(")").split(" (")
        rows.append(f"{name}\t{title}\t{year}\t{' '.join(genres)}")
    (folder / "ml-100k.item").write_text("\n".join(rows) + "\n")


def write_grouplens(folder):
    rows = [f"{r.user}\t{r.movie}\t{r.stars:g}\t{r.time}\n" for r in RATINGS]
    (folder / "u.data").write_text("".join(rows))
    rows = []
    for name, movie in MOVIES.items():
        flags = [str(int(g in movie.genres)) for g in data.GROUPLENS_GENRES]
        rows.append("|".join([name, movie.title, "date", "", "url", *flags]))
    (folder / "u.item").write_text("\n".join(rows), encoding="latin-1")


@pytest.mark.parametrize("write", [write_recbole, write_grouplens])
def test_both_formats_are_read(tmp_path, write):
    write(tmp_path)
    assert data.read(tmp_path) == (RATINGS, MOVIES)


def test_last_likes_are_left_out():
    samples = data.build_samples(RATINGS, CATALOGUE, steps=5)
    parts = data.leave_last_out(samples, popularity=1, negatives=3, seed=0)
    test, valid, train = parts["test"], parts["valid"], parts["train"]
    for user in np.unique(test.user):
        times = [part.time[part.user == user] for part in (train, valid, test)]
        assert times[0].max() <= times[1].min() <= times[2].min()
        assert parts["test"].label[parts["test"].user == user].sum() == 1
    assert len(test) == 4 * test.label.sum()
    rated = {(rating.user, CATALOGUE.index[rating.movie]) for rating in RATINGS}
    negatives = test[test.label == 0]
    pairs = zip(negatives.user, negatives.inputs["movie"], strict=True)
    assert not rated & {*pairs}
    shown, seen = data.users_to_show(samples, test, 3, len(MOVIES) + 1, 0)
    assert len({*shown.user}) == 3
    for user, movie, row in zip(
        shown.user, shown.inputs["movie"], seen, strict=True
    ):
        assert {*np.flatnonzero(row), movie} == {
            m for u, m in rated if u == user
        }


def test_changed_histories():
    inputs = data.build_samples(RATINGS, CATALOGUE, steps=5).inputs
    shuffled = features.shuffled_history(inputs)
    assert (shuffled["hist_movie"] != inputs["hist_movie"]).any()
    for name in ("hist_movie", "sess_0_genres"):
        sets = (np.sort(x[name], axis=1) for x in (shuffled, inputs))
        np.testing.assert_array_equal(*sets)
        padding = (x[name] == 0 for x in (shuffled, inputs))
        np.testing.assert_array_equal(*padding)
    other = features.another_users_history(inputs, 2)
    np.testing.assert_array_equal(other["movie"], inputs["movie"])
    for name in ("hist_movie", "seq_length"):
        np.testing.assert_array_equal(other[name][2:], inputs[name][:-2])


def test_run_writes_a_report(tmp_path):
    skip_left_out("fit")
    write_recbole(tmp_path)
    out = tmp_path / "reports" / "demo.html"
    models, backend = ("din",), keras.backend.backend()
    options = {"model": ",".join(models), "backends": backend, "epochs": "1"}
    options |= {"seeds": "2", "data": tmp_path, "out": out}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "movielens_models.py"]
        + [x for name, value in options.items() for x in (f"--{name}", value)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.with_suffix(".json").read_text())
    runs = [(run["model"], run["seed"]) for run in report["runs"]]
    assert runs == [(m, seed) for seed in (1, 2) for m in (*models, "mean")]
    for run in report["runs"]:
        assert 0 <= run["tested"]["gauc"] <= 1
        assert 0 <= run["epochs"][0]["val_gauc"] <= 1
    assert report["loading"]["din"][backend] <= 1e-5
    page = out.read_text(encoding="utf-8")
    assert page.count("<img") == 4
    assert "liked next" in page
    assert "DIN ranks a user's next movie with gAUC" in done.stdout
