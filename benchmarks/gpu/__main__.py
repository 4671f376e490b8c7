"""Measure kseq and other implementations on one GPU, in at most 8 minutes.

    python -m benchmarks.gpu --out "$OUT"

It needs Keras and PyTorch; what else is missing (JAX, Triton, deepctr-torch) is
recorded with its error. `gpu.json` is written again after each row, so nothing
is lost when the script is stopped.

Without `--out` the results go to benchmarks/results and into docs/gpu.md. To
put results of another machine there, copy `gpu.json` to benchmarks/results and
run `python -m benchmarks.gpu.page`. On a machine without a network, install
Keras from wheels first: `pip download keras -d wheels`, and there
`pip install --no-index --find-links wheels keras`.
"""

import argparse
import datetime
import json
import platform
import tempfile
import time
from pathlib import Path

from benchmarks.gpu import page
from benchmarks.gpu.jobs import CONTENDERS, plan
from benchmarks.gpu.remote import ROOT, Remote
from benchmarks.results import processor, revision


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    deadline = time.monotonic() + 60 * options.minutes
    threads = {"OMP_NUM_THREADS": "1"} if options.dry else {}
    remotes = {name: Remote(name, **threads) for name in ("torch", "jax")}
    try:
        results = _measure(options, remotes, deadline)
    finally:
        for remote in remotes.values():
            remote.close()
    text = page.tables(results)
    (options.out / "gpu.md").write_text(text)
    if options.out == page.RESULTS and not options.dry:
        page.write(results)
    print(text)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--dry", action="store_true", help="tiny sizes, also without a GPU")
    add("--minutes", type=float, default=8)
    add("--workloads", nargs="+", default=[], help="parts of names")
    add("--out", type=Path, help="folder of the results")
    options = parser.parse_args(arguments)
    if options.out is None:
        folder = ROOT / ".outputs" / "gpu"
        options.out = folder if options.dry else page.RESULTS
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def _measure(
    options: argparse.Namespace, remotes: dict[str, Remote], deadline: float
) -> page.Results:
    results: page.Results = {
        "about": {
            "date": datetime.date.today().isoformat(),
            "machine": processor(),
            "python": platform.python_version(),
            "revision": revision(),
        },
        "rows": [],
    }
    for name, remote in remotes.items():
        results["about"][name] = remote.ask({"verb": "about"}, 120)
    device = results["about"]["torch"].get("device", "CPU")
    if device == "CPU" and not options.dry:
        raise SystemExit(f"no GPU: {results['about']['torch']}")
    with tempfile.TemporaryDirectory() as folder:
        reference = Reference(remotes["torch"], Path(folder) / "reference.npz")
        for job in plan(options.workloads, options.dry):
            left = deadline - time.monotonic()
            worker = results["about"][CONTENDERS[job["contender"]].framework]
            if "error" in worker:  # such as JAX that is not installed
                row = {"error": worker["error"]}
            elif left < 5 and not options.dry:
                row = {"error": "not reached in time"}
            else:
                row = _ask(job, remotes, reference, options.dry, left)
            results["rows"].append({**job, **row})
            text = json.dumps(results, indent=1)
            (options.out / page.FILE).write_text(text + "\n")
            print(page.one_line(results["rows"][-1]), flush=True)
    return results


def _ask(job, remotes, reference, dry, left):
    framework = CONTENDERS[job["contender"]].framework
    request = {"verb": "measure", **job, "seconds": 0.01 if dry else 0.2}
    if framework == "jax":
        path = reference.save(job["workload"], left)
        if path is None:
            return {"error": "PyTorch computed no float64 reference"}
        request["reference"] = path
    else:
        request["backend"] = "aot_eager" if dry else "inductor"
    # The jobs that may take longer come last.
    return remotes[framework].ask(request, max(left, 60) if dry else left)


class Reference:
    """kseq's float64 results of the last workload, in a file."""

    def __init__(self, remote: Remote, path: Path) -> None:
        self.remote, self.path = remote, path
        self.workload: dict | None = None

    def save(self, workload: dict, seconds: float) -> str | None:
        if workload != self.workload:
            request = {
                "verb": "save_reference",
                "workload": workload,
                "path": str(self.path),
            }
            if "error" in self.remote.ask(request, seconds):
                return None
            self.workload = workload
        return str(self.path)


if __name__ == "__main__":
    main()
