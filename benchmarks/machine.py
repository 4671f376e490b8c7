"""When, where and with what something was measured."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "jax",
    "numpy",
    "deepctr",
    "deepctr-torch",
    "tf_keras",
)


def about(core: int) -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "machine": _processor(),
        "core": f"one of {os.cpu_count()}, number {core}",
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "versions": dict(_versions()),
        "revision": _revision(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


def _revision() -> str:
    """kseq's commit, and whether its sources are as committed."""
    try:
        commit = _git("describe", "--always")
        # Results are written while it runs.
        changed = _git("status", "--short", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
