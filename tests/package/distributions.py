"""Builds wheel and sdist, and checks what will be published.

    python tests/package/distributions.py [--tag v1.2.3]

They are built twice, the wheel from the sdist, and must be the same to a byte;
`twine` must find nothing; the wheel holds the package and nothing else, and is
small; where the repository's address is known, as in a release, no link of
README is relative. What passed is left in dist/.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_BYTES = 200_000  # of the wheel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", help="the version's tag in git: v1.2.3")
    tag = parser.parse_args().tag
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build(Path(folder, name)) for name in "ab")
        if hashes(first) != hashes(second):
            return fail(f"two builds differ: {hashes(first)}, {hashes(second)}")
        run("twine", "check", "--strict", *first)
        (wheel,) = (path for path in first if path.suffix == ".whl")
        (sdist,) = (path for path in first if path.suffix == ".gz")
        version = wheel.name.split("-")[1]
        if tag not in (None, f"v{version}"):
            return fail(f"--tag: expected v{version}; received {tag}")
        if wheel.stat().st_size > MOST_BYTES:
            return fail(f"{wheel.name} has {wheel.stat().st_size} bytes")
        if wrong := strange(wheel):
            return fail(f"{wheel.name} lacks or should not have {wrong}")
        if left := relative_links(build(Path(folder, "c"), "someone/kseq")):
            return fail(f"of the metadata's links these are relative: {left}")
        dist = ROOT / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(wheel.parent, dist)
        for path in (wheel, sdist):
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, twice")
    return 0


def build(out: Path, repository: str | None = None) -> list[Path]:
    known = {"GITHUB_REPOSITORY": repository} if repository else {}
    run("build", "--outdir", out, ROOT, **known)
    return sorted(out.iterdir())


def run(module: str, *arguments: object, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=os.environ | environment,
        check=True,
    )


def relative_links(paths: list[Path]) -> set[str]:
    """Targets in the published README that lead nowhere on an index."""
    (wheel,) = (path for path in paths if path.suffix == ".whl")
    with zipfile.ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith("/METADATA"))
        targets = re.findall(r"\]\(([^)]+)\)", file.read(name).decode())
    return {target for target in targets if not target.startswith("http")}


def hashes(paths: list[Path]) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def strange(wheel: Path) -> set[str]:
    """The files that the wheel lacks, and those that it should not have."""
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "kseq").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    return packed ^ sources


def fail(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
