import json
import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kseq.checks import (
    Unquoted,
    check_items,
    check_optional_int,
    check_path,
    check_positive_int,
    raise_invalid,
)
from kseq.data.columns import Array, look_up, to_array
from kseq.files import replace_text, writing

PADDING_ID, OOV_ID, FIRST_ID = 0, 1, 2


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The ids of a feature's values: 0 is padding, 1 any unknown value.

    `Vocabulary.fit` collects the values of a log. Fit it on the events for
    training only, so that it does not know values of the future.

    Args:
        values: the known values, all strings or all integers. Their ids are 2,
            3, ...

    Returns:
        A vocabulary. `size` is the number of ids, which is the
        `vocabulary_size` of a `SparseFeat`.

    Raises:
        ValueError: values repeat, or are not all strings or all integers.

    Example:

    >>> from kseq.data import Vocabulary
    >>> colours = Vocabulary.fit(["red", "blue", "red", "green"], min_count=2)
    >>> colours.values, colours.size
    (('red',), 3)
    >>> colours.encode(["red", "green"])
    array([2, 1], dtype=int32)
    >>> colours.decode([2, 1, 0])
    ['red', None, None]
    """

    values: tuple[str | int, ...]

    def __post_init__(self) -> None:
        values = check_items(
            "values", self.values, (str, int), "strings or integers"
        )
        types = set(map(type, values))
        if not (types <= {str} or types <= {int}):
            names = Unquoted(", ".join(sorted(t.__name__ for t in types)))
            raise_invalid("values", "all strings or all integers", names)
        repeated = [v for v, count in Counter(values).items() if count > 1]
        if repeated:
            raise_invalid("values", "distinct values", repeated[0])
        object.__setattr__(self, "values", values)

    @classmethod
    def fit(
        cls, values: Any, *, min_count: int = 1, max_size: int | None = None
    ) -> "Vocabulary":
        """Return the vocabulary of a column's values, the most frequent first.

        Args:
            values: strings or integers: a list, an array or a data frame's
                column.
            min_count: values that occur less often are unknown.
            max_size: the largest `size`; None for no limit.
        """
        minimum = check_positive_int("min_count", min_count)
        limit = check_optional_int("max_size", max_size)
        counts = Counter(_strings_or_integers(values).tolist())
        # Not Counter.most_common, where the order of ties is that of the log.
        kept = sorted(
            (value for value, count in counts.items() if count >= minimum),
            key=lambda value: (-counts[value], value),
        )
        return cls(tuple(kept[: limit and max(limit - FIRST_ID, 0)]))

    @property
    def size(self) -> int:
        return len(self.values) + FIRST_ID

    def __repr__(self) -> str:
        return f"Vocabulary(size={self.size})"

    def encode(self, values: Any) -> Array:
        """Return the int32 ids of a list, a column or an array of any shape."""
        shape = values.shape if isinstance(values, np.ndarray) else (-1,)
        array = _strings_or_integers(
            values.ravel() if isinstance(values, np.ndarray) else values
        )
        if len(array) and self.values:
            known = str if array.dtype == object else int
            if not isinstance(self.values[0], known):
                expected = f"values like {self.values[0]!r}"
                raise_invalid("values", expected, array[0])
        ids = look_up(array, self._ids, OOV_ID)
        return ids.astype("int32").reshape(shape)

    def decode(self, ids: Any) -> list[str | int | None]:
        """Return the values of one-dimensional ids; None for ids 0 and 1."""
        array = to_array("ids", ids)
        if (
            array.dtype.kind not in "iu"
            or not ((array >= 0) & (array < self.size)).all()
        ):
            raise_invalid("ids", f"integers from 0 to {self.size - 1}", ids)
        known = (None,) * FIRST_ID + self.values
        return [known[i] for i in array.tolist()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, completely or not at all."""
        file = check_path("path", path)
        with writing("path", file):
            text = json.dumps({"values": self.values}, ensure_ascii=False)
            replace_text(file, text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Read a file of `save`."""
        file = check_path("path", path)
        try:
            values = json.loads(file.read_text("utf-8"))["values"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            received = Unquoted(f"{file}: {error!r}")
            raise_invalid("path", "a file of Vocabulary.save", received)
        return cls(values)

    @cached_property
    def _ids(self) -> dict[Any, int]:
        return {value: i for i, value in enumerate(self.values, FIRST_ID)}


def _strings_or_integers(values: Any) -> Array:
    array = to_array("values", values)
    if array.dtype.kind not in "iuO":
        raise_invalid("values", "strings or integers", array.dtype)
    return array
