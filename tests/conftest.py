import importlib

import keras
import pytest
from hypothesis import HealthCheck, Phase, settings

from kseq.agreement import probes

settings.register_profile(
    "few",
    max_examples=30,
    derandomize=True,  # the same examples in every run
    database=None,
    deadline=None,
    phases=(Phase.generate,),  # without shrinking: examples are small
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "many", settings.get_profile("few"), max_examples=1000, derandomize=False
)
settings.load_profile("few")


def pytest_addoption(parser):
    parser.addoption(
        "--require-device",
        choices=("cpu", "gpu"),
        help="fail at once unless the backend computes on this device",
    )
    parser.addoption(
        "--once",
        action="store_true",
        help="also run the tests marked once, which do not depend on the "
        "backend; without this option they run on torch only",
    )


def pytest_configure(config):
    required = config.getoption("--require-device")
    if required is not None and probes.device() != required:
        pytest.exit(
            f"--require-device {required}: {keras.backend.backend()} computes "
            f"on {probes.device()}",
            returncode=4,
        )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--once") or keras.backend.backend() == "torch":
        return
    once = [item for item in items if item.get_closest_marker("once")]
    items[:] = [item for item in items if not item.get_closest_marker("once")]
    config.hook.pytest_deselected(items=once)


def pytest_runtest_setup(item):
    """JAX compiles faster with few optimizations; agreement needs all."""
    if keras.backend.backend() == "jax":
        jax = importlib.import_module("jax")
        few = "agreement" not in item.path.parts
        jax.config.update("jax_disable_most_optimizations", few)


def pytest_report_header():
    return (
        f"keras {keras.__version__}, backend {keras.backend.backend()} on "
        f"{probes.device()}"
    )
