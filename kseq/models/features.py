"""From feature columns to embeddings, and from vectors to a click model."""

import functools
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kseq.checks import (
    Unquoted,
    check_instance,
    check_items,
    check_nonnegative,
    check_optional_int,
    check_positive_ints,
    check_rate,
    raise_invalid,
)
from kseq.feature_column import (
    DEFAULT_GROUP_NAME,
    DEFAULT_INITIALIZER,
    LIST_OF_COLUMNS,
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    build_input_features,
)
from kseq.layers.base import (
    check_seed,
    copy_initializer,
    nth_seed,
    serialize,
)
from kseq.layers.core import DNN, Embedding, PredictionLayer
from kseq.layers.core.activation import check_activation
from kseq.layers.sequence import SequencePoolingLayer, WeightedSequenceLayer
from kseq.models.click_model import ClickModel
from kseq.models.parts import (
    CandidateScores,
    EachSequence,
    History,
    JoinFeatures,
    UserState,
    valid_ids,
)
from kseq.types import Tensor

# What columns that share a table must agree on.
TABLE_FIELDS = (
    "vocabulary_size",
    "embedding_dim",
    "embeddings_initializer",
    "trainable",
)


class Features:
    """The symbolic inputs and the embedding tables of a model's columns.

    A table has the name that DeepCTR gives it: that of the last column that
    shares it, where sequence columns follow the others.

    Args:
        columns: the columns of all features.
        candidate_names: the names of the candidate's features.
        l2_reg: the strength of the L2 penalty on the embedding tables.
        argument: the model's argument for `candidate_names`.
        numbered: True for the table names of DeepCTR's DSIN, which contain the
            number of the column, and where sequence columns come first.
        candidate_feature_list: the names of other columns of the candidate.
        num_candidates: the candidates of an example; None: any number.
        embedding_layer: returns a table's layer; see `DIN`.

    Attributes:
        sparse, varlen, dense: the columns by kind.
        sequences: the columns of sequences of ids or numbers.
        candidate: the columns of the candidate that histories have.
        candidate_inputs: the names of all inputs of the candidate.
        vocabulary_sizes: the number of rows of the tables that inputs were
            looked up in, by the input's name.
    """

    def __init__(
        self,
        columns: Iterable[FeatureColumn],
        candidate_names: Sequence[str],
        l2_reg: float,
        seed: int | None,
        argument: str = "history_feature_list",
        numbered: bool = False,
        candidate_feature_list: Sequence[str] = (),
        num_candidates: int | None = 1,
        embedding_layer: Callable[..., keras.Layer] = Embedding,
    ) -> None:
        columns = check_items(
            "dnn_feature_columns", columns, FeatureColumn, LIST_OF_COLUMNS
        )
        self.num_candidates = check_optional_int(
            "num_candidates", num_candidates
        )
        self._inputs = build_input_features(columns)
        self._used: set[str] = set()
        self.sparse = [c for c in columns if isinstance(c, SparseFeat)]
        self.varlen = [c for c in columns if isinstance(c, VarLenSparseFeat)]
        self.dense = [c for c in columns if isinstance(c, DenseFeat)]
        self.sequences = [
            c
            for c in columns
            if isinstance(c, (VarLenSparseFeat, VarLenDenseFeat))
        ]
        ids = self.sparse + self.varlen
        allowed: list[Any] = ids + self.dense
        known = [c.name for c in allowed]
        expected = f"a list of columns' names, {known}"
        names = check_items(argument, candidate_names, str, expected)
        if not names or not {*names} <= {*known}:
            raise_invalid(argument, expected, list(names))
        if not {*names} & {c.name for c in ids}:
            raise_invalid(argument, "a feature with ids among them", [*names])
        self.candidate = [
            c for c in columns if c in allowed and c.name in names
        ]
        _check_one_each(self.candidate, "column", names)
        self.candidate_inputs = self._candidate_inputs(
            columns, names, candidate_feature_list
        )
        self._candidate_of: dict[str, Any] = {}
        self._pooled: dict[VarLenSparseFeat, Tensor] = {}
        self._maxlens: dict[int, dict[str, int]] = {}
        for column in self.sparse + self.varlen:
            zero_is_padding = column in self.varlen + self.candidate
            _check_integer_ids(column, zero_is_padding)
        self.l2_reg = check_nonnegative("l2_reg_embedding", l2_reg)
        self.seed = check_seed(seed)
        sequence_tables = [(f"sparse_seq_emb_{c.name}", c) for c in self.varlen]
        if numbered:
            tables = sequence_tables + [
                (f"sparse_emb_{i}-{c.name}", c)
                for i, c in enumerate(self.sparse)
            ]
        else:
            tables = [
                (f"sparse_emb_{c.embedding_name}", c) for c in self.sparse
            ] + sequence_tables
        # The last column of each embedding_name names and configures the table.
        self._table_columns = {c.embedding_name: (n, c) for n, c in tables}
        self._tables: dict[str | None, keras.Layer] = {}
        self.vocabulary_sizes: dict[str, int] = {}
        self._embedding_layer = check_instance(
            "embedding_layer",
            embedding_layer,
            Callable,
            "a function that returns a layer, such as keras.layers.Embedding",
        )

    def _candidate_inputs(
        self,
        columns: Sequence[FeatureColumn],
        names: Sequence[str],
        others: Sequence[str],
    ) -> list[str]:
        """Create the candidate's inputs, with an axis of candidates."""
        known = {c.name: c for c in columns}
        expected = f"a list of columns' names, {[*known]}"
        others = check_items("candidate_feature_list", others, str, expected)
        if not {*others} <= known.keys():
            raise_invalid("candidate_feature_list", expected, list(others))
        found: dict[str, Tensor] = {}
        for name in dict.fromkeys((*names, *others)):
            column: Any = known[name]
            for key, x in build_input_features([column]).items():
                shape = (self.num_candidates, *x.shape[1:])
                # A sequence of one step is not one id.
                is_sequence = isinstance(column, VarLenSparseFeat)
                if x.shape[1] == 1 and not (
                    is_sequence and key != column.length_name
                ):
                    shape = shape[:1]
                found[key] = keras.Input(shape, name=key, dtype=x.dtype)
        self._inputs |= found
        return [*found]

    def of_candidate(self, column: FeatureColumn) -> bool:
        return column.name in self.candidate_inputs

    def __getitem__(self, name: str) -> Tensor:
        """Return the input of a name, which counts as read."""
        self._used.add(name)
        return self._inputs[name]

    @property
    def inputs(self) -> list[Tensor]:
        """All inputs, in the order of `get_feature_names`."""
        return [*self._inputs.values()]

    @property
    def used(self) -> list[Tensor]:
        """The inputs that were read."""
        return [x for name, x in self._inputs.items() if name in self._used]

    @property
    def unused(self) -> list[Tensor]:
        """The inputs that were not read, such as the lengths of DIN."""
        return [x for n, x in self._inputs.items() if n not in self._used]

    def lengths_input(self, name: str) -> Tensor:
        """Return an input of lengths, created unless a column has it."""
        if name not in self._inputs:
            self._inputs[name] = keras.Input((1,), dtype="int32", name=name)
        return self[name]

    def sequence_columns(self, prefix: str, group: int = 0) -> list[Any]:
        """Return the sequence columns named as the candidate's plus a prefix.

        Warns of columns that do not share the candidate's tables. Sequences of
        one group must agree on `maxlen`.
        """
        candidates = {prefix + c.name: c for c in self.candidate}
        self._candidate_of |= candidates
        tables = {
            name: getattr(c, "embedding_name", None)
            for name, c in candidates.items()
        }
        found: list[Any] = [
            c
            for c in self.sequences
            if c.name in tables
            and isinstance(c, VarLenDenseFeat) == (tables[c.name] is None)
        ]
        _check_one_each(
            found,
            "VarLenSparseFeat (VarLenDenseFeat for a DenseFeat)",
            list(tables),
        )
        maxlens = self._maxlens.setdefault(group, {})
        maxlens |= {c.name: c.maxlen for c in found}
        if len({*maxlens.values()}) > 1:
            raise_invalid(
                "maxlen", "one for all features of a history", maxlens
            )
        self._check_widths(found)
        unshared = [
            c.name
            for c in found
            if isinstance(c, VarLenSparseFeat)
            and c.embedding_name != tables[c.name]
        ]
        if unshared:
            warnings.warn(
                f"{unshared} do not share the candidate's embedding tables: "
                "attention compares embeddings of different tables. To share "
                "them, use embedding_name="
                f"{[tables[name] for name in unshared]}",
                stacklevel=4,
            )
        return found

    def _check_widths(self, found: list[Any]) -> None:
        """Raise ValueError unless attention can compare with the candidate."""
        for kinds, width in (
            ((SparseFeat, VarLenSparseFeat), "embedding_dim"),
            ((DenseFeat, VarLenDenseFeat), "dimension"),
        ):
            sides = [
                {c.name: getattr(c, width) for c in x if isinstance(c, kinds)}
                for x in (found, self.candidate)
            ]
            if len({sum(side.values()) for side in sides}) > 1:
                raise_invalid(
                    width,
                    "the same total width as the candidate's, which attention "
                    "compares (embedding_name shares a table)",
                    sides[0] | sides[1],
                )

    def histories(self, prefixes: Sequence[str]) -> dict[str, list[Any]]:
        """Return the columns of each history; warn if their order differs.

        `check_prefixes` has checked the prefixes. The keys are suffixes for the
        names of the histories' layers: "", "_1", "_2".
        """
        candidate = [c.name for c in sorted_by_group(self.candidate)]
        found = {}
        for i, prefix in enumerate(prefixes):
            columns = self.sequence_columns(prefix, i)
            names = [c.name for c in sorted_by_group(columns)]
            if names != [prefix + name for name in candidate]:
                warnings.warn(
                    f"{names} are in another order than {candidate}: as in "
                    "DeepCTR, attention compares embeddings of different "
                    "features",
                    stacklevel=3,
                )
            found[f"_{i}" if i else ""] = columns
        return found

    def others(self, *prefixes: str) -> list[Any]:
        """Return the sequence columns of none of the prefixes."""
        used = {p + c.name for p in prefixes for c in self.candidate}
        others = [c for c in self.sequences if c.name not in used]
        for c in others:
            if isinstance(c, VarLenDenseFeat):
                raise_invalid(
                    "dnn_feature_columns",
                    "VarLenDenseFeats of histories, named as a DenseFeat of "
                    "the candidate plus a prefix",
                    c.name,
                )
        return others

    def history_lengths(self, history: list[Any]) -> Tensor:
        """Return the input that holds the lengths of the histories."""
        names = {
            c.length_name for c in history if getattr(c, "length_name", None)
        }
        if not names and "seq_length" in self._inputs:
            names = {"seq_length"}
        if len(names) != 1:
            raise_invalid(
                "length_name",
                f"one input of lengths for {[c.name for c in history]}, as by "
                "`VarLenSparseFeat(..., length_name='seq_length')`",
                sorted(names),
            )
        return self[names.pop()]

    def valid_candidates(self) -> Tensor | None:
        """Return a mask `(batch, candidates)`, as `valid_steps`.

        None for a single candidate, which is never padding.
        """
        if self.num_candidates == 1:
            return None
        return self.valid_steps(self.candidate_ids)

    @property
    def candidate_ids(self) -> list[str]:
        """The names of the candidate's features that have ids."""
        return [c.name for c in self.candidate if not isinstance(c, DenseFeat)]

    def valid_steps(self, names: Sequence[str], rank: int = 2) -> Tensor:
        """Return a mask `(batch, steps)`: True where no feature's id is 0."""
        return valid_ids((self[name] for name in names), rank)

    def valid_history(self, columns: list[Any]) -> Tensor:
        """Return the mask of a history, by its features that have ids."""
        return self.valid_steps(
            [c.name for c in columns if isinstance(c, VarLenSparseFeat)]
        )

    @functools.cached_property
    def query(self) -> Tensor:
        """The candidate's vector `(batch, candidates, dim)`."""
        vectors = []
        for c in sorted_by_group(self.candidate):
            if isinstance(c, VarLenSparseFeat):
                vectors.append(self.pool(c))
            elif isinstance(c, DenseFeat):
                vectors.append(to_compute_dtype(self._transform(c, {})))
            else:
                vectors.append(self.embed([c]))
        return concatenate(vectors)

    def embed(self, columns: list[Any]) -> Tensor:
        """Return concatenated embeddings `(batch, steps, dim)` of columns."""
        return concatenate([self._embed(c) for c in sorted_by_group(columns)])

    def embed_session(self, prefix: str) -> Tensor:
        """Return the embeddings of a session, in the candidate's order.

        As in DeepCTR, ids are looked up in the tables of the candidate.
        """
        columns = {c.name: c for c in self.sequence_columns(prefix)}
        vectors = []
        for c in sorted_by_group(self.candidate):
            if isinstance(c, SparseFeat):
                vectors.append(self._embed(c, prefix))
            else:
                vectors.append(self._embed(columns[prefix + c.name]))
        return concatenate(vectors)

    def _embed(self, column: Any, prefix: str = "") -> Tensor:
        x = self[prefix + column.name]
        if isinstance(column, VarLenDenseFeat):
            candidate = self._candidate_of[column.name]
            return to_compute_dtype(self._transformed(candidate, x, {}))
        self.vocabulary_sizes[prefix + column.name] = column.vocabulary_size
        y = self._table(column)(x)
        if getattr(column, "values", None) is None:
            return y
        pooling = EachSequence(SequencePoolingLayer(column.combiner))
        return pooling(y, mask=ops.not_equal(x, 0))

    def pool(self, column: VarLenSparseFeat) -> Tensor:
        """Return a column's sequences as vectors `(batch, 1, dim)`.

        `(batch, candidates, dim)` for a column of the candidate.
        """
        if column not in self._pooled:
            self._pooled[column] = self._pool(column)
        return self._pooled[column]

    def _pool(self, column: VarLenSparseFeat) -> Tensor:
        combiner: str = column.combiner
        normalization: bool | str = column.weight_norm
        if combiner == "weighted_mean":
            combiner, normalization = "sum", "sum"
        layers: list[keras.Layer] = [SequencePoolingLayer(combiner)]
        inputs = [self.embed([column])]
        if column.weight_name is not None:
            layers = [WeightedSequenceLayer(normalization), *layers]
            inputs.append(self[column.weight_name])
        if column.length_name is None:
            rank = 3 if self.of_candidate(column) else 2
            valid = {"mask": self.valid_steps([column.name], rank)}
        else:
            valid = {"lengths": self[column.length_name]}
        for layer in layers:
            if self.of_candidate(column):
                layer = EachSequence(layer)
            inputs = [layer(*inputs, **valid)]
        return inputs[0]

    def dense_inputs(
        self, other_layers: Iterable[keras.Layer]
    ) -> list[tuple[DenseFeat, Tensor]]:
        """Return each dense column with its numbers `(batch, 1, dimension)`.

        `(batch, candidates, dimension)` for a column of the candidate.

        Args:
            other_layers: all other layers of the model, whose names the layers
                of a `transform_fn` must not have.
        """
        layers = {layer.name: layer for layer in other_layers}
        return [(c, self._transform(c, layers)) for c in self.dense]

    def _transform(
        self, column: DenseFeat, layers_by_name: dict[str, keras.Layer]
    ) -> Tensor:
        x = self[column.name]
        # Of the only candidate or of several: an axis of numbers is missing.
        if len(x.shape) == 2 and self.of_candidate(column):
            x = ops.expand_dims(x, -1)
        x = self._transformed(column, x, layers_by_name)
        return x if len(x.shape) == 3 else ops.expand_dims(x, 1)

    def _transformed(
        self,
        column: DenseFeat,
        x: Tensor,
        layers_by_name: dict[str, keras.Layer],
    ) -> Tensor:
        if column.transform_fn is None:
            return x
        y = column.transform_fn(x)
        self._check_transformed(column, x, y, layers_by_name)
        return y

    def _check_transformed(
        self,
        column: DenseFeat,
        x: Tensor,
        y: Any,
        layers_by_name: dict[str, keras.Layer],
    ) -> None:
        argument = f"transform_fn of {column.name!r}"
        axes = ["batch", "candidates", "numbers"][:: 4 - len(x.shape)]
        expected = f"a tensor ({', '.join(axes)})"
        check_instance(argument, y, keras.KerasTensor, expected)
        if len(y.shape) != len(x.shape) or y.shape[0] is not None:
            raise_invalid(
                argument, expected, Unquoted(f"shape {tuple(y.shape)}")
            )
        if y is x:  # Keras 3.12 rejects a model without a layer.
            return
        try:
            layers = keras.Model(x, y).layers
        except ValueError as error:
            # Two layers, or a layer and the input, have one name; or the output
            # does not depend on the input.
            raise_invalid(
                argument,
                "a function of its input, with layers of different names",
                Unquoted(error),
            )
        for layer in layers:
            if layers_by_name.setdefault(layer.name, layer) is not layer:
                raise_invalid(
                    argument,
                    "layers whose names the model does not have, such as "
                    f"`Dense(..., name='{column.name}_dense')`",
                    layer.name,
                )

    def _table(self, column: Any) -> keras.Layer:
        key = column.embedding_name
        name, owner = self._table_columns[key]
        for field in TABLE_FIELDS:
            own, others = getattr(column, field), getattr(owner, field)
            if not _equal(field, own, others):
                raise_invalid(
                    field,
                    f"one for all columns of embedding_name {key!r}",
                    {column.name: own, owner.name: others},
                )
        if key not in self._tables:
            initializer: Any = owner.embeddings_initializer
            array = _constant_array(initializer)
            if array is not None:
                # Keras would write the array as text into the layer's config.
                initializer = "zeros"
            elif initializer is DEFAULT_INITIALIZER:
                initializer = keras.initializers.RandomNormal(
                    stddev=initializer.stddev,
                    seed=nth_seed(self.seed, len(self._tables)),
                )
            table = self._tables[key] = self._embedding_layer(
                owner.vocabulary_size,
                owner.embedding_dim,
                embeddings_initializer=copy_initializer(initializer),
                embeddings_regularizer=keras.regularizers.L2(self.l2_reg)
                if self.l2_reg
                else None,
                trainable=owner.trainable,
                name=name,
            )
            if array is not None:
                table.build((None, 1))
                _assign(table, array)
        return self._tables[key]


def check_prefixes(prefixes: Any) -> tuple[str, ...]:
    """Return the prefixes of histories, at least one."""
    expected = "a list of prefixes, each once"
    found = check_items("history_prefixes", prefixes, str, expected)
    if not found or not all(found) or len({*found}) < len(found):
        raise_invalid("history_prefixes", expected, prefixes)
    return found


def _constant_array(initializer: Any) -> NDArray[Any] | None:
    """Return the value of `Constant(array)`, None for other initializers."""
    if not isinstance(initializer, keras.initializers.Constant):
        return None
    value = ops.convert_to_numpy(initializer.value)
    return value if value.ndim else None


def _assign(table: keras.Layer, array: NDArray[Any]) -> None:
    shape = tuple(table.weights[0].shape)
    try:
        table.set_weights([np.broadcast_to(array, shape)])
    except ValueError:
        expected = f"an array of the table's shape {shape}"
        received = Unquoted(f"shape {array.shape}")
        raise_invalid("embeddings_initializer", expected, received)


def _equal(field: str, x: Any, y: Any) -> bool:
    """Whether two columns have the same option."""
    if field == "embeddings_initializer" and x is not y:
        a, b = _constant_array(x), _constant_array(y)
        if a is not None and b is not None:
            return np.array_equal(a, b)
        x, y = (serialize(keras.initializers.get(i)) for i in (x, y))
    return bool(x == y)


def sorted_by_group(columns: list[Any]) -> list[Any]:
    """Return columns group by group, in the order of the groups' first ones."""
    # Columns of numbers have no group.
    names = {c: getattr(c, "group_name", DEFAULT_GROUP_NAME) for c in columns}
    groups = list(dict.fromkeys(names.values()))
    return sorted(columns, key=lambda c: groups.index(names[c]))


def to_compute_dtype(x: Tensor) -> Tensor:
    return ops.cast(x, keras.config.dtype_policy().compute_dtype)


def concatenate(tensors: list[Tensor]) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate()(tensors)


def build_click_model(
    name: str,
    features: Features,
    pooled: list[VarLenSparseFeat],
    history: dict[str, Tensor],
    interests: Callable[..., list[Tensor]],
    *,
    appendable: Iterable[History] = (),
    dnn_hidden_units: Sequence[int],
    dnn_activation: Any,
    dnn_use_bn: bool,
    dnn_dropout: float,
    l2_reg_dnn: float,
    task: str,
) -> keras.Model:
    """Build the model: a DNN reads all features and the user's interests.

    Args:
        name: the model's name.
        features: the model's features.
        pooled: the sequence columns that the DNN reads as pooled embeddings.
        history: the tensors of the histories that the interests are computed
            from, by name. They do not depend on the candidate.
        interests: a function of these, as keyword arguments, that returns
            tensors `(batch, candidates, dim)`.
        appendable: the histories that `update_model` can append events to.
        dnn_hidden_units, dnn_activation, dnn_use_bn, dnn_dropout, l2_reg_dnn,
            task: as in DeepCTR's models.
    """
    head = [
        DNN(
            check_positive_ints("dnn_hidden_units", dnn_hidden_units),
            check_activation("dnn_activation", dnn_activation),
            check_nonnegative("l2_reg_dnn", l2_reg_dnn),
            check_rate("dnn_dropout", dnn_dropout),
            dnn_use_bn,
            seed=features.seed,
            name="dnn",
        ),
        keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(features.seed),
            name="dense",
        ),
        CandidateScores(
            features.candidate_inputs,
            features.candidate_ids,
            name="candidate_scores",
        ),
        # In the weights' dtype: a probability in half precision makes the loss
        # inaccurate.
        PredictionLayer(
            task,
            dtype=keras.config.dtype_policy().variable_dtype,
            name="prediction_layer",
        ),
    ]
    # Not a dict: as in DeepCTR, the DNN reads a repeated column twice.
    before = [
        (c, features.embed([c])) for c in sorted_by_group(features.sparse)
    ]
    before += [(c, features.pool(c)) for c in sorted_by_group(pooled)]
    tensors = [*(x for _, x in before), *history.values(), features.query]
    layers = [*keras.Model(features.used, tensors).layers, *head]
    # The interests stand between these in the DNN's input, as in DeepCTR.
    after = features.dense_inputs(layers)
    parts = [*_runs(features, before), None, *_runs(features, after)]
    state = dict(history)
    for i, part in enumerate(parts):
        if part is not None and not part.of_candidate:
            state[f"features_{i}"] = concatenate(part.tensors)
    user_state = UserState(
        features.vocabulary_sizes,
        [history._asdict() for history in appendable],
        name="user_state",
    )
    state = user_state(state, features.unused)
    vectors, of_candidates = [], []
    for i, part in enumerate(parts):
        key = f"features_{i}"
        if part is None:
            found = interests(**{name: state[name] for name in history})
        else:
            found = [state[key]] if key in state else part.tensors
        vectors += found
        of_candidates += [key not in state] * len(found)
    x = JoinFeatures(of_candidates, name="join_features")(vectors)
    valid = features.valid_candidates()
    dnn, *others = head
    x = dnn(x) if valid is None else dnn(x, mask=valid)
    for layer in others:
        x = layer(x)
    return ClickModel(features.inputs, x, name=name)


class Run(NamedTuple):
    """Consecutive features, all of the candidate or all of the user."""

    of_candidate: bool
    tensors: list[Tensor]


def _runs(features: Features, tensors: list[tuple[Any, Tensor]]) -> list[Run]:
    runs = itertools.groupby(tensors, lambda x: features.of_candidate(x[0]))
    return [Run(of, [tensor for _, tensor in run]) for of, run in runs]


def _check_one_each(
    columns: list[Any], kind: str, names: Sequence[str]
) -> None:
    """Raise ValueError unless there is one column for each name."""
    counts = Counter(column.name for column in columns)
    for problem, wrong in (
        ("none for", [name for name in names if not counts[name]]),
        ("more than one for", [n for n in counts if counts[n] > 1]),
    ):
        if wrong:
            raise_invalid(
                "dnn_feature_columns",
                f"one {kind} for each of {list(names)}",
                Unquoted(f"{problem} {sorted({*wrong})}"),
            )


def _check_integer_ids(column: Any, zero_is_padding: bool) -> None:
    """Raise ValueError for a column of strings or of ids to be hashed."""
    reason = "since Keras supports strings on TensorFlow only"
    advice = (
        f"{reason}: hash ids before the model with kseq.hashing.hash_ids(ids, "
        f"num_buckets={column.vocabulary_size}, mask_zero={zero_is_padding}) "
        "and set dtype='int32' (\"Hashed ids\" in docs/deepctr.md)"
    )
    if column.use_hash:
        raise_invalid(f"use_hash of {column.name!r}", f"False, {advice}", True)
    if column.vocabulary_path is not None:
        raise_invalid(
            f"vocabulary_path of {column.name!r}",
            f"None, {reason}: look ids up before the model, in DeepCTR's file "
            "with lines 'id,word': "
            "id_of = {word: int(id) for id, word in csv.reader(open(path))}; "
            "ids = [id_of.get(word, 0) for word in words]; and set "
            "dtype='int32'",
            column.vocabulary_path,
        )
    if column.dtype == "string":
        raise_invalid(
            f"dtype of {column.name!r}", f"a numeric dtype, {advice}", "string"
        )
