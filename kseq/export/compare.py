"""Exports, and what is asked of them: the numbers of the model."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from kseq.checks import (
    Unquoted,
    check_number,
    check_path,
    check_positive_int,
    raise_invalid,
)
from kseq.export.examples import (
    inputs_of,
    lengths_in,
    read,
    with_lengths,
    with_rows,
    without_later_halves,
)
from kseq.export.formats import Format, format_of
from kseq.export.report import ExportError, Report
from kseq.export.runtimes import Arrays, Runtime, free_sizes
from kseq.files import check_writable, replacing_path

TOLERANCE = 1e-5
# A file that ignores the later half of a history gives the same with it and
# without: where the model's outputs are four tolerances apart, it cannot be
# within one of both.
APART = 4


def export(
    model: keras.Model,
    path: str | Path,
    example_inputs: Any,
    *,
    format: str | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    tolerance: float = TOLERANCE,
) -> Report:
    """Write a model for another runtime, if it computes the same there.

    `model.export` writes to a place of its own; `check` runs what it wrote; and
    only then it takes the place of what was at `path`.

    Args:
        model: functional or sequential.
        path: ends with ".onnx", ".xml" (OpenVINO), ".tflite" (LiteRT) or ".pt2"
            (torch.export); a folder for a SavedModel.
        example_inputs: arrays as `model.predict` takes them, by their names or
            in the model's order: histories with steps that count, as many as
            will be served. The model is compared on these.
        format: "onnx", "openvino", "litert", "torch" or "tf_saved_model"; None:
            as the path ends.
        batch_size: the only one that the file will take; None: any.
        steps: the only number of steps that the file will take in histories of
            which the model takes any number; None: any, as the model.
        tolerance: the largest difference from the model, in units of the
            output's largest value.

    Returns:
        What was run and compared.

    Raises:
        ExportError: a ValueError: Keras's exporter fails, a package is missing
            or the file does not compute what the model does. What was at `path`
            is still there. It says what works.
        ValueError: an argument is not as it should be; or the model's outputs
            hardly depend on the later half of its histories, as before it is
            trained, so that a file that ignores it would pass.

    Example:

    >>> import dataclasses, os, tempfile
    >>> import keras
    >>> import numpy as np
    >>> from kseq.export import export
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> # In place of training, which makes histories matter.
    >>> start = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    >>> item = SparseFeat("item", 100, 8, embeddings_initializer=start)
    >>> clicks = dataclasses.replace(item, name="hist_item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=None)], ["item"])
    >>> history = np.array([[7, 9, 2, 5], [1, 0, 0, 0]])
    >>> features = {"item": np.array([3, 4]), "hist_item": history}
    >>> suffix = ".pt2" if keras.backend.backend() == "torch" else ""
    >>> path = os.path.join(tempfile.mkdtemp(), f"model{suffix}")
    >>> report = export(model, path, features, steps=4)
    >>> report.batch_sizes, report.steps, report.difference < 1e-5
    ((2, 1), (4,), True)
    """
    path = check_path("path", path)
    task = _Task(
        model, path, example_inputs, format, batch_size, steps, tolerance
    )
    _check_place(path, task.format)
    with replacing_path(path) as place:
        task.write(place)
        return task.compare(place)


def check(
    model: keras.Model,
    path: str | Path,
    example_inputs: Any,
    *,
    format: str | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    tolerance: float = TOLERANCE,
) -> Report:
    """Run an exported model in its own runtime, and compare it with the model.

    It is run with the rows of `example_inputs` and with another number of them,
    with their histories, with 0 in the later half of these, and with histories
    of about half as many steps. So a file that was made by following one
    example, and holds its number of rows or steps without a word, is found out.

    Args and errors are `export`'s. `batch_size` and `steps`: what the file was
    made for, where it is not for any.
    """
    path = check_path("path", path)
    task = _Task(
        model, path, example_inputs, format, batch_size, steps, tolerance
    )
    if not path.exists():
        raise_invalid(
            "path", "an exported model", Unquoted(f"{path}, which is not there")
        )
    return task.compare(path)


@dataclass(frozen=True)
class _Trial:
    """What the model and the file are both given, and the model's outputs.

    Args:
        halved: the histories that have 0 in their later half.
    """

    steps: dict[str, int]
    arrays: Arrays
    outputs: Arrays
    halved: tuple[str, ...]

    def __str__(self) -> str:
        rows = len(self.arrays[0])
        words = f"{rows} row{'s' * (rows != 1)}"
        lengths = sorted({*self.steps.values()})
        if lengths:
            words += f" and histories of {'/'.join(map(str, lengths))} steps"
        if self.halved:
            words += f" (0 in the later half of {', '.join(self.halved)})"
        return words


class _Task:
    """A model, its file, and how the two are compared."""

    def __init__(
        self,
        model: keras.Model,
        path: Path,
        example_inputs: Any,
        format: str | None,
        batch_size: int | None,
        steps: int | None,
        tolerance: float,
    ) -> None:
        self.path = path
        self.inputs = inputs_of(model)
        self.format = format_of(path, format)
        for name, size in {"batch_size": batch_size, "steps": steps}.items():
            if size is not None:
                check_positive_int(name, size)
        if steps is not None and not self.inputs.any_steps:
            raise_invalid(
                "steps", "None: the model takes one number of steps", steps
            )
        self.batch_size, self.steps = batch_size, steps
        self.tolerance = check_number(
            "tolerance", tolerance, 0.0, 1.0, "a number in [0, 1)"
        )
        self.model = model
        self.trials: list[_Trial] = []
        self.later_halves: list[float] = []
        self._add_trials(read(self.inputs, example_inputs))

    def _add_trials(self, arrays: Arrays) -> None:
        first, *others = (
            with_lengths(self.inputs, arrays, change)
            for change in self._changes(arrays)
        )
        whole = self._trials_of(first)
        self.trials += whole
        for names, changed in without_later_halves(self.inputs, first):
            halved = self._trials_of(changed, names)
            self.trials += halved
            self.later_halves.append(_moved(whole, halved))
            self._check_that_it_matters(names, self.later_halves[-1])
        for changed in others:
            self.trials += self._trials_of(changed)

    def _changes(self, arrays: Arrays) -> list[dict[int, int]]:
        """What becomes of the histories' lengths, one after another."""
        found = {*lengths_in(self.inputs, arrays).values()}
        if self.steps is not None:
            return [dict.fromkeys(found, self.steps)]
        if not found:
            return [{}]
        if max(found) < 2:
            raise_invalid(
                "example_inputs", "histories of at least 2 steps", found
            )
        return [{n: n for n in found}, {n: (n + 1) // 2 for n in found}]

    def _trials_of(
        self, arrays: Arrays, halved: tuple[str, ...] = ()
    ) -> list[_Trial]:
        steps = lengths_in(self.inputs, arrays)
        batches = [with_rows(arrays, rows) for rows in self._rows(arrays)]
        return [_Trial(steps, x, self._compute(x), halved) for x in batches]

    def _rows(self, arrays: Arrays) -> list[range]:
        """The rows of each batch."""
        rows, size = len(arrays[0]), self.batch_size
        if size is None:
            return [range(rows), range(1) if rows > 1 else range(2)]
        return [range(i, i + size) for i in range(0, rows, size)]

    def _check_that_it_matters(
        self, names: tuple[str, ...], moved: float
    ) -> None:
        least = APART * self.tolerance
        if not moved > least:
            raise_invalid(
                "model and example_inputs",
                f"outputs that the later half of {', '.join(names)} moves by "
                f"more than {least:.0e} of the largest, or a file that ignores "
                "it would pass (train the model first, or have it start with "
                "larger embeddings, by embeddings_initializer=; and give rows "
                "with full histories)",
                Unquoted(f"{moved:.1e}"),
            )

    def _compute(self, arrays: Arrays) -> Arrays:
        tensors = [ops.convert_to_tensor(x) for x in arrays]
        outputs = self.model(self.inputs.packed(tensors), training=False)
        return [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]

    def write(self, place: Path) -> None:
        signature = self.inputs.signature(self.batch_size, self.steps)
        options: dict[str, Any] = {}
        if self.format.name == "torch":
            # Any size that it is not told of it takes for a constant.
            options["dynamic_shapes"] = free_sizes(signature)
        if (keras.backend.backend(), self.format.name) == ("torch", "litert"):
            # Keras leaves it on for the first conversion of a process alone,
            # and ids of 64 bits fail in the second.
            options["enable_x64"] = True
        try:
            with warnings.catch_warnings():
                # What exporters may warn of is found out afterwards.
                warnings.simplefilter("ignore")
                self.model.export(
                    str(place),
                    format=self.format.name,
                    verbose=False,
                    input_signature=signature,
                    **options,
                )
        except Exception as error:
            missing = self.format.missing(keras.backend.backend())
            if missing:
                raise ExportError(
                    f"{self.path}: Keras's exporter needs what is not "
                    f"installed: pip install {' '.join(missing)} "
                    f"({_short(error)})"
                ) from error
            self._fail(f"Keras's exporter fails: {_short(error)}", error)

    def compare(self, place: Path) -> Report:
        try:
            runtime = self.format.runtime(
                place, self.inputs.names, self.inputs.structure
            )
        except ExportError:
            raise
        except Exception as error:
            self._fail(f"the file does not load: {_short(error)}", error)
        worst = max(self._difference(runtime, t) for t in self.trials)
        return Report(
            self.path,
            self.format.name,
            tuple({len(t.arrays[0]): 0 for t in self.trials}),
            tuple({max(t.steps.values()): 0 for t in self.trials if t.steps}),
            self.batch_size is None,
            self.inputs.any_steps and self.steps is None,
            worst,
            min(self.later_halves, default=None),
        )

    def _difference(self, runtime: Runtime, trial: _Trial) -> float:
        try:
            outputs = runtime(trial.arrays)
        except Exception as error:
            self._fail(
                f"the file does not take {trial}: {_short(error)}", error
            )
        wanted = trial.outputs
        shapes = [x.shape for x in outputs], [x.shape for x in wanted]
        if shapes[0] != shapes[1]:
            self._fail(
                f"of {trial} the file's outputs have the shapes {shapes[0]}, "
                f"the model's {shapes[1]}"
            )
        worst = max(map(distance, outputs, wanted))
        if not worst <= self.tolerance:
            self._fail(
                f"of {trial} the file's outputs are {worst:.1e} from the "
                f"model's, in units of the largest; at most "
                f"{self.tolerance:.0e} was expected"
            )
        return worst

    def _fail(self, what: str, error: Exception | None = None) -> NoReturn:
        route = self._route()
        if route:
            what += f". What works for every layer and model of kseq: {route}"
        raise ExportError(f"{self.path}: {what}") from error

    def _route(self) -> str:
        """What else to do; "" where it was done."""
        backend, option = self.format.backend, self.format.option
        given = {
            "": True,
            "steps": self.steps is not None or not self.inputs.any_steps,
            "batch_size": self.batch_size is not None,
        }[option]
        here = keras.backend.backend() == backend
        if here and given:
            return ""
        route = "export it"
        if not here:
            route = (
                "save the model as .keras, load it under "
                f"KERAS_BACKEND={backend}, and export it there"
            )
        return route if given else f"{route} with a number for {option}="


def _check_place(path: Path, format: Format) -> None:
    """Refuse what cannot be written, or would be in place of another thing."""
    if not path.is_dir():
        check_writable("path", path)
    if not path.exists():
        return
    if format.suffix:
        if path.is_dir():
            raise_invalid("path", "a file", Unquoted(f"the folder {path}"))
    elif not (path / "saved_model.pb").is_file():
        raise_invalid("path", "a new folder, or a SavedModel's", str(path))


def _moved(whole: list[_Trial], halved: list[_Trial]) -> float:
    """How far the model's outputs go without a later half."""
    return max(
        distance(x, y)
        for without, trial in zip(halved, whole, strict=True)
        for x, y in zip(without.outputs, trial.outputs, strict=True)
    )


def distance(x: Any, y: Any) -> float:
    """The largest difference, in units of y's largest value."""
    if x.size == 0:
        return 0.0
    x, y = x.astype("float64"), y.astype("float64")
    same = np.isnan(x) & np.isnan(y) | (x == y)
    difference = np.where(same, 0.0, np.abs(x - y)).max()
    if difference == 0.0:
        return 0.0
    return float(difference / max(np.nanmax(np.abs(y)), 1e-30))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".!")
    return f"{type(error).__name__}: {text[:300]}{'...' * (len(text) > 300)}"
