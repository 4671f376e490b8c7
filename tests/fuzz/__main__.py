"""Many examples on each backend: `python -m tests.fuzz --examples 1000`."""

import argparse
import os
import re
import subprocess
import sys

from kseq.agreement.processes import BACKENDS

COUNTED = re.compile(r"- (\d+) passing, (\d+) failing")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=BACKENDS
    )
    parser.add_argument("tests", nargs="*", help="further options of pytest")
    options = parser.parse_args()
    rows = [run(backend, options) for backend in options.backends]
    print(f"\n{'backend':12}{'examples':>10}{'failing':>9}{'minutes':>9}")
    for backend, passing, failing, seconds, _ in rows:
        print(f"{backend:12}{passing:10}{failing:9}{seconds / 60:9.1f}")
    return max(code for *_, code in rows)


def run(
    backend: str, options: argparse.Namespace
) -> tuple[str, int, int, float, int]:
    """Return the backend, passes, failures, seconds and the exit code."""
    before = os.times()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "tests/fuzz", "-q"),
            *("-p", "no:cacheprovider", "--hypothesis-show-statistics"),
            *options.tests,
        ],
        env=os.environ
        | {
            "KERAS_BACKEND": backend,
            "KSEQ_FUZZ_EXAMPLES": str(options.examples),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    passing = failing = 0
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := COUNTED.search(line):
            passing += int(found[1])
            failing += int(found[2])
    code = process.wait()
    after = os.times()
    seconds = after.children_user + after.children_system
    seconds -= before.children_user + before.children_system
    return backend, passing, failing, seconds, code


if __name__ == "__main__":
    sys.exit(main())
