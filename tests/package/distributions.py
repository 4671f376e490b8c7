"""Build the wheel and sdist in dist/ and check them.

    python tests/package/distributions.py [--tag v1.2.3]

Two builds must be identical and pass `twine check`. The wheel must be small and
contain the package only. If the repository's address is known, as in a release,
the README's links must be absolute.
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
MAX_BYTES = 300_000  # of the wheel


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
        if wheel.stat().st_size > MAX_BYTES:
            return fail(f"{wheel.name} has {wheel.stat().st_size} bytes")
        if files := unexpected_files(wheel):
            return fail(f"{wheel.name}: missing or unexpected: {files}")
        if links := relative_links(build(Path(folder, "c"), "someone/kseq")):
            return fail(f"relative links in the metadata: {links}")
        dist = ROOT / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(wheel.parent, dist)
        for path in (wheel, sdist):
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, twice")
    return 0


def build(out: Path, repository: str | None = None) -> list[Path]:
    address = {"GITHUB_REPOSITORY": repository} if repository else {}
    run("build", "--outdir", out, ROOT, **address)
    return sorted(out.iterdir())


def run(module: str, *arguments: object, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=os.environ | environment,
        check=True,
    )


def relative_links(paths: list[Path]) -> set[str]:
    """Return the links in the README that do not work on a package index."""
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


def unexpected_files(wheel: Path) -> set[str]:
    """Return files that are missing in the wheel or do not belong there."""
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in [*(ROOT / "kseq").rglob("*"), ROOT / "pytest_kseq.py"]
        if path.is_file() and path.suffix != ".pyc"
    }
    return packed ^ sources


def fail(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
