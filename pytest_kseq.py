"""The pytest plugin of `kseq.agreement`: options, marker and fixture.

A module outside of kseq, since importing kseq imports Keras and its backend,
which pytest must not do in projects that do not use the fixture.
"""

import argparse
import os
import sys

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("agreement", "agreement between Keras backends")
    group.addoption(
        "--agreement",
        metavar="BACKENDS",
        help="compute the tests that use the fixture `agreement` on each of "
        "these backends, such as tensorflow,torch,jax, and compare the results",
    )
    group.addoption(
        "--agreement-record",
        metavar="DIRECTORY",
        help="save the results on this backend, for `kseq-agreement compare`",
    )
    group.addoption(
        "--agreement-timeout",
        metavar="SECONDS",
        type=float,
        default=600.0,
        help="stop a test on a backend after this time (default: 600)",
    )
    group.addoption(
        "--agreement-github",
        action="store_true",
        help="annotate failures in GitHub Actions and write a job summary",
    )
    # Set for the processes that --agreement starts.
    group.addoption("--agreement-process", type=int, help=argparse.SUPPRESS)


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    backends = early_config.known_args_namespace.agreement
    if backends:
        # Tests are collected, but not computed, in this process.
        os.environ.setdefault("KERAS_BACKEND", backends.split(",")[0])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "agreement_known(backend, reason, kinds, dtypes): the backend is known "
        "to differ from the others; fails when it does not differ any more",
    )
    option = config.option
    if option.agreement or option.agreement_record:
        from kseq.agreement import plugin

        config.pluginmanager.register(plugin.make(config), "kseq-agreement")


@pytest.fixture
def agreement(request: pytest.FixtureRequest) -> object:
    """Compute and check calls of layers and functions: `kseq.agreement`."""
    from kseq.agreement import plugin

    return plugin.make_fixture(request)


def main() -> int:
    """Run `kseq-agreement`; its help does not import Keras."""
    parser = argparse.ArgumentParser(
        prog="kseq-agreement",
        description="Compare the results that `pytest --agreement-record` "
        "saved on several backends.",
        epilog="Exit code: 0 if the runs agree, 1 if they do not, 2 on errors.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    compare = commands.add_parser("compare", help="compare records")
    compare.add_argument(
        "folder", help="directory with one record, a directory, per run"
    )
    compare.add_argument(
        "--runs",
        help="required runs, such as tensorflow,torch,jax (default: all found)",
    )
    compare.add_argument(
        "--out", help="directory for reports (default: folder)"
    )
    compare.add_argument(
        "--config",
        default="pyproject.toml",
        help="file with known differences in [tool.kseq.agreement]",
    )
    compare.add_argument(
        "--github", action="store_true", help="annotate failures"
    )
    options = parser.parse_args()
    try:
        from kseq.agreement.command import compare_command
        from kseq.scripts import exit_code
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return exit_code(lambda: compare_command(options))


if __name__ == "__main__":
    raise SystemExit(main())
