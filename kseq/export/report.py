"""What a check of an exported model finds."""

from dataclasses import dataclass
from pathlib import Path


class ExportError(ValueError):
    """A model was not exported, or a file does not compute what it does."""


@dataclass(frozen=True)
class Report:
    """A file that computes what its model does, as far as it was run.

    Args:
        path: the file, or SavedModel's folder.
        format: as Keras calls it.
        batch_sizes: those that were run.
        steps: the lengths of histories that were run (the longest input's);
            none for a model that takes one number of steps.
        any_batch_size: whether the file takes any; else the one of
            `batch_sizes`.
        any_steps: whether the file takes histories of any number of steps
            (False for a model that does not).
        difference: the largest from the model's outputs, in units of the
            output's largest value.
        later_half: how far the model's outputs go, in the same units, where the
            later half of its histories is 0: a file that ignores it would be
            found out (the least, where there are several lengths); None where
            no input was taken for a history.
    """

    path: Path
    format: str
    batch_sizes: tuple[int, ...]
    steps: tuple[int, ...]
    any_batch_size: bool
    any_steps: bool
    difference: float
    later_half: float | None

    def __str__(self) -> str:
        words = f"batches of {_words(self.batch_sizes)}"
        if not self.any_batch_size:
            words += " only"
        if self.steps:
            words += f", histories of {_words(self.steps)} steps"
            words += " only" * (not self.any_steps)
        matters = "no input was taken for a history"
        if self.later_half is not None:
            matters = f"later halves of histories matter {self.later_half:.1e}"
        return (
            f"{self.path}: {self.format}, run with {words}; "
            f"largest difference {self.difference:.1e}; {matters}"
        )


def _words(sizes: tuple[int, ...]) -> str:
    return " and ".join(map(str, sizes))
