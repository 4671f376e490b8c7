from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_int_below,
    check_items,
    check_positive_int,
    check_positive_ints,
    raise_invalid,
)
from kseq.data.columns import Array
from kseq.data.ragged import Ragged

SEQUENCES = ("hist_", "neg_hist_")
SHORTEST_BUCKET = 8


class BucketedBatches(keras.utils.PyDataset):
    """Batches of rows of similar length, padded to the same few lengths.

    A batch that is padded to its own bucket needs less time and memory than one
    that is padded to the longest history, and there are few shapes to compile.
    `fit`, `evaluate` and `predict` take it on every backend. The model must
    accept sequences of any length (`maxlen=None`).

    Args:
        inputs: an array, or `Ragged` sequences, for each input. All have the
            same number of rows. Memory-mapped arrays are read batch by batch.
        targets: an array; None for batches without targets.
        lengths: the name of the input with the rows' lengths, or these
            lengths.
        batch_size: the largest number of rows in a batch.
        buckets: the lengths to which sequences are padded, ascending; None for
            8, 16, 32, ... up to the longest row.
        sequences: the names of the arrays to cut to a bucket's length; None for
            those that start with "hist_" or "neg_hist_". `Ragged` inputs are
            sequences anyway.
        sample_weight: an array; None for equal weights.
        shuffle: whether to shuffle the rows of each bucket and the batches,
            differently in each epoch. `fit` shuffles batches too, unless it has
            `shuffle=False`.
        drop_remainder: whether to drop the last rows of a bucket that do not
            fill a batch, different ones in each epoch. For several devices.
        seed: an integer for the same order in each run; None for a new one.
        **kwargs: arguments of `keras.utils.PyDataset`, such as `workers`.

    Returns:
        A `keras.utils.PyDataset`. `order` has the numbers of the rows in the
        order of the batches: `scores[batches.order] = model.predict(batches)`.

    Raises:
        ValueError: inputs differ in their number of rows, there are no rows, a
            row is longer than the last bucket, or an argument is out of range.

    Example:

    >>> import numpy as np
    >>> from kseq.data import BucketedBatches
    >>> inputs = {
    ...     "hist_item": np.array([[1, 2, 3, 4], [5, 0, 0, 0], [6, 7, 0, 0]]),
    ...     "seq_length": np.array([4, 1, 2]),
    ... }
    >>> batches = BucketedBatches(inputs, buckets=[2, 4], shuffle=False)
    >>> for (x,) in batches:
    ...     print(x["hist_item"].tolist())
    [[5, 0], [6, 7]]
    [[1, 2, 3, 4]]
    """

    def __init__(
        self,
        inputs: Mapping[str, Array | Ragged],
        targets: Array | None = None,
        *,
        lengths: str | Array = "seq_length",
        batch_size: int = 256,
        buckets: Sequence[int] | None = None,
        sequences: Sequence[str] | None = None,
        sample_weight: Array | None = None,
        shuffle: bool = True,
        drop_remainder: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_size = check_positive_int("batch_size", batch_size)
        self.shuffle = check_bool("shuffle", shuffle)
        self.drop_remainder = check_bool("drop_remainder", drop_remainder)
        if seed is not None:
            check_int_below("seed", seed, 1 << 31)
        self.inputs: dict[str, Any] = dict(inputs)
        if isinstance(lengths, str):
            if lengths not in self.inputs:
                raise_invalid("lengths", f"one of {[*inputs]}", lengths)
            lengths = np.ravel(self.inputs[lengths])
        # Those that are left out are None.
        self.labels = {"targets": targets, "sample_weight": sample_weight}
        for name, array in (self.inputs | self.labels).items():
            if array is not None and len(array) != len(lengths):
                raise_invalid(name, f"{len(lengths)} rows", len(array))
        if sequences is None:
            sequences = [n for n in self.inputs if n.startswith(SEQUENCES)]
        self.sequences = check_items("sequences", sequences, str, "names")
        if unknown := {*self.sequences} - {*self.inputs}:
            raise_invalid("sequences", f"some of {[*inputs]}", sorted(unknown))
        self._rows = _group(lengths, buckets)
        self._rng = np.random.default_rng(seed)
        self._arrange()
        if not self._batches:
            received = f"{len(lengths)} rows, batch_size={self.batch_size}"
            raise_invalid(
                "inputs", "rows for at least one batch", Unquoted(received)
            )

    @property
    def order(self) -> Array:
        return np.concatenate([rows for _, rows in self._batches])

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        steps, rows = self._batches[index]
        x: dict[str, Array] = {}
        for name, values in self.inputs.items():
            selected = values[rows]
            if isinstance(selected, Ragged):
                x[name] = selected.pad(steps)
            elif name in self.sequences:
                x[name] = selected[:, :steps]
            else:
                x[name] = selected
        labels = [a if a is None else a[rows] for a in self.labels.values()]
        while labels and labels[-1] is None:
            labels.pop()
        return (x, *labels)

    def on_epoch_end(self) -> None:
        """Shuffle again."""
        self._arrange()

    def _arrange(self) -> None:
        size = self.batch_size
        batches = []
        for steps, rows in self._rows.items():
            if self.shuffle:
                rows = self._rng.permutation(rows)
            end = len(rows) - len(rows) % size
            if not self.drop_remainder:
                end = len(rows)
            batches += [
                # Sorted, to read a file forwards.
                (steps, np.sort(rows[i : min(i + size, end)]))
                for i in range(0, end, size)
            ]
        if self.shuffle:
            self._rng.shuffle(batches)
        # On TensorFlow, Keras takes the dimensions that differ between the
        # first two batches for those that vary.
        for i, (steps, _) in enumerate(batches):
            if steps != batches[0][0]:
                batches[1], batches[i] = batches[i], batches[1]
                break
        self._batches = batches


def _group(lengths: Array, buckets: Sequence[int] | None) -> dict[int, Array]:
    """Return the rows of each bucket, by its length."""
    longest = int(max(lengths.max(initial=0), 1))
    if buckets is None:
        limits = [SHORTEST_BUCKET]
        while limits[-1] < longest:
            limits.append(2 * limits[-1])
        limits[-1] = min(limits[-1], longest)
    else:
        limits = [*check_positive_ints("buckets", buckets)]
        if sorted({*limits}) != limits or limits[-1:] < [longest]:
            expected = f"ascending lengths, the last at least {longest}"
            raise_invalid("buckets", expected, buckets)
    bucket = np.searchsorted(limits, lengths)
    return {
        steps: np.flatnonzero(bucket == i).astype("int32")
        for i, steps in enumerate(limits)
    }
