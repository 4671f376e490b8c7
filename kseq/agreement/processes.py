"""One pytest process per backend, which survive crashes and hangs of tests."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kseq.agreement.record import (
    CURRENT,
    LOG,
    RUN_FILE,
    Result,
    clear_record,
    load_result,
    result_file,
    save_result,
)
from kseq.checks import check_one_of, raise_invalid

BACKENDS = ("tensorflow", "torch", "jax", "numpy", "openvino")
POLL = 0.05
LINES = 30


def installed(backend: str) -> bool:
    return importlib.util.find_spec(backend) is not None


def check_backends(name: str, backends: Sequence[str]) -> None:
    """Require different backends that are installed."""
    for backend in backends:
        check_one_of(name, backend, BACKENDS)
    if not backends or len(set(backends)) < len(backends):
        raise_invalid(name, "different backends", list(backends))
    for backend in backends:
        if not installed(backend):
            raise_invalid(name, "backends that are installed", backend)


class Processes:
    """The processes, and the results that they have written.

    Args:
        config: pytest's configuration.
        backends: the backends.
        folder: the directory of the records.
        timeout: the seconds after which a test is stopped.
    """

    def __init__(
        self,
        config: Any,
        backends: Sequence[str],
        folder: Path,
        timeout: float,
    ) -> None:
        self.config = config
        self.backends = list(backends)
        self.folder = folder
        self.timeout = timeout
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.started: dict[str, float] = {}

    def start_all(self) -> None:
        for backend in self.backends:
            clear_record(self.folder / backend)
            (self.folder / backend).mkdir(parents=True, exist_ok=True)
            self._start(backend)

    def _start(self, backend: str) -> None:
        folder = self.folder / backend
        arguments = own_arguments(
            [*map(str, self.config.invocation_params.args)]
        )
        (folder / RUN_FILE).unlink(missing_ok=True)
        (folder / CURRENT).unlink(missing_ok=True)
        with (folder / LOG).open("ab") as log:
            self.running[backend] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pytest", *arguments),
                    f"--agreement-record={folder}",
                    f"--agreement-process={os.getpid()}",
                    # The process that compares applies xfail and stops early.
                    *("--runxfail", "--maxfail=0", "-p", "no:xdist"),
                    *("-o", f"cache_dir={folder.parent / 'cache' / backend}"),
                ],
                cwd=self.config.invocation_params.dir,
                env={**os.environ, "KERAS_BACKEND": backend},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started[backend] = time.time()

    def tests(self) -> set[str]:
        """Return the tests that have a result on any backend."""
        return {
            load_result(path).test
            for backend in self.backends
            for path in (self.folder / backend).glob("*.npz")
        }

    def wait_for(self, test: str) -> dict[str, Result]:
        """Return the result of a test on each backend."""
        return {backend: self._wait(backend, test) for backend in self.backends}

    def _wait(self, backend: str, test: str) -> Result:
        path = self.folder / backend / result_file(test)
        while not path.exists():
            ended = self.running[backend].poll()
            # It may have written the result before it ended.
            if ended is not None and not path.exists():
                self._after_end(backend, test, ended)
            elif ended is None:
                self._stop_if_slow()
                time.sleep(POLL)
        return load_result(path)

    def _after_end(self, backend: str, test: str, code: int) -> None:
        """Give a result to the test that ended a process, and start it again.

        If no test was running, the process could not collect `test`.
        """
        current = self._current(backend)
        run = _read(self.folder / backend / RUN_FILE)
        finished = bool(run) and json.loads(run)["finished"]
        if current is None or finished:
            text = f"did not run; exit code {code}\n{self._log(backend)}"
            self._fail(backend, test, text)
            return
        self._fail(backend, current, f"the process ended: {_meaning(code)}")
        self._start(backend)

    def _stop_if_slow(self) -> None:
        for backend, process in self.running.items():
            path = self.folder / backend / CURRENT
            since = self.started[backend]
            with contextlib.suppress(FileNotFoundError):
                since = path.stat().st_mtime
            slow = time.time() - since > self.timeout
            if not slow or process.poll() is not None:
                continue
            current = self._current(backend)
            _kill(process)
            if current is not None:  # otherwise it does not collect its tests
                text = f"no result after {self.timeout:g} seconds"
                self._fail(backend, current, text)
                self._start(backend)

    def _current(self, backend: str) -> str | None:
        """Return the test that is running, if any."""
        test = _read(self.folder / backend / CURRENT)
        if not test or (self.folder / backend / result_file(test)).exists():
            return None
        return test

    def _fail(self, backend: str, test: str, text: str) -> None:
        result = Result(test, outcome="failed", text=text)
        save_result(self.folder / backend, result)

    def _log(self, backend: str) -> str:
        text = _read(self.folder / backend / LOG)
        return "\n".join(text.splitlines()[-LINES:])

    def stop(self) -> None:
        """Stop all processes."""
        for process in self.running.values():
            if process.poll() is None:
                _kill(process)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _meaning(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


# Options of one process: files that it writes, and what the main process does.
DROPPED = (
    "--agreement",
    "--agreement-record",
    "--agreement-timeout",
    "--junitxml",
    "--junit-xml",
    "--basetemp",
    "--cov-report",
    "--maxfail",
    "-n",
    "--numprocesses",
)
FLAGS = ("--agreement-github", "--cov", "-x", "--exitfirst")
CHOICES = ("--lf", "--last-failed", "--ff", "--failed-first", "--sw", "--nf")


def own_arguments(arguments: Sequence[str]) -> list[str]:
    """Return pytest's arguments without those of the main process."""
    kept = []
    given = iter(arguments)
    for argument in given:
        name, separator, _ = argument.partition("=")
        if name in DROPPED:
            if not separator:
                next(given, None)
        elif name not in FLAGS and name not in CHOICES:
            kept.append(argument)
    return kept
