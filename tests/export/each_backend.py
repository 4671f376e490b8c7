"""The tests of exports on each backend that exports, one after another."""

import os
import subprocess
import sys

from tests.export.kinds import BACKENDS

HERE = "tests/export"


def main():
    failed = [
        backend
        for backend in BACKENDS
        if subprocess.run(
            # anyio comes with a runtime; its plugin warns, which is an error.
            [
                *(sys.executable, "-m", "pytest", "-p", "no:anyio", HERE),
                *sys.argv[1:],
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
        ).returncode
    ]
    sys.exit(f"failed on {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
