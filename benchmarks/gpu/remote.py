"""A worker process that is stopped when it takes too long."""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Remote:
    """The worker of a framework, started on the first request.

    Errors are returned as `{"error": ...}`. After one of the GPU, or after a
    time limit, the next request starts another process.
    """

    def __init__(self, framework: str, **environment: str) -> None:
        self.framework = framework
        self.environment = {
            **os.environ,
            "KERAS_BACKEND": framework,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self.process is None:
            self._start()
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return self._ended()
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.close()
            return {"error": f"stopped after {seconds:.0f} seconds"}
        line = self.process.stdout.readline()
        if not line:
            return self._ended()
        answer = json.loads(line)
        # An error of the GPU persists in its process.
        if "CUDA error" in answer.get("error", ""):
            self.close()
        return answer

    def _start(self) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.worker", self.framework],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def _ended(self) -> dict[str, Any]:
        code = self.process.wait()
        self.log.seek(0)
        last = self.log.read().strip().splitlines()[-1:]
        self.close()
        return {"error": f"exited with {code}: {' '.join(last)}"[:300]}

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.log.close()
            self.process = None
