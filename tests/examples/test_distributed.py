"""The scripts for several devices, as their docstrings start them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kseq.agreement.tables import left_out

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "distributed"
BACKEND = keras.backend.backend()
WHY = left_out(BACKEND, "fit", "float32")
LAUNCHER = {
    "torch": [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
}
VIRTUAL = {"tensorflow": ["--virtual", "2"]}
SAYS = {
    "jax": "(20000, 16), on a device (10000, 16)",
    "tensorflow": "2 devices",
    "torch": "2 processes",
}


def losses_of(arguments: list[str]) -> tuple[list[float], str]:
    """The losses of 4 epochs, and what the script said."""
    sizes = ["--samples", "640", "--batch", "64", "--epochs", "4"]
    done = subprocess.run(
        [sys.executable, *arguments, *sizes],
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
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [float(x) for x in re.findall(r"loss:? (\d[\d.e-]+)", done.stdout)]
    assert len(losses) == 4
    return losses, done.stdout


@pytest.mark.skipif(WHY is not None, reason=str(WHY))
def test_it_trains() -> None:
    losses, said = losses_of(
        [
            *LAUNCHER.get(BACKEND, []),
            str(EXAMPLES / f"{BACKEND}_din.py"),
            *VIRTUAL.get(BACKEND, []),
        ]
    )
    assert SAYS[BACKEND] in said
    assert losses[-1] < losses[0]


@pytest.mark.skipif(
    BACKEND not in ("jax", "tensorflow"), reason="keras-rs has them for these"
)
def test_large_tables_train() -> None:
    if importlib.util.find_spec("keras_rs") is None:
        pytest.skip("keras-rs is not installed")
    losses, _ = losses_of([str(EXAMPLES / "large_tables.py")])
    assert losses[-1] < losses[0]
