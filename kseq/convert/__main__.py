"""The command line: `python -m kseq.convert FILE ...`."""

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from kseq.checks import raise_invalid
from kseq.convert import deepctr, deepctr_torch, fuxictr
from kseq.convert.placing import Placement
from kseq.files import check_writable, replacing_path, writing
from kseq.scripts import exit_code, load_script

STATE_DICTS = {
    "deepctr-torch": deepctr_torch.load_state_dict,
    "fuxictr": fuxictr.load_state_dict,
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return exit_code(lambda: convert(options))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m kseq.convert",
        description="Convert the weights of a model of DeepCTR, DeepCTR-Torch "
        "or FuxiCTR to a .keras file.",
        epilog="Exit code: 0 if the file was written; 2 if not, and an older "
        "file is unchanged. KERAS_BACKEND chooses the backend that converts; "
        "every backend can load the result.",
    )
    top.add_argument(
        "file",
        metavar="FILE",
        help="written by DeepCTR's save_weights or save; or by "
        "torch.save(model.state_dict(), FILE)",
    )
    top.add_argument(
        "--library",
        default="deepctr",
        choices=["deepctr", *STATE_DICTS],
        help="what wrote the file (default: deepctr)",
    )
    top.add_argument(
        "--model-script",
        required=True,
        metavar="FILE.py:FUNCTION",
        help="a function without arguments that builds the kseq model",
    )
    top.add_argument(
        "--out", type=Path, required=True, metavar="FILE.keras", help="output"
    )
    top.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME=OTHER",
        help="the model's layer NAME is called OTHER in the file; NAME= alone "
        "keeps its weights (may be repeated; DeepCTR's files only)",
    )
    return top


def convert(options: argparse.Namespace) -> int:
    out: Path = options.out
    if out.suffix != ".keras":
        raise_invalid("--out", "a path that ends with .keras", str(out))
    names = parse_layer_names(options.layer)
    check_writable("--out", out)
    model = build_model(options.model_script)
    if load := STATE_DICTS.get(options.library):
        if names:
            raise_invalid("--layer", "none for a state_dict", options.layer)
        placements = load(model, options.file)
    else:
        placements = deepctr.load_h5(model, options.file, names)
    print("\n".join(table(placements)))
    with writing("--out", out), replacing_path(out) as new_path:
        model.save(new_path)
    kept = [name for name, other in names.items() if other is None]
    note = f", {', '.join(kept)} not loaded" if kept else ""
    print(f"{len(placements)} weights loaded{note}: {out}")
    return 0


def parse_layer_names(arguments: Sequence[str]) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    for argument in arguments:
        name, equals, other = argument.partition("=")
        if not name or not equals:
            raise_invalid("--layer", "NAME=OTHER or NAME=", argument)
        if name in names:
            raise_invalid("--layer", "each name once", name)
        names[name] = other or None
    return names


def build_model(argument: str) -> keras.Model:
    path, _, function = argument.rpartition(":")
    if not path or not function.isidentifier():
        raise_invalid("--model-script", "FILE.py:FUNCTION", argument)
    script = load_script("--model-script", Path(path), "kseq_convert")
    build = getattr(script, function, None)
    if not callable(build):
        functions = [
            name
            for name, value in inspect.getmembers(script, inspect.isfunction)
            if value.__module__ == script.__name__
        ]
        raise_invalid(
            "--model-script",
            f"the name of a function in {path}, one of {functions}",
            function,
        )
    model = build()
    if not isinstance(model, keras.Model):
        raise_invalid(
            "--model-script", f"a Keras model from {function}()", model
        )
    return model


def table(placements: Sequence[Placement]) -> list[str]:
    """Format weights and their sources in columns, grouped by layer."""
    rows: list[tuple[str, str, str]] = []
    previous = None
    for path, source, shape in placements:
        layer, _, weight = path.partition("/")
        source_layer, _, array = source.partition("/")
        if (layer, source_layer) != previous:
            previous = layer, source_layer
            rows.append((layer, source_layer, ""))
        rows.append((f"  {weight}", f"  {array}", f"{shape}"))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [
        f"{ours:{widths[0]}}  <-  {theirs:{widths[1]}}  {shape}".rstrip()
        for ours, theirs, shape in rows
    ]


if __name__ == "__main__":
    sys.exit(main())
