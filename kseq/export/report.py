"""The result of comparing an exported file with its model."""

from dataclasses import dataclass
from pathlib import Path


class ExportError(ValueError):
    """The export failed, or the file does not compute what the model does."""


@dataclass(frozen=True)
class Report:
    """The result of a comparison in which the file agreed with the model.

    Args:
        path: the file, or the folder of a SavedModel.
        format: the name that Keras uses.
        batch_sizes: the batch sizes that were run.
        steps: the lengths of histories that were run (of the longest input);
            empty if every history of the model has a fixed length.
        any_batch_size: whether the file accepts every batch size, or only the
            one in `batch_sizes`.
        any_steps: whether the file accepts histories of every length; False if
            the model does not.
        difference: the largest difference from the model's outputs, divided by
            the output's largest value.
        later_half: by how much the model's outputs change, in the same unit,
            when the later half of its histories is set to 0: a file that
            ignores that half would differ by as much. The smallest change, if
            histories have several lengths; None if no input was recognised as a
            history.
        candidates: the numbers of candidates that were run; empty if the model
            does not take any number.
    """

    path: Path
    format: str
    batch_sizes: tuple[int, ...]
    steps: tuple[int, ...]
    any_batch_size: bool
    any_steps: bool
    difference: float
    later_half: float | None
    candidates: tuple[int, ...] = ()

    def __str__(self) -> str:
        runs = f"batches of {_join(self.batch_sizes)}"
        runs += " only" * (not self.any_batch_size)
        if self.steps:
            runs += f", histories of {_join(self.steps)} steps"
            runs += " only" * (not self.any_steps)
        if self.candidates:
            runs += f", {_join(self.candidates)} candidates"
        effect = "no input was recognised as a history"
        if self.later_half is not None:
            effect = (
                "later halves of histories change the outputs by "
                f"{self.later_half:.1e}"
            )
        return (
            f"{self.path}: {self.format}, run with {runs}; "
            f"largest difference {self.difference:.1e}; {effect}"
        )


def _join(sizes: tuple[int, ...]) -> str:
    return " and ".join(map(str, sizes))
