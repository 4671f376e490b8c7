from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.checks import Unquoted, check_optional_int, raise_invalid
from kseq.data.columns import Array

CHUNK = 1 << 20  # elements, so that `pad` needs little memory for indices


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences of different lengths: slices of one array, without padding.

    Row `i` is `values[starts[i] : ends[i]]`. Slices may overlap, as the
    histories of a user's events do. `values` may be a memory-mapped file, of
    which only the selected rows are read.

    Args:
        values: `(n,)`, all steps.
        starts: `(rows,)`, the position of the first step of each row.
        ends: `(rows,)`, the position after the last step of each row.

    Returns:
        An object with the length `rows`; `lengths` are the rows' lengths, and
        `ragged[rows]` selects rows by a slice, a mask or indices.

    Raises:
        ValueError: `starts` and `ends` are not integers of one shape in the
            range of `values`.

    Example:

    >>> import numpy as np
    >>> from kseq.data import Ragged
    >>> clicks = Ragged(
    ...     np.array([5, 6, 7, 8]), np.array([0, 0, 1]), np.array([0, 3, 4])
    ... )
    >>> clicks.pad(4)
    array([[0, 0, 0, 0],
           [5, 6, 7, 0],
           [6, 7, 8, 0]])
    >>> clicks[1:].pad(2)  # the last steps
    array([[6, 7],
           [7, 8]])
    """

    values: Array
    starts: Array
    ends: Array

    def __post_init__(self) -> None:
        starts, ends = self.starts, self.ends
        integers = starts.dtype.kind in "iu" and ends.dtype.kind in "iu"
        if not (integers and starts.shape == ends.shape and starts.ndim == 1):
            raise_invalid(
                "starts and ends",
                "integers (rows,)",
                Unquoted(
                    f"{starts.dtype} {starts.shape} and {ends.dtype} "
                    f"{ends.shape}"
                ),
            )
        outside = (starts < 0) | (starts > ends) | (ends > len(self.values))
        if outside.any():
            row = outside.argmax()
            raise_invalid(
                "starts and ends",
                f"0 <= starts <= ends <= {len(self.values)}",
                Unquoted(f"{starts[row]} and {ends[row]} in row {row}"),
            )

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: Any) -> "Ragged":
        return Ragged(self.values, self.starts[rows], self.ends[rows])

    @property
    def lengths(self) -> Array:
        return self.ends - self.starts

    def pad(self, steps: int | None = None) -> Array:
        """Return `(rows, steps)`: the last steps of each row, then zeros.

        Args:
            steps: the number of steps; None for that of the longest row.
        """
        longest = int(self.lengths.max(initial=0))
        width = check_optional_int("steps", steps) or longest
        padded = np.zeros((len(self), width), self.values.dtype)
        if not longest:
            return padded
        step = np.arange(width)
        chunk = max(CHUNK // width, 1)
        for first in range(0, len(self), chunk):
            rows = slice(first, first + chunk)
            ends = self.ends[rows, None]
            index = np.maximum(self.starts[rows, None], ends - width) + step
            valid = index < ends
            padded[rows][valid] = self.values[index[valid]]
        return padded
