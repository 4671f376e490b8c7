"""Measure which layer and model each backend exports to each runtime.

`tox run -e export` runs this with all runtimes installed: the tests and the
measurement, one process for each backend. It replaces the table in
docs/export.md, unless a route that the page promises is lost, and keeps the
results in .outputs/export.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from kseq.export import ExportError, export
from kseq.export.formats import BY_NAME
from tests.export.routes import (
    BACKENDS,
    FORMATS,
    LAYERS,
    MODELS,
    build,
    lost_exports,
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".outputs" / "export"
PAGE = ROOT / "docs" / "export.md"
TABLE = re.compile(r"(<!-- export: begin -->\n).*?(<!-- export: end -->)", re.S)
# Short forms of long errors.
REASONS = {
    r"outputs are \S+ away from": "the file silently computes something else",
    r"outputs have the shapes": "the file has other outputs than the model",
    r"Constraints violated|size 1 of axis 1|Split node|Add node": "PyTorch's "
    "exporter fixes the number of steps: `steps=` chooses it",
    r"STABLEHLO_SORT": "LiteRT has no operation for it",
    r"convert PyTorch model to LiteRT": "litert-torch fails to convert it",
    r"Symbolic dim|Sentinel|sizes on axis 1|oncatena|shape \(batch": "JAX "
    "cannot trace an unknown number of steps",
    r"symbolic dim|arange": "jax2onnx cannot trace an unknown batch size",
    r"TypeInferenceError": "ONNX Runtime rejects the loop that jax2onnx writes",
    r"Cannot deserialize": "TensorFlow cannot read what this JAX writes",
}


def measure():
    """Yield name, known steps, format, backend, and the difference or error."""
    backend = keras.backend.backend()
    for name in (*LAYERS, *MODELS):
        for known_steps in (True, False):
            model, inputs = build(name, known_steps)
            for format, options in FORMATS[backend].items():
                # litert-torch gives each input one shape.
                if known_steps or (backend, format) != ("torch", "litert"):
                    result = export_once(model, inputs, format, options)
                    print(name, known_steps, format, backend, result)
                    yield name, known_steps, format, backend, result


def export_once(model, inputs, format, options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model").with_suffix(BY_NAME[format].suffix)
        try:
            return export(model, path, inputs, **options).difference
        except ExportError as error:
            text = str(error).split(". What works")[0]
            return text.partition(": ")[2]


def format_table(results):
    columns = [(f, backend) for backend in BACKENDS for f in FORMATS[backend]]
    titles = " | ".join(", ".join(column) for column in columns)
    lines = [f"| | steps | {titles} |", "|---" * (len(columns) + 2) + "|"]
    notes = {}
    for name, known_steps in dict.fromkeys(key[:2] for key in results):
        cells = [
            format_cell(results.get((name, known_steps, *column), ""), notes)
            for column in columns
        ]
        steps = "fixed" if known_steps else "any"
        lines.append(f"| `{name}` | {steps} | " + " | ".join(cells) + " |")
    lines += ["", "Why exports fail:", ""]
    lines += [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join(lines)


def format_cell(result, notes):
    if not isinstance(result, str):
        return f"{result:.0e}"
    if not result:
        return ""
    reasons = (x for regex, x in REASONS.items() if re.search(regex, result))
    reason = next(reasons, result)
    return f"fails ({notes.setdefault(reason, len(notes) + 1)})"


def update_page(results):
    measured = {k for k, x in results.items() if not isinstance(x, str)}
    if lost := lost_exports(measured):
        errors = [f"  {k}: {results.get(k, 'not measured')}" for k in lost]
        sys.exit("routes of docs/export.md are lost:\n" + "\n".join(errors))
    text, tables = TABLE.subn(
        lambda match: f"{match[1]}\n{format_table(results)}\n\n{match[2]}",
        PAGE.read_text(),
    )
    if tables != 1:
        sys.exit(f"{PAGE}: expected one table; found {tables}")
    PAGE.write_text(text)


def run(backend, *command):
    subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        cwd=ROOT,
    )


def main():
    if sys.argv[1:2] == ["--here"]:
        Path(sys.argv[2]).write_text(json.dumps([*measure()]))
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = {}
    for backend in BACKENDS:
        path = RESULTS / f"{backend}.json"
        # A runtime installs anyio, whose plugin warns: warnings are errors.
        run(backend, "pytest", "-p", "no:anyio", "tests/export", *sys.argv[1:])
        run(backend, "tests.export.matrix", "--here", str(path))
        results |= {tuple(k): x for *k, x in json.loads(path.read_text())}
    update_page(results)


if __name__ == "__main__":
    main()
