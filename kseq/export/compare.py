"""Export a model, and compare the file's outputs with the model's."""

import warnings
from collections.abc import Iterable
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
    Arrays,
    count_candidates,
    history_lengths,
    model_inputs,
    resize_histories,
    take_candidates,
    take_rows,
    to_arrays,
    zero_later_halves,
)
from kseq.export.formats import Format, resolve_format
from kseq.export.report import ExportError, Report
from kseq.export.runtimes import Runtime, dynamic_shapes
from kseq.files import check_writable, replacing_path

TOLERANCE = 1e-5
# A file that ignores the later half of a history returns the same outputs with
# and without it. If the model's outputs are four tolerances apart, the file
# cannot be within one tolerance of both.
MIN_EFFECT = 4


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
    """Export a model to another runtime, and verify the file there.

    `model.export` writes to a temporary folder; the file is compared with the
    model as by `check`; only then does it replace the file at `path`.

    Args:
        model: a functional or sequential model.
        path: ends with ".onnx", ".xml" (OpenVINO), ".tflite" (LiteRT) or ".pt2"
            (torch.export); a folder for a SavedModel.
        example_inputs: arrays as `model.predict` takes them, by name or in the
            model's order. The model is compared on these, so include histories
            as long as those that will be served, with valid steps.
        format: "onnx", "openvino", "litert", "torch" or "tf_saved_model"; by
            default the suffix of `path` decides.
        batch_size: the only batch size that the file accepts. None: any.
        steps: the only history length that the file accepts, for inputs of
            which the model accepts any length. None: any, like the model. A
            model of a known length also accepts this one.
        tolerance: the largest accepted difference from the model, divided by
            the output's largest value.

    Returns:
        What was run and compared.

    Raises:
        ExportError: a ValueError. Keras's exporter failed, a package is
            missing, or the file does not compute what the model does. The
            message names a route that works. The old file at `path` is kept.
        ValueError: an argument is invalid; or the model's outputs hardly depend
            on the later half of its histories, as before training, so that a
            file that ignores it would pass.

    Example:

    >>> import dataclasses, os, tempfile
    >>> import keras
    >>> import numpy as np
    >>> from kseq.export import export
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> # Large embeddings stand in for training.
    >>> initializer = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    >>> item = SparseFeat("item", 100, 8, embeddings_initializer=initializer)
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
    comparison = _Comparison(
        model, path, example_inputs, format, batch_size, steps, tolerance
    )
    _check_target(path, comparison.format)
    with replacing_path(path) as new_path:
        comparison.write(new_path)
        return comparison.run(new_path)


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
    """Run an exported file in its runtime, and compare it with the model.

    The file is run with the rows of `example_inputs` and with another number of
    rows; with the histories as given, with their later half set to 0, and cut
    to about half their length. This detects files that silently keep the batch
    size or the history length of the example that the exporter traced.

    Arguments and errors are those of `export`. Pass `batch_size` and `steps` if
    the file was exported with them.
    """
    path = check_path("path", path)
    comparison = _Comparison(
        model, path, example_inputs, format, batch_size, steps, tolerance
    )
    if not path.exists():
        raise_invalid(
            "path", "an exported model", Unquoted(f"{path}, which is not there")
        )
    return comparison.run(path)


@dataclass(frozen=True)
class _Trial:
    """Inputs for the model and the file, with the model's outputs.

    Args:
        arrays: the inputs.
        outputs: the model's outputs.
        lengths: the lengths of histories that may have any length.
        candidates: the number of candidates, if it may be any.
        zeroed: the histories whose later half is 0.
    """

    arrays: Arrays
    outputs: Arrays
    lengths: list[int]
    candidates: int | None
    zeroed: list[str]

    def __str__(self) -> str:
        rows = len(self.arrays[0])
        parts = [f"a batch of {rows} row{'s' * (rows != 1)}"]
        if self.lengths:
            steps = "/".join(map(str, self.lengths))
            parts.append(f"histories of {steps} steps")
        if n := self.candidates:
            parts.append(f"{n} candidate{'s' * (n != 1)}")
        text = " and ".join(parts)
        if self.zeroed:
            text += f" (0 in the later half of {', '.join(self.zeroed)})"
        return text


class _Comparison:
    """A model, and the trials that compare an exported file with it."""

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
        self.model, self.path = model, path
        self.inputs = model_inputs(model)
        self.format = resolve_format(path, format)
        for name, size in {"batch_size": batch_size, "steps": steps}.items():
            if size is not None:
                check_positive_int(name, size)
        if steps is not None and not self.inputs.any_steps:
            known = self.inputs.known_steps
            if steps not in known:
                raise_invalid("steps", f"None or one of {known}", steps)
        self.batch_size, self.steps = batch_size, steps
        self.tolerance = check_number(
            "tolerance", tolerance, 0.0, 1.0, "a number in [0, 1)"
        )
        self.trials: list[_Trial] = []
        self.effects: list[float] = []  # of later halves
        self._add_trials(to_arrays(self.inputs, example_inputs))

    def _add_trials(self, arrays: Arrays) -> None:
        full, *shorter = (
            resize_histories(self.inputs, arrays, lengths)
            for lengths in self._length_changes(arrays)
        )
        full_trials = self._make_trials(full)
        self.trials += full_trials
        for names, zeroed in zero_later_halves(self.inputs, full):
            trials = self._make_trials(zeroed, *names)
            self.trials += trials
            effect = max(
                largest_difference(x.outputs, y.outputs)
                for x, y in zip(trials, full_trials, strict=True)
            )
            self.effects.append(effect)
            self._check_effect(names, effect)
        for resized in shorter:
            self.trials += self._make_trials(resized)

    def _length_changes(self, arrays: Arrays) -> list[dict[int, int]]:
        """New lengths of histories by old length, one dict for each run."""
        lengths = history_lengths(self.inputs, arrays)
        if self.steps is not None:
            return [dict.fromkeys(lengths, self.steps)]
        if not lengths:
            return [{}]
        if max(lengths) < 2:
            raise_invalid(
                "example_inputs", "histories of at least 2 steps", lengths
            )
        return [{n: n for n in lengths}, {n: (n + 1) // 2 for n in lengths}]

    def _make_trials(self, arrays: Arrays, *zeroed: str) -> list[_Trial]:
        lengths = history_lengths(self.inputs, arrays)
        rows, size = len(arrays[0]), self.batch_size
        if size is None:
            batches = [range(rows), range(1 if rows > 1 else 2)]
        else:
            batches = [range(i, i + size) for i in range(0, rows, size)]
        (count, *_) = *count_candidates(self.inputs, arrays), None
        sizes = [(batch, count) for batch in batches]
        if count is not None:
            sizes.append((batches[0], 1 if count > 1 else 2))
        trials = []
        for batch, n in sizes:
            x = take_rows(arrays, batch)
            if n is not None:
                x = take_candidates(self.inputs, x, n)
            trials.append(_Trial(x, self._predict(x), lengths, n, [*zeroed]))
        return trials

    def _predict(self, arrays: Arrays) -> Arrays:
        tensors = [ops.convert_to_tensor(x) for x in arrays]
        outputs = self.model(self.inputs.pack(tensors), training=False)
        return [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]

    def _check_effect(self, names: list[str], effect: float) -> None:
        minimum = MIN_EFFECT * self.tolerance
        if not effect > minimum:
            raise_invalid(
                "model and example_inputs",
                "outputs that change by more than "
                f"{minimum:.0e} of the largest when the later half of "
                f"{', '.join(names)} is set to 0; otherwise a file that ignores"
                " it would pass (train the model first, or pass larger initial "
                "values by embeddings_initializer=; include rows with full "
                "histories)",
                Unquoted(f"{effect:.1e}"),
            )

    def write(self, path: Path) -> None:
        """Export the model to a path."""
        signature = self.inputs.signature(self.batch_size, self.steps)
        options: dict[str, Any] = {}
        if self.format.name == "torch":
            # PyTorch fixes every size that is not declared dynamic.
            options["dynamic_shapes"] = dynamic_shapes(signature)
        if (keras.backend.backend(), self.format.name) == ("torch", "litert"):
            # Keras enables it only for the first conversion of a process, and
            # 64-bit ids fail in the second.
            options["enable_x64"] = True
        if (keras.backend.backend(), self.format.name) == (
            "jax",
            "tf_saved_model",
        ):
            # Without it, Keras gives each unknown size another name, and JAX
            # cannot join two features of a history.
            example = self.trials[0].arrays
            shapes = self.inputs.symbolic_shapes(signature, example)
            options["jax2tf_kwargs"] = {"polymorphic_shapes": shapes}
        try:
            with warnings.catch_warnings():
                # The comparison shows whether a warning was justified.
                warnings.simplefilter("ignore")
                self.model.export(
                    str(path),
                    format=self.format.name,
                    verbose=False,
                    input_signature=signature,
                    **options,
                )
        except Exception as error:
            missing = self.format.missing_packages(keras.backend.backend())
            if missing:
                raise ExportError(
                    f"{self.path}: the exporter needs missing packages: "
                    f"pip install {' '.join(missing)} ({_shorten(error)})"
                ) from error
            self._fail(f"Keras's exporter fails: {_shorten(error)}", error)

    def run(self, path: Path) -> Report:
        """Run the file at a path on every trial, and compare its outputs."""
        try:
            runtime = self.format.load(path, self.inputs)
        except ExportError:
            raise
        except Exception as error:
            self._fail(f"the file does not load: {_shorten(error)}", error)
        worst = max(self._difference(runtime, trial) for trial in self.trials)
        return Report(
            self.path,
            self.format.name,
            tuple(dict.fromkeys(len(t.arrays[0]) for t in self.trials)),
            tuple(
                dict.fromkeys(t.lengths[-1] for t in self.trials if t.lengths)
            ),
            self.batch_size is None,
            self.inputs.any_steps and self.steps is None,
            worst,
            min(self.effects, default=None),
            tuple(
                dict.fromkeys(t.candidates for t in self.trials if t.candidates)
            ),
        )

    def _difference(self, runtime: Runtime, trial: _Trial) -> float:
        try:
            outputs = runtime(trial.arrays)
        except Exception as error:
            self._fail(f"the file fails on {trial}: {_shorten(error)}", error)
        shapes, expected = (
            [x.shape for x in arrays] for arrays in (outputs, trial.outputs)
        )
        if shapes != expected:
            self._fail(
                f"on {trial} the file's outputs have the shapes {shapes}, the "
                f"model's {expected}"
            )
        difference = largest_difference(outputs, trial.outputs)
        if difference > self.tolerance:
            self._fail(
                f"on {trial} the file's outputs are {difference:.1e} away from "
                "the model's, relative to the largest value; the tolerance is "
                f"{self.tolerance:.0e}"
            )
        return difference

    def _fail(self, reason: str, error: Exception | None = None) -> NoReturn:
        route = self._route()
        if route:
            reason += f". What works for every layer and model of kseq: {route}"
        raise ExportError(f"{self.path}: {reason}") from error

    def _route(self) -> str:
        """The route that works; "" if it was taken."""
        backend, option = self.format.backend, self.format.option
        has_option = {
            "": True,
            "steps": self.steps is not None or not self.inputs.any_steps,
            "batch_size": self.batch_size is not None,
        }[option]
        route = "export it"
        if keras.backend.backend() != backend:
            route = (
                "save the model as .keras, load it under "
                f"KERAS_BACKEND={backend}, and export it there"
            )
        elif has_option:
            return ""
        return route if has_option else f"{route} with a number for {option}="


def _check_target(path: Path, format: Format) -> None:
    """Reject a path that is not writable, or that holds something else."""
    is_saved_model = (path / "saved_model.pb").is_file()
    if not path.is_dir():
        check_writable("path", path)
    elif format.suffix:
        raise_invalid("path", "a file", Unquoted(f"the folder {path}"))
    if path.exists() and not format.suffix and not is_saved_model:
        raise_invalid("path", "a new folder, or a SavedModel's", str(path))


def largest_difference(found: Iterable[Any], expected: Iterable[Any]) -> float:
    """The largest relative difference between two lists of arrays."""
    return max(map(relative_difference, found, expected))


def relative_difference(found: Any, expected: Any) -> float:
    """The largest difference, divided by the largest finite expected value.

    NaN and infinity must be in the same places; otherwise the result is inf.
    """
    found, expected = found.astype("float64"), expected.astype("float64")
    different = found != expected
    different &= ~(np.isnan(found) & np.isnan(expected))
    if not different.any():
        return 0.0
    difference = np.abs(found[different] - expected[different]).max()
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=1e-30)
    return np.inf if np.isnan(difference) else float(difference / largest)


def _shorten(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".!")
    return f"{type(error).__name__}: {text[:300]}{'...' * (len(text) > 300)}"
