"""The command line: `python -m kseq.convert FILE.h5 ...`."""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from kseq.checks import raise_invalid
from kseq.convert.deepctr import load_h5
from kseq.convert.placing import Placement
from kseq.files import check_writable, replacing_path, writing
from kseq.scripts import exit_code, load_script


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return exit_code(lambda: convert(options))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m kseq.convert",
        description="A DeepCTR model's weights into a .keras file of kseq.",
        epilog="Exit code: 0 it is written, 2 it is not (and a file that was "
        "there is as it was). KERAS_BACKEND says which backend computes; the "
        "file is for all of them.",
    )
    top.add_argument(
        "file",
        metavar="FILE.h5",
        help="what DeepCTR's save_weights or save wrote",
    )
    top.add_argument(
        "--model-script",
        required=True,
        metavar="FILE.py:FUNCTION",
        help="a function without arguments that makes the model in kseq",
    )
    top.add_argument(
        "--out", type=Path, required=True, metavar="FILE.keras", help="result"
    )
    top.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME=OTHER",
        help="the model's layer NAME is OTHER in the file; NAME= alone: it is "
        "to stay as it is (may be repeated)",
    )
    return top


def convert(options: argparse.Namespace) -> int:
    out: Path = options.out
    if out.suffix != ".keras":
        raise_invalid("--out", "a path that ends with .keras", str(out))
    names = layer_names(options.layer)
    check_writable("--out", out)
    model = make_model(options.model_script)
    placed = load_h5(model, options.file, names)
    print("\n".join(table(placed)))
    with writing("--out", out), replacing_path(out) as place:
        model.save(place)
    kept = [name for name, other in names.items() if other is None]
    also = f", {', '.join(kept)} as made" if kept else ""
    print(f"{len(placed)} weights placed{also}: {out}")
    return 0


def layer_names(arguments: Sequence[str]) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    for argument in arguments:
        name, equals, other = argument.partition("=")
        if not name or not equals:
            raise_invalid("--layer", "NAME=OTHER or NAME=", argument)
        if name in names:
            raise_invalid("--layer", "each name once", name)
        names[name] = other or None
    return names


def make_model(argument: str) -> keras.Model:
    path, _, function = argument.rpartition(":")
    if not path or not function.isidentifier():
        raise_invalid("--model-script", "FILE.py:FUNCTION", argument)
    script = load_script("--model-script", Path(path), "kseq_convert")
    make = getattr(script, function, None)
    if not callable(make):
        known = sorted(
            name
            for name, value in vars(script).items()
            if callable(value)
            and getattr(value, "__module__", None) == script.__name__
        )
        raise_invalid(
            "--model-script",
            f"the name of a function in {path}, of {known}",
            function,
        )
    model = make()
    if not isinstance(model, keras.Model):
        raise_invalid(
            "--model-script", f"a Keras model from {function}()", model
        )
    return model


def table(placed: Sequence[Placement]) -> list[str]:
    """What went where, layer by layer, in columns."""
    rows: list[tuple[str, ...]] = []
    for layers, weights in itertools.groupby(placed, _layers):
        rows.append((*layers, ""))
        for weight in weights:
            names = [
                f"  {path.partition('/')[2]}"
                for path in (weight.weight, weight.source)
            ]
            rows.append((*names, f"{weight.shape}"))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [
        f"{own:{widths[0]}}  <-  {source:{widths[1]}}  {shape}".rstrip()
        for own, source, shape in rows
    ]


def _layers(placement: Placement) -> tuple[str, str]:
    return (
        placement.weight.partition("/")[0],
        placement.source.partition("/")[0],
    )


if __name__ == "__main__":
    sys.exit(main())
