"""DeepCTR's way to say what a model is given: `deepctr.feature_column`."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_instance,
    check_items,
    check_one_of,
    check_positive_int,
    raise_invalid,
)
from kseq.types import Shape, Tensor

DEFAULT_GROUP_NAME = "default_group"
PATHS = str | os.PathLike  # type: ignore[type-arg]
COMBINERS = ("sum", "mean", "max")

# How many bits of a whole number each dtype holds exactly.
BITS = {
    **{f"int{bits}": bits - 1 for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": bits for bits in (8, 16, 32, 64)},
    **{"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53},
}

# One object, so that columns declared alike are equal.
_DEFAULT_INITIALIZER = keras.initializers.RandomNormal(
    mean=0.0, stddev=0.0001, seed=2020
)


# An input's name, and its shape and dtype.
Input = tuple[str, tuple[Shape, str]]


class FeatureColumn(ABC):
    """A `SparseFeat`, `VarLenSparseFeat` or `DenseFeat`: for annotations.

    Example:

    >>> from kseq.feature_column import DenseFeat, FeatureColumn, SparseFeat
    >>> columns: list[FeatureColumn] = [SparseFeat("item", 100)]
    >>> columns += [DenseFeat("price")]
    """

    name: str

    @abstractmethod
    def _inputs(self) -> Iterable[Input]:
        """What a model that has this column is given."""


@dataclass(frozen=True)
class SparseFeat(FeatureColumn):
    """A feature with one id for each example, which an embedding table holds.

    Args:
        name: the feature's name, which is its input's.
        vocabulary_size: how many ids there are: 0 to `vocabulary_size` - 1.
        embedding_dim: the width of an id's embedding; 'auto': 6 times the
            fourth root of `vocabulary_size`, the root rounded down.
        use_hash: whether the ids are still to be hashed. Models refuse True and
            say how to hash before the model.
        vocabulary_path: a file that numbers the ids. Models refuse it and say
            how to look the ids up before the model.
        dtype: the input's dtype, which can hold every id; "string": as
            `use_hash`.
        embeddings_initializer: the table's starting values, a Keras initializer
            or its name; None: normal with a deviation of 0.0001.
        embedding_name: the table's name; columns of one `embedding_name` share
            their table. None: `name`.
        group_name: a word of the user's. A model takes groups one by one, in
            the order in which they first appear.
        trainable: whether the table is trained.

    Returns:
        A frozen dataclass that hashes by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        A dataclass, not a tuple: `dataclasses.replace` changes a field.
        Arguments are checked. Columns declared alike are equal.

    Example:

    >>> from kseq.feature_column import SparseFeat
    >>> SparseFeat("item_id", 10_000, embedding_dim="auto").embedding_dim
    60
    """

    name: str
    vocabulary_size: int
    embedding_dim: Any = 4
    use_hash: bool = False
    vocabulary_path: str | None = None
    dtype: str = "int32"
    embeddings_initializer: Any = None
    embedding_name: str | None = None
    group_name: str = DEFAULT_GROUP_NAME
    trainable: bool = True

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        size = check_positive_int("vocabulary_size", self.vocabulary_size)
        dim = self.embedding_dim
        if isinstance(dim, str) and dim == "auto":
            dim = 6 * int(size**0.25)
        elif isinstance(dim, str):
            raise_invalid("embedding_dim", "a positive integer or 'auto'", dim)
        initializer = self.embeddings_initializer
        if initializer is None:
            initializer = _DEFAULT_INITIALIZER
        embedding_name = self.embedding_name
        if embedding_name is None:
            embedding_name = self.name
        check_bool("use_hash", self.use_hash)
        if self.vocabulary_path is not None:
            check_instance(
                "vocabulary_path", self.vocabulary_path, PATHS, "a path or None"
            )
        dtype = _check_dtype(self.dtype, strings=True)
        if dtype in BITS and size > 2 ** BITS[dtype]:
            expected = f"a dtype that holds all ids below {size}"
            raise_invalid("dtype", expected, self.dtype)
        _check_initializer(initializer)
        _check_name("group_name", self.group_name)
        check_bool("trainable", self.trainable)
        _set(
            self,
            vocabulary_size=size,
            embedding_dim=check_positive_int("embedding_dim", dim),
            embeddings_initializer=initializer,
            embedding_name=_check_name("embedding_name", embedding_name),
        )

    def _inputs(self) -> Iterable[Input]:
        yield self.name, ((1,), self.dtype)

    def __hash__(self) -> int:
        return hash(self.name)


def _set(column: Any, **fields: Any) -> None:
    """Fields as they are kept: Keras takes no integers of NumPy for sizes."""
    for field, value in fields.items():
        object.__setattr__(column, field, value)


def _of_sparsefeat(field: str) -> Any:
    return property(lambda self: getattr(self.sparsefeat, field))


@dataclass(frozen=True)
class VarLenSparseFeat(FeatureColumn):
    """A feature with a padded sequence of ids for each example.

    It has all fields of its `sparsefeat`, too: `column.embedding_dim`.

    Args:
        sparsefeat: name, table and so on of the ids.
        maxlen: the steps of the padded sequence; None: not known, another
            number each batch.
        combiner: how the sequence becomes one vector where it is no history:
            'sum', 'mean' or 'max'.
        length_name: the input that holds the sequences' lengths. None: ids that
            are 0 are padding.
        weight_name: the input that holds a weight for each step; None: none.
        weight_norm: whether the weights go through a softmax.

    Returns:
        A frozen dataclass that hashes by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        As `SparseFeat`. `maxlen=None` works.

    Example:

    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> item = SparseFeat("hist_item_id", 100, embedding_name="item_id")
    >>> VarLenSparseFeat(item, maxlen=None, length_name="seq_length").name
    'hist_item_id'
    """

    sparsefeat: SparseFeat
    maxlen: int | None
    combiner: str = "mean"
    length_name: str | None = None
    weight_name: str | None = None
    weight_norm: bool = True

    name = _of_sparsefeat("name")
    vocabulary_size = _of_sparsefeat("vocabulary_size")
    embedding_dim = _of_sparsefeat("embedding_dim")
    use_hash = _of_sparsefeat("use_hash")
    vocabulary_path = _of_sparsefeat("vocabulary_path")
    dtype = _of_sparsefeat("dtype")
    embeddings_initializer = _of_sparsefeat("embeddings_initializer")
    embedding_name = _of_sparsefeat("embedding_name")
    group_name = _of_sparsefeat("group_name")
    trainable = _of_sparsefeat("trainable")

    def __post_init__(self) -> None:
        if not isinstance(self.sparsefeat, SparseFeat):
            raise_invalid("sparsefeat", "a SparseFeat", self.sparsefeat)
        if self.maxlen is not None:
            _set(self, maxlen=check_positive_int("maxlen", self.maxlen))
        check_one_of("combiner", self.combiner, COMBINERS)
        for field in ("length_name", "weight_name"):
            if getattr(self, field) is not None:
                _check_name(field, getattr(self, field))
        check_bool("weight_norm", self.weight_norm)

    def _inputs(self) -> Iterable[Input]:
        yield self.name, ((self.maxlen,), self.dtype)
        if self.weight_name is not None:
            yield self.weight_name, ((self.maxlen, 1), "float32")
        if self.length_name is not None:
            yield self.length_name, ((1,), "int32")

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class DenseFeat(FeatureColumn):
    """A feature of numbers that a model takes as they are.

    Args:
        name: the feature's name, which is its input's.
        dimension: how many numbers there are for each example.
        dtype: the input's dtype.
        transform_fn: a function of the tensor `(batch, dimension)`, made of
            operators and `keras.ops`, or a Keras layer, with a name that the
            model does not have; it gives `(batch, numbers)`. None: none.

    Returns:
        A frozen dataclass that hashes by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        As `SparseFeat`. What `transform_fn` computes is saved with the model
        and needs no code of the user's to load; it is called with a symbolic
        tensor, which NumPy's functions and a backend's own do not take.

    Example:

    >>> from kseq.feature_column import DenseFeat
    >>> DenseFeat("price", transform_fn=lambda x: (x - 3.0) / 4.2).dimension
    1
    """

    name: str
    dimension: int = 1
    dtype: str = "float32"
    transform_fn: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        dimension = check_positive_int("dimension", self.dimension)
        _set(self, dimension=dimension)
        _check_dtype(self.dtype)
        if self.transform_fn is not None and not callable(self.transform_fn):
            raise_invalid(
                "transform_fn", "a function or None", self.transform_fn
            )

    def _inputs(self) -> Iterable[Input]:
        yield self.name, ((self.dimension,), self.dtype)

    def __hash__(self) -> int:
        return hash(self.name)


COLUMNS = "a list of SparseFeat, VarLenSparseFeat and DenseFeat"


def get_feature_names(feature_columns: Iterable[FeatureColumn]) -> list[str]:
    """The names of the inputs of some columns, in their order, each once.

    Args:
        feature_columns: the columns; one may be there twice.

    Returns:
        The columns' names, and those of lengths and weights after their own.

    Raises:
        ValueError: something else is among the columns, or two ask for inputs
            of one name that differ.

    Example:

    >>> from kseq.feature_column import SparseFeat, get_feature_names
    >>> get_feature_names([SparseFeat("user", 10), SparseFeat("item", 10)])
    ['user', 'item']
    """
    return list(_inputs(feature_columns))


def build_input_features(
    feature_columns: Iterable[FeatureColumn], prefix: str = ""
) -> dict[str, Tensor]:
    """The symbolic inputs of some columns.

    Args:
        feature_columns: the columns; one may be there twice.
        prefix: stands before the inputs' names.

    Returns:
        A `keras.Input` for each of `get_feature_names`: ids `(batch, 1)` or
        `(batch, maxlen)`, numbers `(batch, dimension)`, weights
        `(batch, maxlen, 1)`, lengths `(batch, 1)`.

    Raises:
        ValueError: as `get_feature_names`, or `prefix` is no word.

    Example:

    >>> from kseq.feature_column import DenseFeat, build_input_features
    >>> build_input_features([DenseFeat("price")], prefix="my_")["price"].name
    'my_price'
    """
    check_instance("prefix", prefix, str, "a word")
    return {
        name: keras.Input(shape, name=prefix + name, dtype=dtype)
        for name, (shape, dtype) in _inputs(feature_columns).items()
    }


def _inputs(
    columns: Iterable[FeatureColumn],
) -> dict[str, tuple[Shape, str]]:
    """Shape and dtype of each input by its name."""
    found: dict[str, tuple[Shape, str]] = {}
    columns = check_items("feature_columns", columns, FeatureColumn, COLUMNS)
    for column in columns:
        for name, told in column._inputs():
            if found.setdefault(name, told) != told:
                raise_invalid(
                    "feature_columns",
                    f"one shape and dtype for the input {name!r}",
                    Unquoted(f"{found[name]} and {told}"),
                )
    return found


def _check_name(argument: str, name: Any) -> str:
    # Keras makes the paths of weights of names.
    if not isinstance(name, str) or not name or "/" in name:
        raise_invalid(argument, "a name without '/'", name)
    return name


def _check_dtype(dtype: Any, strings: bool = False) -> str:
    # A word: Keras takes None for its default, and a list for nothing it knows.
    expected = "the name of a dtype of numbers"
    check_instance("dtype", dtype, str, expected)
    try:
        found = str(keras.backend.standardize_dtype(dtype))
    except ValueError:
        raise_invalid("dtype", expected, dtype)
    if found not in BITS and not (strings and found == "string"):
        raise_invalid("dtype", expected, dtype)
    return found


def _check_initializer(initializer: Any) -> None:
    try:
        # Not an array, which some backends take: Constant(array) says it.
        made = not isinstance(
            initializer, np.ndarray | np.generic
        ) and callable(keras.initializers.get(initializer))
    except (TypeError, ValueError):
        made = False
    if not made:
        raise_invalid(
            "embeddings_initializer",
            "a Keras initializer, its name or None",
            initializer,
        )
