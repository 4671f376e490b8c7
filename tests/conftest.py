import os
from pathlib import Path

import keras
import pytest

from kseq.agreement import probes
from kseq.agreement.record import fingerprint, new_record
from kseq.agreement.run import sources
from tests.cases import CASES

HERE = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption(
        "--record",
        type=Path,
        help="write the results of this run to a record, a .npz file",
    )
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
    path = config.getoption("--record")
    chosen = config.args_source is config.ArgsSource.ARGS
    if path is not None and not chosen and not config.option.keyword:
        # Whatever happens now, an older run's record must not pass for this's.
        # A few tests leave it as it is.
        path.unlink(missing_ok=True)
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


def pytest_report_header():
    return (
        f"keras {keras.__version__}, backend {keras.backend.backend()} on "
        f"{probes.device()}"
    )


@pytest.fixture(scope="session")
def record(request):
    """The record of this run, written at its end where --record asks."""
    path = request.config.getoption("--record")
    made = new_record(
        path.stem if path else os.environ.get("TOX_ENV_NAME", "run"),
        probes.device(),
        fingerprint(
            sources(
                HERE, [HERE / "cases.py", *(HERE / "reference").glob("*.py")]
            )
        ),
    )
    yield made
    computed = {key.rsplit("/", 1)[0] for key in made.values}
    made.run.finished = computed | made.left_out.keys() == {
        f"{case.name}/{dtype}/{kind}"
        for case in CASES
        for dtype in case.dtypes
        for kind in case.kinds
    }
    if path is not None:
        made.save(path)
