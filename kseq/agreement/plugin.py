"""What the pytest plugin does when a test uses the fixture `agreement`."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from kseq.agreement import probes
from kseq.agreement.compare import Comparison, compare_test
from kseq.agreement.fixture import Agreement
from kseq.agreement.github import annotate
from kseq.agreement.known import Known, known_from, settings_of
from kseq.agreement.processes import CURRENT, Processes, check_backends
from kseq.agreement.record import (
    Result,
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
        raises=not config.option.agreement_process,
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
        self.is_process = config.option.agreement_process
        if not self.is_process:
            for path in self.folder.glob("*.npz"):
                path.unlink()
        else:
            threading.Thread(target=_end_with_parent, daemon=True).start()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: Any, items: list[Any]
    ) -> None:
        using = [item for item in items if uses_fixture(item)]
        if self.is_process:
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
        if self.is_process:
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
        expected = hasattr(report, "wasxfail")
        # With --agreement, the test fails or passes in the other process.
        result.outcome = (
            "skipped" if report.skipped and not expected else "failed"
        )
        text = report.longrepr
        if report.skipped and isinstance(text, tuple):
            text = text[2]
        result.text = str(text)

    def pytest_sessionfinish(self) -> None:
        self.run.finished = True
        save_run(self.folder, self.run)


def _end_with_parent() -> None:
    """End this process when the one that started it has ended."""
    parent = os.getppid()
    while os.getppid() == parent:
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
        self.used: set[Known] = set()
        self.tests: list[str] = []
        self.comparison = Comparison([])
        self.gone: list[Known] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        self.tests = [i.nodeid for i in session.items if uses_fixture(i)]
        if self.config.option.collectonly:
            return
        if not self.tests:
            raise pytest.UsageError(
                "--agreement: no collected test uses the fixture `agreement`"
            )
        self.processes.start_all()

    def pytest_report_collectionfinish(self, items: list[Any]) -> str:
        backends = ", ".join(self.processes.backends)
        count = sum(map(uses_fixture, items))
        return f"agreement: {count} tests on {backends}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        if not uses_fixture(pyfuncitem):
            return None
        test = pyfuncitem.nodeid
        results = self.processes.wait_for(test)
        if all(result.outcome == "skipped" for result in results.values()):
            pytest.skip(next(iter(results.values())).text)
        before = len(self.comparison.failures)
        known = [k for k in self.known if k.matches_test(test)]
        backends = {name: name for name in results}
        self.used |= compare_test(
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
        self.temporary.cleanup()
        self.gone = [
            known
            for known in self.known
            if known not in self.used
            and any(map(known.matches_test, self.tests))
        ]
        if self.gone and session.exitstatus == 0:
            session.exitstatus = 1
        if self.config.option.agreement_github:
            annotate(self.comparison, self.processes.backends)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        write = terminalreporter.write_line
        for note in self.comparison.notes:
            write(f"agreement: {note}")
        for known in self.gone:
            write(
                f"agreement: the known difference of {known.backend} in "
                f"{known.test} is gone ({known.reason}); remove it",
                red=True,
            )

    def pytest_unconfigure(self) -> None:
        self.processes.stop()
        self.temporary.cleanup()
