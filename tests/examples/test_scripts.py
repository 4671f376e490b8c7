"""Runs the small examples: from_deepctr, custom loops, devices, large data."""

import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from clicks import worker  # noqa: E402
from clicks.data import ITEMS, batches, make_clicks  # noqa: E402
from clicks.model import start_model  # noqa: E402
from large_data import make_model, open_log, write_log  # noqa: E402

from kseq.agreement.tables import left_out  # noqa: E402

BACKEND = keras.backend.backend()
NO_FIT = left_out(BACKEND, "fit", "float32")
trains = pytest.mark.skipif(NO_FIT is not None, reason=str(NO_FIT))


ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "KERAS_BACKEND": BACKEND,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(EXAMPLES.parent),
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
}


def run_script(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.once
@trains
@pytest.mark.parametrize("name", ["din", "dien", "dsin"])
def test_script_from_deepctr(name):
    script = runpy.run_path(str(EXAMPLES / "from_deepctr" / f"{name}.py"))
    for losses in script["history"].history.values():
        assert np.all(np.isfinite(losses))
    predictions = script["model"].predict(script["x"], verbose=0)
    assert predictions.shape == (3, 1)
    assert np.all((predictions > 0) & (predictions < 1))


@trains
def test_custom_loop_gives_the_weights_of_fit():
    clicks = make_clicks(60, seed=0)
    loss = keras.losses.BinaryCrossentropy()

    fitted = start_model(ITEMS)
    fitted.compile(keras.optimizers.Adam(1e-2), loss)
    fitted.fit(*clicks, batch_size=20, epochs=2, shuffle=False, verbose=0)

    looped = start_model(ITEMS)
    before = looped.get_weights()
    loop = importlib.import_module(f"clicks.{BACKEND}_loop")
    optimizer = keras.optimizers.Adam(1e-2)
    losses = loop.train(looped, optimizer, loss, 2 * list(batches(clicks, 20)))

    assert len(losses) == 6
    assert int(optimizer.iterations) == 6
    found = before, looped.get_weights(), fitted.get_weights()
    for start, actual, expected in zip(*found, strict=True):
        assert (actual != start).any()
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.once
@trains
def test_custom_training_script():
    script = EXAMPLES / "custom_training.py"
    output = run_script(script, "--backends", BACKEND)
    assert "after 100 steps" in output
    missing = [m for m in worker.NEEDED_BY_SEARCH if not worker.is_installed(m)]
    if missing:
        assert f"no search without {' and '.join(missing)}" in output
    else:
        assert output.count("trial: dim ") == 3


DISTRIBUTED = {
    "jax": (["jax_din.py"], "(20000, 16), on each device (10000, 16)"),
    "tensorflow": (["tensorflow_din.py", "--virtual", "2"], "2 devices"),
    "torch": (["torch_din.py"], "2 processes"),
}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
SHORT = ["--samples", "640", "--batch", "64", "--epochs", "4"]


def run_distributed(launcher, script, *options):
    path = EXAMPLES / "distributed" / script
    output = run_script(*launcher, path, *options, *SHORT)
    losses = [float(x) for x in re.findall(r"loss:? (\d[\d.e-]+)", output)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    return output


@trains
def test_distributed_script_trains():
    script, expected = DISTRIBUTED[BACKEND]
    launcher = TORCHRUN if BACKEND == "torch" else []
    assert expected in run_distributed(launcher, *script)


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="keras-rs supports only this and JAX"
)
def test_large_tables_train():
    pytest.importorskip("keras_rs", reason="the script needs keras-rs")
    run_distributed([], "large_tables.py")


@pytest.mark.once
@trains
def test_log_on_disk_trains(tmp_path):
    write_log(tmp_path, rows=400)
    log = open_log(tmp_path, batch=40)
    history = make_model().fit(log, epochs=2, verbose=0)
    first, last = history.history["loss"]
    assert last < first
