from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kseq.checks import raise_invalid
from kseq.data.catalogue import Catalogue
from kseq.data.columns import Array


@dataclass(frozen=True, eq=False)
class Samples:
    """Training rows: inputs by name, labels, and the user and time of each row.

    `sequence_samples` returns them. `samples[rows]` selects rows by a slice, a
    mask or indices, and `len(samples)` is the number of rows.

    Args:
        inputs: an array, or `Ragged` sequences, for each input of a model.
        label: `(rows,)`, float32; `(rows, candidates)` for lists of candidates.
        user: `(rows,)`, the users as in the log.
        time: `(rows,)`, the times of the events.
        catalogue: the items of the log, which negatives are drawn from.

    Returns:
        The samples.

    Raises:
        ValueError: the rows to select are one integer.

    Example:

    >>> from kseq.data import sequence_samples
    >>> log = {"user": [1, 1, 2], "item": [5, 6, 5], "time": [10, 20, 30]}
    >>> samples = sequence_samples(log, steps=2)
    >>> later = samples[samples.time > 15]
    >>> len(later), later.inputs["item"]
    (2, array([6, 5], dtype=int32))
    """

    inputs: dict[str, Any]
    label: Array
    user: Array
    time: Array
    catalogue: Catalogue = field(repr=False)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Any) -> "Samples":
        index = np.arange(len(self))[rows]
        if index.ndim != 1:
            raise_invalid("rows", "a slice, a mask or indices", rows)
        return Samples(
            {name: x[index] for name, x in self.inputs.items()},
            self.label[index],
            self.user[index],
            self.time[index],
            self.catalogue,
        )
