"""What the pytest plugin does when a test uses the fixture `agreement`."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from kseq.agreement import probes
from kseq.agreement.compare import Comparison, compare_test, gone
from kseq.agreement.fixture import Agreement
from kseq.agreement.github import annotate
from kseq.agreement.known import known_from, settings_of
from kseq.agreement.processes import Processes, check_backends
from kseq.agreement.record import (
    CURRENT,
    Result,
    Run,
    clear_record,
    fingerprint,
    new_run,
    result_file,
    save_result,
    save_run,
)
from kseq.agreement.script import write_script
from kseq.checks import raise_invalid

FIXTURE = "agreement"
# Results of another version of kseq must not be compared.
KSEQ = sorted(Path(__file__).parents[1].rglob("*.py"))
MARKER = "agreement_known"
SCRIPTS = ".agreement"


def uses_fixture(item: Any) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


def markers_of(item: Any) -> list[dict[str, Any]]:
    """Return the arguments of a test's `agreement_known` markers."""
    found = []
    for marker in item.iter_markers(MARKER):
        if marker.args:
            raise_invalid(MARKER, "keyword arguments", marker.args)
        known_from(marker.kwargs)
        found.append(dict(marker.kwargs))
    return found


def all_skipped(results: Mapping[str, Result]) -> bool:
    return all(result.outcome == "skipped" for result in results.values())


def check_markers(items: Sequence[Any]) -> None:
    """Report an invalid marker before any test runs."""
    for item in items:
        try:
            markers_of(item)
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from error


def make_fixture(request: Any) -> Agreement:
    """Create the fixture's value for a test."""
    config, item = request.config, request.node
    known, explain = settings_of(config.rootpath / "pyproject.toml")
    known = [k for k in known if k.matches_test(item.nodeid)]
    known += [known_from(table) for table in markers_of(item)]
    backend = keras.backend.backend()
    value = Agreement(
        item.nodeid,
        explain=explain,
        raises=config.option.agreement_process is None,
        known=[k for k in known if k.backend == backend],
    )
    item.stash[_VALUE] = value
    return value


_VALUE = pytest.StashKey[Agreement]()


def make(config: Any) -> Any:
    """Create the plugin that the options ask for."""
    if config.option.agreement and not config.option.agreement_process:
        return Comparing(config)
    return Recording(config)


class Recording:
    """Save the results of each test that uses the fixture."""

    def __init__(self, config: Any) -> None:
        self.folder = Path(config.option.agreement_record).absolute()
        self.run: Run | None = None
        self.parent = config.option.agreement_process
        if self.parent:
            watch = threading.Thread(
                target=_end_with, args=(self.parent,), daemon=True
            )
            watch.start()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: Any, items: list[Any]
    ) -> None:
        if config.option.collectonly:
            return
        using = [item for item in items if uses_fixture(item)]
        check_markers(using)
        if not self.parent:
            clear_record(self.folder)
        else:
            # After a crash, the tests before it have their results.
            left = [
                item
                for item in using
                if not (self.folder / result_file(item.nodeid)).exists()
            ]
            out = [item for item in items if item not in set(left)]
            config.hook.pytest_deselected(items=out)
            items[:] = left
        run = new_run(
            self.folder.name,
            keras.backend.backend(),
            probes.device(),
            fingerprint([*(Path(item.path) for item in using), *KSEQ]),
        )
        self.run = run
        save_run(self.folder, run)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        if not uses_fixture(item):
            return (yield)
        if self.parent:
            current = self.folder / CURRENT
            current.write_text(item.nodeid, encoding="utf-8")
        file, line, _ = item.location
        self.result = Result(item.nodeid, file, (line or 0) + 1)
        self.result.known = markers_of(item)
        try:
            return (yield)
        finally:
            value = item.stash.get(_VALUE, None)
            self.result.entries = value.entries if value else []
            save_result(self.folder, self.result)

    def pytest_runtest_logreport(self, report: Any) -> None:
        result = getattr(self, "result", None)
        if result is None or result.test != report.nodeid or report.passed:
            return
        # Expected failures too: with --agreement, processes do not have them.
        result.outcome = "skipped" if report.skipped else "failed"
        text = report.longrepr
        if report.skipped and isinstance(text, tuple):
            text = text[2]
        result.text = str(text)

    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:
        if self.run is None:
            return
        stopped = session.shouldstop or session.shouldfail
        self.run.finished = exitstatus in (0, 1, 5) and not stopped
        save_run(self.folder, self.run)


def _end_with(parent: int) -> None:
    """End this process when the one that started it has ended."""
    # On Windows, a process keeps the number of a parent that has ended.
    while os.name != "posix" or os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


class Comparing:
    """Run the tests in one process per backend, and compare the results."""

    def __init__(self, config: Any) -> None:
        option = config.option
        backends = [name for name in option.agreement.split(",") if name]
        check_backends("--agreement", backends)
        self.config = config
        self.temporary = tempfile.TemporaryDirectory()
        folder = Path(option.agreement_record or self.temporary.name)
        self.processes = Processes(
            config, backends, folder.absolute(), option.agreement_timeout
        )
        self.known, explain = settings_of(config.rootpath / "pyproject.toml")
        self.explain = explain
        self.collected: set[str] = set()
        self.tests: list[str] = []
        self.comparison = Comparison([])
        self.notes: list[str] = []
        if getattr(option, "numprocesses", None):
            raise pytest.UsageError(
                "--agreement: expected no option -n, since each backend has a "
                "process"
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        # Before tests are deselected.
        self.collected = {item.nodeid for item in items}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        using = [item for item in session.items if uses_fixture(item)]
        self.tests = [item.nodeid for item in using]
        if self.config.option.collectonly:
            return
        if not self.tests:
            raise pytest.UsageError(
                "--agreement: no collected test uses the fixture `agreement`"
            )
        check_markers(using)
        self.processes.start_all()

    def pytest_report_collectionfinish(self, items: list[Any]) -> str:
        backends = ", ".join(self.processes.backends)
        count = sum(map(uses_fixture, items))
        return f"agreement: {count} tests on {backends}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> Iterator[None]:
        try:
            return (yield)
        except pytest.skip.Exception:
            # The condition of a skip may depend on this process's backend.
            if not uses_fixture(item):
                raise
            if all_skipped(self.processes.wait_for(item.nodeid)):
                raise

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        if not uses_fixture(pyfuncitem):
            return None
        test = pyfuncitem.nodeid
        results = self.processes.wait_for(test)
        if all_skipped(results):
            pytest.skip(next(iter(results.values())).text)
        before = len(self.comparison.failures)
        known = [k for k in self.known if k.matches_test(test)]
        backends = {name: name for name in results}
        compare_test(
            self.comparison, test, results, backends, known, self.explain
        )
        failures = self.comparison.failures[before:]
        if not failures:
            return True
        lines = [str(failure) for failure in failures]
        if script := self._write_script(test, results, failures):
            lines.append(f"to see it alone: {script}")
        pytest.fail("\n".join(lines), pytrace=False)

    def _write_script(
        self, test: str, results: Any, failures: Sequence[Any]
    ) -> str | None:
        folder = self.config.rootpath / SCRIPTS
        path = write_script(folder, test, results, failures)
        return str(path.relative_to(self.config.rootpath)) if path else None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.skipped and hasattr(report, "wasxfail"):
            self.comparison.failures = [
                f for f in self.comparison.failures if f.test != report.nodeid
            ]

    def pytest_sessionfinish(self, session: Any) -> None:
        self.processes.stop()
        others = self.processes.tests() - self.collected
        self.temporary.cleanup()
        self.notes = [
            f"{test} was collected on some backends only"
            for test in sorted(others)
        ]
        self.notes += map(gone, self.comparison.gone)
        if self.notes and session.exitstatus == 0:
            session.exitstatus = 1
        if self.config.option.agreement_github:
            annotate(self.comparison, self.processes.backends)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for note in self.comparison.notes:
            terminalreporter.write_line(f"agreement: {note}")
        for note in self.notes:
            terminalreporter.write_line(f"agreement: {note}", red=True)

    def pytest_unconfigure(self) -> None:
        self.processes.stop()
        self.temporary.cleanup()
