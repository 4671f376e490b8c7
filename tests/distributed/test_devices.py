"""Training on several devices gives the losses and weights of one."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out, tolerance

BACKEND = keras.backend.backend()
WHY_NOT = left_out(BACKEND, "fit", "float32")
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
LIMIT = tolerance("fit", "float32").limit
# The number of devices is set before a backend is imported.
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
DEVICES = {
    "JAX_NUM_CPU_DEVICES": "4",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "-1",
    "OMP_NUM_THREADS": "1",
    # Compilation takes most of the time; one device has the same.
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    file = tmp_path_factory.mktemp("devices") / "results.npz"
    launcher = TORCHRUN if BACKEND == "torch" else []
    module = f"tests.distributed.{BACKEND}_devices"
    done = subprocess.run(
        [sys.executable, "-m", *launcher, module, file],
        cwd=Path(__file__).parents[2],
        env=os.environ | DEVICES,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    with np.load(file) as arrays:
        for key, value in arrays.items():
            run, _, name = key.partition(":")
            found.setdefault(run, {})[name] = value
    return found


def assert_equal(one, several):
    assert one.keys() == several.keys()
    for name, value in one.items():
        difference = np.abs(value - several[name]).max()
        assert difference <= LIMIT * np.abs(value).max(), name


def differing(one, other):
    return {n for n in one if not np.array_equal(one[n], other[n])}


def only(*backends):
    reason = f"runs on {' and '.join(backends)} only"
    return pytest.mark.skipif(BACKEND not in backends, reason=reason)


def test_losses_and_weights_equal_those_of_one_device(results):
    """On JAX with statistics, which are those of the whole batch."""
    one = results["one"]
    # Means of two: PyTorch's losses alternate between two batches.
    assert one["losses"][-2:].mean() < one["losses"][:2].mean()
    assert_equal(one, results["several"])


@only("tensorflow", "torch")
def test_replicas_differ_in_statistics_only(results):
    assert not differing(results["first"], results["second"])
    first, second = results["statistics first"], results["statistics second"]
    apart = differing(first, second)
    assert apart
    assert all("/moving_" in path for path in apart)
    assert all(np.isfinite(value).all() for value in second.values())


@only("jax")
def test_sharded_tables_train_equally(results):
    assert_equal(results["one"], results["split several"])
    parts = {path: tuple(shape) for path, shape in results["parts"].items()}
    assert parts["sparse_seq_emb_hist_item/embeddings"] == (6, 5)  # of (12, 5)
    assert parts["sparse_seq_emb_tags/embeddings"] == (7, 1)  # of (7, 2)
    assert parts["sparse_emb_user/embeddings"] == (6, 3)  # whole


@only("jax")
def test_rows_of_weight_0_fill_a_batch(results):
    one, several = dict(results["uneven one"]), dict(results["uneven several"])
    # Keras weights a batch's loss by its rows, including those of weight 0.
    del one["losses"], several["losses"]
    assert_equal(one, several)


@only("tensorflow")
def test_replica_without_rows_trains_equally(results):
    first, second = results["uneven first"], results["uneven second"]
    assert not differing(first, second)
    for value in results["uneven several"].values():
        assert np.isfinite(value).all()
