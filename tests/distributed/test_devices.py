"""Training on several devices gives what training on one gives.

A process for each backend, since devices are chosen before a backend starts.
"""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out, tolerance
from tests.distributed import problem

BACKEND = keras.backend.backend()
ROOT = Path(__file__).parents[2]
STATISTICS = ("moving_mean", "moving_variance")
LIMIT = tolerance("fit", "float32").limit
WHY = left_out(BACKEND, "fit", "float32")

pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))


def only(*backends: str) -> Any:
    return pytest.mark.skipif(
        BACKEND not in backends, reason=f"of {' and '.join(backends)}"
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The arrays of each run, by name."""
    file = tmp_path_factory.mktemp("devices") / "runs.npz"
    start = [sys.executable]
    if BACKEND == "torch":
        start += ["-m", "torch.distributed.run", "--standalone"]
        start += ["--nproc-per-node", "2"]
    done = subprocess.run(
        [*start, f"tests/distributed/{BACKEND}_devices.py", str(file)],
        cwd=ROOT,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu",
            "KERAS_BACKEND": BACKEND,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), os.environ.get("PYTHONPATH", "")]
            ),
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = defaultdict(dict)
    with np.load(file) as arrays:
        for key, value in arrays.items():
            run, name = key.split(":", 1)
            found[run][name] = value
    return dict(found)


def differences(found: Any, expected: Any) -> dict[str, float]:
    """Of each array, in units of its largest value."""
    assert found.keys() == expected.keys()
    return {
        name: float(np.abs(found[name] - x).max() / np.abs(x).max())
        for name, x in expected.items()
    }


def assert_alike(found: Any, expected: Any) -> None:
    # Not `>`: a NaN must not pass.
    far = {
        name: by
        for name, by in differences(found, expected).items()
        if not by <= LIMIT
    }
    assert not far


def without(result: Any, *endings: str) -> Any:
    return {k: x for k, x in result.items() if not k.endswith(endings)}


def compared(runs: Any) -> list[str]:
    names = [*problem.BY_EXAMPLE, problem.BY_STEPS]
    return [name for name in names if f"{name} several" in runs]


def test_several_devices_train_as_one_does(runs: Any) -> None:
    assert "DIN" in compared(runs)
    for name in compared(runs):
        one, several = runs[f"{name} one"], runs[f"{name} several"]
        assert_alike(several, one)
        assert one["losses"][-1] < one["losses"][1]
        assert np.isfinite(several["losses"]).all()


@only("tensorflow", "torch")
def test_devices_have_the_same_weights(runs: Any) -> None:
    for name in compared(runs):
        first, second = runs[f"{name} first"], runs[f"{name} second"]
        assert first.keys() == second.keys()
        for path, x in first.items():
            np.testing.assert_array_equal(x, second[path], err_msg=path)


@only("jax")
def test_tables_are_split(runs: Any) -> None:
    assert_alike(runs["split several"], runs["DIN one"])
    shapes = {path: tuple(x) for path, x in runs["parts"].items()}
    whole = {path: x.shape for path, x in runs["DIN one"].items()}
    for path, (rows, columns) in {
        "sparse_seq_emb_hist_item/embeddings": (2, 1),
        "sparse_seq_emb_tags/embeddings": (1, 2),
        "dnn/kernel0": (1, 2),
    }.items():
        height, width = whole.pop(path)
        assert shapes.pop(path) == (height // rows, width // columns)
    # Whatever the layout does not name is whole on each device.
    assert shapes == {path: whole[path] for path in shapes}


@only("jax")
def test_a_batch_that_cannot_be_divided_is_refused(runs: Any) -> None:
    assert str(runs["refused"]["error"]).startswith("IndivisibleError")


@only("jax")
def test_a_batch_is_filled_up_with_rows_of_weight_zero(runs: Any) -> None:
    # Keras's mean loss of an epoch counts rows, also those.
    assert_alike(
        without(runs["uneven several"], "losses"),
        without(runs["uneven one"], "losses"),
    )


@only("jax")
def test_statistics_are_of_the_whole_batch(runs: Any) -> None:
    assert_alike(runs["statistics several"], runs["statistics one"])


@only("tensorflow", "torch")
def test_statistics_are_each_device_s_own(runs: Any) -> None:
    far = differences(runs["statistics first"], runs["statistics second"])
    own = {path for path, by in far.items() if by > 0}
    assert own == {path for path in far if path.endswith(STATISTICS)}


@only("tensorflow")
def test_the_rows_of_an_uneven_batch_count_otherwise(runs: Any) -> None:
    # A device without a row has a loss of 0 in the mean of the devices.
    far = differences(runs["uneven first"], runs["uneven second"])
    assert set(far.values()) == {0.0}
    far = differences(runs["uneven several"], runs["uneven one"])
    assert LIMIT < max(far.values()) < 0.5
