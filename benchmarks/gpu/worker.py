"""Runs jobs on one framework; reads and answers one JSON object a line."""

import importlib
import json
import os
import sys
import traceback

import numpy as np


def main():
    framework = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep the frameworks' messages out of the answers
    runner = importlib.import_module(f"benchmarks.gpu.on_{framework}")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(runner, request.pop("verb"))(**request)
        except Exception as error:
            traceback.print_exc()
            text = " ".join(str(error).split())
            answer = {"error": f"{type(error).__name__}: {text}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def difference(actual, expected):
    """The largest difference, relative to the largest value of its array."""
    worst = 0.0
    for a, b in zip(actual, expected, strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        if a.shape != b.shape:
            raise ValueError(f"expected shape {b.shape}; received {a.shape}")
        ratio = np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)
        worst = max(worst, np.nan_to_num(ratio, nan=np.inf))
    return float(worst)


if __name__ == "__main__":
    main()
