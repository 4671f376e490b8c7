"""What the project's files say twice, they say alike."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import kseq
from kseq.agreement.run import BACKENDS

ROOT = Path(__file__).parents[2]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def toml():
    return tomllib.loads(read("pyproject.toml"))


def tox():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(read("tox.ini"))
    return parser


def requirements(lines):
    found = (line.split("#")[0].strip() for line in lines)
    return {r.name: r for r in map(Requirement, filter(None, found))}


def pins(name="tests/constraints.txt"):
    """The one version of each package that CI installs."""
    found = requirements(read(name).splitlines())
    return {
        package: str(requirement.specifier).removeprefix("==")
        for package, requirement in found.items()
    }


def entries(option, backend):
    """Lines of [testenv] for a backend: `numpy, openvino: scipy` -> `scipy`.

    Of a line's condition only the words count: `jax-!gpu` is for jax.
    """
    for line in filter(None, tox()["testenv"][option].splitlines()):
        condition, colon, rest = line.partition(":")
        if colon and backend in re.findall(r"\w+", condition):
            yield rest.strip()


def too_old(pinned, wanted):
    """The packages whose pinned version the project itself would refuse."""
    return {
        name
        for name, requirement in wanted.items()
        if name in pinned and not requirement.specifier.contains(pinned[name])
    }


PROJECT = toml()["project"]


FLOORS = "tests/constraints-floor.txt"


@pytest.mark.parametrize("name", ["tests/constraints.txt", FLOORS])
def test_every_constraint_is_one_version(name):
    assert "keras" in pins(name)
    for package, version in pins(name).items():
        assert Version(version).public == version, package


@pytest.mark.parametrize("package", ["keras", "numpy", "jax"])
def test_the_oldest_version_that_is_tested_is_the_one_claimed(package):
    claimed = requirements(
        [
            *PROJECT["dependencies"],
            *PROJECT["optional-dependencies"]["jax"],
        ]
    )
    (floor,) = claimed[package].specifier
    assert Version(floor.version) == Version(pins(FLOORS)[package])


def test_beside_the_oldest_stands_what_ci_installs_elsewhere():
    oldest = {"keras", "numpy", "jax", "jaxlib"}
    assert oldest < pins(FLOORS).keys()
    for package in pins(FLOORS).keys() - oldest:
        assert pins(FLOORS)[package] == pins()[package], package


def test_what_ci_installs_is_what_the_project_asks_for():
    assert not too_old(pins(), requirements(PROJECT["dependencies"]))


def test_a_pin_below_the_floor_is_seen():
    wanted = requirements(["keras>=3.12", "numpy>=1.26"])
    assert too_old({"keras": "3.11.9"}, wanted) == {"keras"}
    assert not too_old({"keras": "3.12"}, wanted)


def test_every_dependency_has_a_floor():
    for requirement in requirements(PROJECT["dependencies"]).values():
        assert [s.operator for s in requirement.specifier] == [">="]


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_a_backend_that_trains_has_an_extra_of_its_name(backend):
    extra = requirements(PROJECT["optional-dependencies"][backend])
    assert extra.keys() == {backend}


def test_groups_and_extras_ask_for_one_version_of_a_package():
    lists = [
        *toml()["dependency-groups"].values(),
        *PROJECT["optional-dependencies"].values(),
    ]
    wanted = {}
    for lines in lists:
        # A dict includes another group.
        own = [line for line in lines if isinstance(line, str)]
        for name, requirement in requirements(own).items():
            wanted.setdefault(name, set()).add(str(requirement.specifier))
    assert not {name: w for name, w in wanted.items() if len(w) > 1}


def test_tox_runs_every_backend_and_compares_them_all():
    environments = re.findall(r"\w+", tox()["tox"]["env_list"])
    assert {*BACKENDS, "agree"} <= set(environments)
    agree = tox()["testenv:agree"]
    assert set(re.findall(r"\w+", agree["depends"])) == set(BACKENDS)
    (expected,) = re.findall(r"--runs (\S+)", agree["commands"])
    assert expected.split(",") == list(BACKENDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tox_sets_the_backend_of_each_environment(backend):
    chosen = [
        line
        for line in entries("set_env", backend)
        if line.startswith("KERAS_BACKEND")
    ]
    assert chosen == [f"KERAS_BACKEND = {backend}"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_tox_installs_each_backend_pinned(backend):
    # Keras's NumPy backend has no package of its own, and imports jax.
    package = {"tensorflow": "tensorflow-cpu", "numpy": "jax"}.get(
        backend, backend
    )
    assert package in requirements(entries("deps", backend))
    assert package in pins()


def test_tox_uses_the_constraints():
    assert "{tox_root}/tests/constraints.txt" in tox()["testenv"]["set_env"]


def test_tox_uses_groups_that_there_are():
    wanted = {
        group
        for section in tox().values()
        for group in (section.get("dependency_groups") or "").split()
    }
    assert wanted
    assert wanted <= toml()["dependency-groups"].keys()


def test_the_version_is_in_the_changelog():
    headings = re.findall(r"^## ([^\s,]+)", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == kseq.__version__
    assert toml()["tool"]["hatch"]["version"]["path"] == "kseq/__init__.py"


def test_the_citation_is_of_this_version():
    lines = read("CITATION.cff").splitlines()
    cited = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert cited["version"] == kseq.__version__
    assert cited["license"] == PROJECT["license"]


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def known_to_tox(environment):
    named = {name.removeprefix("testenv:") for name in tox()}
    factors = set(re.findall(r"[\w]+", tox()["tox"]["env_list"]))
    return environment in named | factors


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_environments_that_there_are(path):
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"tox run -e ([a-z]+)", text)
    for line in re.findall(r"environment: \[(.*)\]", text):
        used += line.split(", ")
    assert used or "tox run" not in text
    assert [name for name in used if not known_to_tox(name)] == []


def test_an_unknown_environment_is_seen():
    assert known_to_tox("torch")
    assert not known_to_tox("nothing")


def test_python_versions_agree():
    floor = PROJECT["requires-python"].removeprefix(">=")
    named = {
        c.rpartition(" ")[-1]
        for c in PROJECT["classifiers"]
        if c.startswith("Programming Language :: Python :: 3.")
    }
    assert min(named, key=Version) == floor
    assert toml()["tool"]["mypy"]["python_version"] == floor
    ruff = toml()["tool"]["ruff"]["target-version"]
    assert ruff == "py" + floor.replace(".", "")


def test_the_linter_bans_what_the_package_must_not_import():
    banned = toml()["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    assert {"tensorflow", "torch", "jax", "keras.src"} <= {
        *banned["banned-api"]
    }
