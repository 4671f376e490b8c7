"""Descriptions of a model's features, from `deepctr.feature_column`."""

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
COMBINERS = ("sum", "mean", "max", "weighted_mean")

# The number of bits of the integers that each dtype holds exactly.
_INTEGER_BITS = {
    **{f"int{bits}": bits - 1 for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": bits for bits in (8, 16, 32, 64)},
    **{"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53},
}

# One object, so that columns with equal arguments are equal.
DEFAULT_INITIALIZER = keras.initializers.RandomNormal(stddev=0.0001)


# The name of an input, and its shape without the batch and its dtype.
InputSpec = tuple[str, tuple[Shape, str]]


class FeatureColumn(ABC):
    """The base class of all columns, for type annotations.

    Example:

    >>> from kseq.feature_column import DenseFeat, FeatureColumn, SparseFeat
    >>> columns: list[FeatureColumn] = [SparseFeat("item", 100)]
    >>> columns += [DenseFeat("price")]
    """

    name: str

    @abstractmethod
    def _input_specs(self) -> Iterable[InputSpec]:
        """Yield the inputs of a model that has this column."""


@dataclass(frozen=True)
class SparseFeat(FeatureColumn):
    """A feature with one id for each example, looked up in an embedding table.

    Args:
        name: the name of the feature and of its input.
        vocabulary_size: the number of ids, which are 0 to
            `vocabulary_size` - 1.
        embedding_dim: the width of the embeddings; 'auto' for 6 times the
            fourth root of `vocabulary_size`, rounded down before it is
            multiplied.
        use_hash: whether the ids need hashing. Models raise ValueError for
            True; the message shows how to hash before the model.
        vocabulary_path: a file that numbers the ids. Models raise ValueError
            for a path; the message shows how to look ids up before the model.
        dtype: the dtype of the input, which must hold every id. Models raise
            ValueError for "string", as for `use_hash`.
        embeddings_initializer: a Keras initializer or its name; None for a
            normal distribution with a standard deviation of 0.0001. For
            `keras.initializers.Constant(array)` models assign the array, and
            their configs do not contain it.
        embedding_name: the name of the table; columns of one `embedding_name`
            share a table. None for `name`.
        group_name: a name of a group of features. Models concatenate embeddings
            group by group, in the order of the groups' first columns.
        trainable: whether the table is trained.

    Returns:
        A frozen dataclass, hashed by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        A dataclass, not a tuple: `dataclasses.replace` changes a field.
        Arguments are checked. Columns with equal arguments are equal.

    Example:

    >>> from kseq.feature_column import SparseFeat
    >>> SparseFeat("item_id", 10_000, embedding_dim="auto").embedding_dim
    60
    """

    name: str
    vocabulary_size: int
    embedding_dim: int | str = 4
    use_hash: bool = False
    vocabulary_path: str | None = None
    dtype: str = "int32"
    embeddings_initializer: keras.Initializer | str | None = None
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
            initializer = DEFAULT_INITIALIZER
        embedding_name = self.embedding_name
        if embedding_name is None:
            embedding_name = self.name
        check_bool("use_hash", self.use_hash)
        if self.vocabulary_path is not None:
            check_instance(
                "vocabulary_path",
                self.vocabulary_path,
                str | os.PathLike,
                "a path or None",
            )
        dtype = _check_dtype(self.dtype, allow_strings=True)
        if size > 2 ** _INTEGER_BITS.get(dtype, 64):
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

    def _input_specs(self) -> Iterable[InputSpec]:
        yield self.name, ((1,), self.dtype)

    def __hash__(self) -> int:
        return hash(self.name)


def _set(column: Any, **fields: Any) -> None:
    """Set fields of a frozen dataclass to their validated values."""
    for field, value in fields.items():
        object.__setattr__(column, field, value)


def _sparsefeat_property(field: str) -> Any:
    return property(lambda self: getattr(self.sparsefeat, field))


@dataclass(frozen=True)
class VarLenSparseFeat(FeatureColumn):
    """A feature with a padded sequence of ids for each example.

    It also has the fields of its `sparsefeat`, such as `column.embedding_dim`.

    Args:
        sparsefeat: a `SparseFeat` with the name, the table and the dtype of the
            ids.
        maxlen: the length of the padded sequence; None if it varies between
            batches.
        combiner: how a sequence that is not a history is pooled: 'sum', 'mean',
            'max' or 'weighted_mean'. The first three pool steps that were
            multiplied by their weights, if any: 'mean' divides by the number of
            valid steps. 'weighted_mean' divides by the sum of the weights, and
            is 0 where this is 0.
        length_name: the name of the input of the sequences' lengths; None if
            padded steps have id 0.
        weight_name: the name of an input with a weight for each step; None for
            no weights.
        weight_norm: whether a softmax normalises the weights; 'weighted_mean'
            ignores it.
        values: the largest number of ids in a step, for steps that are sets,
            such as the genres of each film. The embeddings of a step's ids
            other than 0 are pooled by `combiner`. None for one id in each step.

    Returns:
        A frozen dataclass, hashed by its name.

    Raises:
        ValueError: an argument is out of range, 'weighted_mean' has no
            `weight_name`, or `values` has one.

    Differences from DeepCTR:
        Those of `SparseFeat`. `maxlen` may be None. `combiner` may be
        'weighted_mean'. `values` is new.

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
    values: int | None = None

    name = _sparsefeat_property("name")
    vocabulary_size = _sparsefeat_property("vocabulary_size")
    embedding_dim = _sparsefeat_property("embedding_dim")
    use_hash = _sparsefeat_property("use_hash")
    vocabulary_path = _sparsefeat_property("vocabulary_path")
    dtype = _sparsefeat_property("dtype")
    embeddings_initializer = _sparsefeat_property("embeddings_initializer")
    embedding_name = _sparsefeat_property("embedding_name")
    group_name = _sparsefeat_property("group_name")
    trainable = _sparsefeat_property("trainable")

    def __post_init__(self) -> None:
        check_instance(
            "sparsefeat", self.sparsefeat, SparseFeat, "a SparseFeat"
        )
        if self.maxlen is not None:
            _set(self, maxlen=check_positive_int("maxlen", self.maxlen))
        check_one_of("combiner", self.combiner, COMBINERS)
        for field in ("length_name", "weight_name"):
            if getattr(self, field) is not None:
                _check_name(field, getattr(self, field))
        if self.combiner == "weighted_mean" and self.weight_name is None:
            expected = "the name of an input for combiner='weighted_mean'"
            raise_invalid("weight_name", expected, None)
        check_bool("weight_norm", self.weight_norm)
        if self.values is not None:
            _set(self, values=check_positive_int("values", self.values))
            if self.weight_name is not None:
                expected = "None for steps of several values"
                raise_invalid("weight_name", expected, self.weight_name)

    def _input_specs(self) -> Iterable[InputSpec]:
        sizes = () if self.values is None else (self.values,)
        yield self.name, ((self.maxlen, *sizes), self.dtype)
        if self.weight_name is not None:
            yield self.weight_name, ((self.maxlen, 1), "float32")
        if self.length_name is not None:
            yield self.length_name, ((1,), "int32")

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class DenseFeat(FeatureColumn):
    """A numeric feature, which a model reads without an embedding.

    Args:
        name: the name of the feature and of its input.
        dimension: the number of values for each example.
        dtype: the dtype of the input.
        transform_fn: a function from a tensor `(batch, dimension)` to one
            `(batch, numbers)`: Python operators and `keras.ops`, or a Keras
            layer of a name that no layer of the model has. None for no
            transformation.

    Returns:
        A frozen dataclass, hashed by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        Those of `SparseFeat`. `transform_fn` is saved with the model, which
        loads without its code. It is called with a symbolic tensor, which
        functions of NumPy and of a backend do not accept.

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

    def _input_specs(self) -> Iterable[InputSpec]:
        yield self.name, ((self.dimension,), self.dtype)

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class VarLenDenseFeat(FeatureColumn):
    """Numbers of each step of a history: a price, a time gap, a text's vector.

    The candidate has a `DenseFeat` of the name without the history's prefix,
    whose `transform_fn` applies to the steps too.

    Args:
        name: the name of the feature and of its input.
        maxlen: the length of the padded history; None if it varies between
            batches.
        dimension: the number of values for each step.
        dtype: the dtype of the input.

    Returns:
        A frozen dataclass, hashed by its name.

    Raises:
        ValueError: an argument is out of range.

    Differences from DeepCTR:
        DeepCTR does not have it.

    Example:

    >>> from kseq.feature_column import DenseFeat, VarLenDenseFeat
    >>> columns = [DenseFeat("price"), VarLenDenseFeat("hist_price", maxlen=4)]
    >>> columns[1].dimension
    1
    """

    name: str
    maxlen: int | None
    dimension: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        if self.maxlen is not None:
            _set(self, maxlen=check_positive_int("maxlen", self.maxlen))
        dimension = check_positive_int("dimension", self.dimension)
        _set(self, dimension=dimension)
        _check_dtype(self.dtype)

    def _input_specs(self) -> Iterable[InputSpec]:
        yield self.name, ((self.maxlen, self.dimension), self.dtype)

    def __hash__(self) -> int:
        return hash(self.name)


LIST_OF_COLUMNS = (
    "a list of SparseFeat, VarLenSparseFeat, DenseFeat and VarLenDenseFeat"
)


def get_feature_names(feature_columns: Iterable[FeatureColumn]) -> list[str]:
    """Return the names of the inputs of columns, in order, without duplicates.

    Args:
        feature_columns: the columns, which may contain duplicates.

    Returns:
        The names of the columns, each followed by its inputs of weights and
        lengths.

    Raises:
        ValueError: `feature_columns` has other items, or two columns have an
            input of one name with different shapes or dtypes.

    Example:

    >>> from kseq.feature_column import SparseFeat, get_feature_names
    >>> get_feature_names([SparseFeat("user", 10), SparseFeat("item", 10)])
    ['user', 'item']
    """
    return list(_input_specs(feature_columns))


def build_input_features(
    feature_columns: Iterable[FeatureColumn], prefix: str = ""
) -> dict[str, Tensor]:
    """Create the symbolic inputs of columns.

    Args:
        feature_columns: the columns, which may contain duplicates.
        prefix: a prefix of the inputs' names.

    Returns:
        A dict of a `keras.Input` for each of `get_feature_names`: ids
        `(batch, 1)`, `(batch, maxlen)` or `(batch, maxlen, values)`, numbers
        `(batch, dimension)` or `(batch, maxlen, dimension)`, weights `(batch,
        maxlen, 1)`, lengths `(batch, 1)`.

    Raises:
        ValueError: as `get_feature_names`, or `prefix` is not a string.

    Example:

    >>> from kseq.feature_column import DenseFeat, build_input_features
    >>> build_input_features([DenseFeat("price")], prefix="my_")["price"].name
    'my_price'
    """
    check_instance("prefix", prefix, str, "a string")
    return {
        name: keras.Input(shape, name=prefix + name, dtype=dtype)
        for name, (shape, dtype) in _input_specs(feature_columns).items()
    }


def _input_specs(
    columns: Iterable[FeatureColumn],
) -> dict[str, tuple[Shape, str]]:
    """Return the shape and dtype of each input by name."""
    specs: dict[str, tuple[Shape, str]] = {}
    for column in check_items(
        "feature_columns", columns, FeatureColumn, LIST_OF_COLUMNS
    ):
        for name, spec in column._input_specs():
            if specs.setdefault(name, spec) != spec:
                raise_invalid(
                    "feature_columns",
                    f"one shape and dtype for the input {name!r}",
                    Unquoted(f"{specs[name]} and {spec}"),
                )
    return specs


def _check_name(argument: str, name: Any) -> str:
    # The paths of weights are names joined by '/'.
    if not isinstance(name, str) or not name or "/" in name:
        raise_invalid(argument, "a name without '/'", name)
    return name


def _check_dtype(dtype: Any, allow_strings: bool = False) -> str:
    expected = "the name of a numeric dtype"
    # None would be Keras's default dtype.
    check_instance("dtype", dtype, str, expected)
    try:
        name = str(keras.backend.standardize_dtype(dtype))
    except ValueError:
        raise_invalid("dtype", expected, dtype)
    if name not in _INTEGER_BITS and not (allow_strings and name == "string"):
        raise_invalid("dtype", expected, dtype)
    return name


def _check_initializer(initializer: Any) -> None:
    expected = "a Keras initializer, its name or None"
    try:
        found = keras.initializers.get(initializer)
    except (TypeError, ValueError):
        raise_invalid("embeddings_initializer", expected, initializer)
    # Keras accepts arrays on some backends only; Constant(array) works on all.
    if isinstance(initializer, np.ndarray | np.generic) or not callable(found):
        raise_invalid("embeddings_initializer", expected, initializer)
