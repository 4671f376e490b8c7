"""Run the export tests on each backend that exports."""

import os
import subprocess
import sys

from tests.export.routes import BACKENDS


def main():
    # A runtime installs anyio, whose plugin warns, and warnings are errors.
    command = [sys.executable, "-m", "pytest", "-p", "no:anyio"]
    failed = [
        backend
        for backend in BACKENDS
        if subprocess.run(
            [*command, "tests/export", *sys.argv[1:]],
            env={**os.environ, "KERAS_BACKEND": backend},
        ).returncode
    ]
    sys.exit(f"failed on {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
