"""Which layer and model goes to which runtime from which backend, as a table.

Exports each and runs it in its runtime, all of which must be installed, one
process for each backend, and puts the table into docs/export.md:

    tox run -e export

Where a route that the page names (routes.py) is refused, it fails, and the page
stays as it is. What was found is kept in .outputs/export, a file for each
backend.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.export.kinds import BACKENDS, FORMATS

ROOT = Path(__file__).parents[2]
FOUND = ROOT / ".outputs" / "export"
PAGE = ROOT / "docs" / "export.md"
PLACE = re.compile(r"(<!-- export: begin -->\n).*?(<!-- export: end -->)", re.S)


def measure(path):
    """All that the chosen backend exports, into a file, line by line."""
    import keras

    from kseq.export import ExportError, export
    from kseq.export.formats import BY_NAME
    from tests.export.models import LAYERS, MODELS, made

    backend = keras.backend.backend()
    with path.open("w") as file:
        for name in (*LAYERS, *MODELS):
            for known_steps in (True, False):
                model, inputs = made(name, known_steps)
                for kind in FORMATS[backend]:
                    if kind.known_steps_only and not known_steps:
                        continue
                    row = {
                        "name": name,
                        "known_steps": known_steps,
                        "format": kind.format,
                    }
                    suffix = BY_NAME[kind.format].suffix
                    with tempfile.TemporaryDirectory() as folder:
                        try:
                            report = export(
                                model,
                                Path(folder, "model").with_suffix(suffix),
                                inputs,
                                **kind.options,
                            )
                            row["difference"] = report.difference
                        except ExportError as error:
                            row["refused"] = (
                                str(error)
                                .split(". What works")[0]
                                .partition(": ")[2]
                            )
                    print(json.dumps(row), file=file, flush=True)
                    print(backend, row, file=sys.stderr)


def found():
    """What was found, by name, known steps, format and backend."""
    return {
        (row["name"], row["known_steps"], row["format"], backend): row
        for backend in BACKENDS
        for row in map(
            json.loads, (FOUND / f"{backend}.jsonl").read_text().splitlines()
        )
    }


def check_routes(rows):
    """Exit where a route that the page names is refused."""
    from tests.export.routes import lost  # it imports Keras

    gone = lost({key for key, row in rows.items() if "difference" in row})
    if gone:
        said = [
            f"  {key}: {rows.get(key, {}).get('refused', 'not measured')}"
            for key in gone
        ]
        sys.exit("routes of docs/export.md are refused:\n" + "\n".join(said))


def table(rows):
    columns = [
        (kind.format, backend)
        for backend in BACKENDS
        for kind in FORMATS[backend]
    ]
    lines = [
        "| | steps | "
        + " | ".join(f"{format}, {backend}" for format, backend in columns)
        + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    notes = {}
    for name, known_steps in dict.fromkeys((n, k) for n, k, *_ in rows):
        cells = []
        for format, backend in columns:
            row = rows.get((name, known_steps, format, backend))
            cells.append(cell(row, notes))
        steps = "fixed" if known_steps else "any"
        lines.append(f"| `{name}` | {steps} | " + " | ".join(cells) + " |")
    lines += ["", "Why refused:", ""]
    lines += [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join(lines)


def cell(row, notes):
    if row is None:
        return ""
    if "difference" in row:
        return f"{row['difference']:.0e}"
    # Numbers and names aside, one reason is one note.
    why = reason(row["refused"])
    return f"refused ({notes.setdefault(why, len(notes) + 1)})"


def reason(text):
    for pattern, words in REASONS.items():
        if re.search(pattern, text):
            return words
    return text


# In words, what runtimes and exporters say at length.
REASONS = {
    r"outputs are \S+ from the model's": "the file computes something else, "
    "without a word",
    r"outputs have the shapes": "the file has other outputs than the model",
    r"Select TensorFlow op": "the file needs TensorFlow's operations (Flex)",
    r"Constraints violated|size 1 of axis 1|Split node|Add node": "PyTorch's "
    "exporter follows one number of steps: `steps=` says which",
    r"STABLEHLO_SORT": "LiteRT has no operation for it",
    r"convert PyTorch model to LiteRT": "litert-torch fails to convert it",
    r"Symbolic dim|Sentinel|sizes on axis 1|oncatena|shape \(batch": "JAX "
    "knows too little of an unknown number of steps",
    r"symbolic dim|arange": "jax2onnx knows too little of the batch size",
    r"TypeInferenceError": "ONNX Runtime refuses the loop that jax2onnx makes",
    r"Cannot deserialize": "TensorFlow cannot read what this JAX writes",
}


def main():
    FOUND.mkdir(parents=True, exist_ok=True)
    for backend in BACKENDS:
        subprocess.run(
            [sys.executable, "-m", "tests.export.matrix", "--here"],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=True,
            cwd=ROOT,
        )
    put()


def put():
    rows = found()
    check_routes(rows)
    text, places = PLACE.subn(
        lambda place: f"{place[1]}\n{table(rows)}\n\n{place[2]}",
        PAGE.read_text(),
    )
    if places != 1:
        sys.exit(f"{PAGE}: {places} places for the table, and not one")
    PAGE.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        measure(FOUND / f"{os.environ['KERAS_BACKEND']}.jsonl")
    elif sys.argv[1:] == ["--put"]:
        put()
    else:
        main()
