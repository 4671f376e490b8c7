"""Versions and names repeated in the project's files are consistent."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import kseq
from kseq.agreement.processes import BACKENDS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOML["project"]
TOX = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def specifiers(lines):
    """Version specifiers by package; other dependency groups are ignored."""
    lines = (line.split("#")[0] for line in lines if isinstance(line, str))
    found = (Requirement(line) for line in lines if line.strip())
    return {requirement.name: requirement.specifier for requirement in found}


def pins(name):
    lines = (ROOT / "tests" / name).read_text().splitlines()
    return {
        package: str(specifier).removeprefix("==")
        for package, specifier in specifiers(lines).items()
    }


@pytest.mark.parametrize("package", ["keras", "numpy", "jax"])
def test_floor_environment_installs_the_oldest_supported_version(package):
    dependencies = specifiers(
        PROJECT["dependencies"] + PROJECT["optional-dependencies"]["jax"]
    )
    oldest = pins("constraints-floor.txt")[package]
    assert str(dependencies[package]) == f">={oldest}".removesuffix(".0")


def test_floor_and_current_constraints_differ_in_the_oldest_versions_only():
    current = pins("constraints.txt")
    floor = pins("constraints-floor.txt")
    differing = {name for name in floor if floor[name] != current.get(name)}
    assert differing == {"keras", "numpy", "jax", "jaxlib"}


def test_agree_compares_every_backend():
    agree = TOX["testenv:agree"]
    assert f"--runs {','.join(BACKENDS)} " in agree["commands"]
    assert set(BACKENDS) == set(re.findall(r"\w+", agree["depends"]))
    assert set(BACKENDS) < set(re.findall(r"\w+", TOX["tox"]["env_list"]))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_uses_existing_tox_environments(path):
    text = path.read_text()
    used = re.findall(r"tox run -e ([a-z]+)", text)
    for names in re.findall(r"environment: \[(.*)\]", text):
        used += names.split(", ")
    existing = {name.removeprefix("testenv:") for name in TOX} | {*BACKENDS}
    assert used
    assert set(used) <= existing


def test_version_matches_changelog_and_citation():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## ([^\s,]+)", changelog, re.M)[1] == kseq.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {kseq.__version__}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation


def test_oldest_python_is_the_same_everywhere():
    minors = re.findall(r":: 3\.(\d+)", " ".join(PROJECT["classifiers"]))
    oldest = min(map(int, minors))
    assert PROJECT["requires-python"] == f">=3.{oldest}"
    assert TOML["tool"]["mypy"]["python_version"] == f"3.{oldest}"
    assert TOML["tool"]["ruff"]["target-version"] == f"py3{oldest}"
