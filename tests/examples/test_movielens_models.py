"""The MovieLens example: its samples, sessions and metrics, and a small run."""

import json
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

from tests.layers.checks import skip_left_out  # noqa: E402

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


def test_pairs_to_plot_differ_in_the_candidate_only():
    samples = data.build_samples(RATINGS, CATALOGUE, steps=5)
    pairs = data.pairs_to_plot(samples, users=3, seed=0)
    first, second = pairs[0::2], pairs[1::2]
    assert len(first) == 3
    np.testing.assert_array_equal(first.user, second.user)
    assert (first.label != second.label).all()
    for name in {*first.inputs} - {"movie", "genres"}:
        np.testing.assert_array_equal(first.inputs[name], second.inputs[name])


def test_metrics():
    liked = np.array([1, 0, 1, 0, 1])
    scores = np.array([0.9, 0.5, 0.5, 0.1, 0.3])
    # Of six pairs: 0.9 wins both, 0.5 ties one and wins one, 0.3 wins one.
    assert metrics.auc(liked, scores) == pytest.approx(4.5 / 6)
    with pytest.raises(ValueError, match="liked: expected both"):
        metrics.auc(np.ones(3), np.ones(3))
    loss = metrics.log_loss(np.array([1, 0]), np.array([0.5, 0.75]))
    assert loss == pytest.approx(np.log(8) / 2)


def run_example(*arguments, **environment):
    return subprocess.run(
        [sys.executable, EXAMPLES / "movielens_models.py", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | environment,
    )


BACKEND = keras.backend.backend()


def test_run_writes_a_report(tmp_path):
    skip_left_out("fit")
    write_recbole(tmp_path)
    out = tmp_path / "reports" / "demo"
    models = ("din", "dsin")
    done = run_example(
        *("--model", ",".join(models), "--backends", BACKEND),
        *("--epochs", "1", "--data", tmp_path, "--out", out),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    for model in (*models, "mean"):
        (epoch,) = report["training"][model][BACKEND]
        assert 0 <= epoch["auc"] <= 1
        assert np.isfinite(epoch["valid_loss"])
        assert report["loading"][model][BACKEND] <= 1e-5
    page = (out / "index.html").read_text(encoding="utf-8")
    plots = {path.name for path in out.glob("*.png")}
    assert plots >= {"auc.png", "loss.png", "attention-1.png"}
    assert all(f'src="{name}"' in page for name in plots)


def test_failing_worker_keeps_the_earlier_report(tmp_path):
    write_grouplens(tmp_path)
    out = tmp_path / "demo"
    out.mkdir()
    (out / "report.json").write_text("{}")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'movielens.worker' in sys.orig_argv: sys.exit('on purpose')\n"
    )
    done = run_example(
        *("--backends", "torch", "--data", tmp_path, "--out", out),
        PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]),
    )
    assert done.returncode == 1
    assert "on purpose" in done.stderr
    assert [p.name for p in out.iterdir()] == ["report.json"]
