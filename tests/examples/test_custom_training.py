"""The training loops of one's own: against `fit`, and against each other."""

import copy
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from clicks import worker  # noqa: E402
from clicks.data import ITEMS, KINDS, batches, make_clicks  # noqa: E402
from clicks.model import start_model  # noqa: E402
from custom_training import compare, describe  # noqa: E402

from kseq.agreement.tables import left_out  # noqa: E402


@pytest.fixture
def backend() -> str:
    name = keras.backend.backend()
    why = left_out(name, "fit", "float32")
    if why is not None:
        pytest.skip(why)
    return name


def test_most_clicks_are_on_what_the_history_has() -> None:
    x, y = make_clicks(1000, seed=0)
    alike = (x["history"] % KINDS == x["item"] % KINDS) & (x["history"] > 0)
    says = alike.any(axis=1, keepdims=True)
    assert 0.85 < np.mean(says == y) < 0.95
    assert 0.3 < y.mean() < 0.7
    assert (x["history"] == 0).all(axis=1).any()  # an empty history


def test_the_loop_does_what_fit_does(backend: str) -> None:
    clicks = make_clicks(60, seed=0)
    loss = keras.losses.BinaryCrossentropy()

    fitted = start_model(ITEMS)
    fitted.compile(keras.optimizers.Adam(1e-2), loss)
    fitted.fit(*clicks, batch_size=20, epochs=2, shuffle=False, verbose=0)

    looped = start_model(ITEMS)
    before = [keras.ops.convert_to_numpy(w) for w in looped.weights]
    loop = importlib.import_module(f"clicks.{backend}_loop")
    optimizer = keras.optimizers.Adam(1e-2)
    steps = 2 * list(batches(clicks, 20))
    losses = loop.train(looped, optimizer, loss, steps)

    assert len(losses) == 6
    assert int(optimizer.iterations) == 6
    for start, weight, expected in zip(
        before, looped.weights, fitted.weights, strict=True
    ):
        value = keras.ops.convert_to_numpy(weight)
        assert (value != start).any(), weight.path
        np.testing.assert_allclose(
            value,
            keras.ops.convert_to_numpy(expected),
            atol=1e-5,
            err_msg=weight.path,
        )


def test_the_model_is_saved_whole(tmp_path: Path) -> None:
    model = start_model(ITEMS, dim=4)
    x, _ = make_clicks(5, seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_a_whole_run(backend: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, EXAMPLES / "custom_training.py"),
            *("--backends", backend),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after 100 steps" in done.stdout
    missing = [m for m in worker.NEEDED_BY_SEARCH if not worker.there(m)]
    if missing:
        assert f"no search without {' and '.join(missing)}" in done.stdout
        pytest.skip(f"the search needs {' and '.join(missing)}")
    assert done.stdout.count("trial: dim ") == 3


def test_what_differs_is_seen() -> None:
    result = {
        "losses": [0.7, 0.5],
        "predictions": [0.1, 0.9],
        "weights": [1.0, 2.0, 3.0],
        "search": [{"dim": 4, "loss": 0.6}],
        "missing": [],
        "seconds": 1.0,
        "accuracy": 0.5,
    }
    same = compare({"torch": result, "jax": copy.deepcopy(result)})
    assert [difference for *_, difference in same] == [0, 0, 0, 0]
    for key in ("losses", "predictions", "weights"):
        other = copy.deepcopy(result)
        other[key][-1] += 0.5
        by_name = {
            what: difference
            for what, _, difference in compare({"torch": result, "jax": other})
        }
        assert by_name.pop(f"the {key}") == pytest.approx(0.5)
        assert not any(by_name.values())
    other = {**result, "search": []}
    assert len([*compare({"torch": result, "jax": other})]) == 3
    assert "trial: dim 4: loss 0.600000" in describe("jax", result)
