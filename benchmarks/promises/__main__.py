"""Which promises of models of histories do libraries keep?

    python -m benchmarks.promises [--out FOLDER]

In an environment of tests/golden/torch_requirements.txt and of kseq, with
KERAS_BACKEND=torch. A minute on one core; rewrites results.json and results.md.
"""

import argparse
import json
import platform
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks.promises.page import lines_of, page
from benchmarks.promises.promises import PROMISES, check

LIBRARIES = ("kseq", "deepctr_torch", "fuxictr", "torch_rechub")
SOFTMAX = "DIN with a softmax"


def rows(name):
    library = import_module(f"benchmarks.promises.libraries.{name}")
    kinds = {kind: kind for kind in library.MODELS} | {SOFTMAX: "DIN"}
    variants = getattr(library, "VARIANTS", {})
    for promise in PROMISES:
        for label in promise.kinds:
            if label not in {**kinds, **variants}:
                continue
            options = variants.get(label, {"softmax": label == SOFTMAX})
            kind = kinds.get(label, label.partition(",")[0])
            holds, evidence = check(promise, library.make(kind, **options))
            yield {
                "library": library.PACKAGE,
                "version": library.VERSION,
                "model": label,
                "promise": promise.text,
                "holds": holds,
                "evidence": evidence,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(__file__).parent
    parser.add_argument("--out", type=Path, default=folder)
    out = parser.parse_args().out
    warnings.simplefilter("ignore")
    found = {
        "python": platform.python_version(),
        "torch": version("torch"),
        "keras": version("keras"),
        "rows": [row for name in LIBRARIES for row in rows(name)],
    }
    text = json.dumps(found, indent=1) + "\n"
    (out / "results.json").write_text(text)
    (out / "results.md").write_text(page(found))
    print("\n".join(lines_of(found)))


if __name__ == "__main__":
    main()
