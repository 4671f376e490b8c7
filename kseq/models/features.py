"""What all models share: columns to embeddings, and vectors to a click."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    Unquoted,
    check_instance,
    check_items,
    check_nonnegative,
    check_positive_ints,
    check_rate,
    raise_invalid,
)
from kseq.feature_column import (
    COLUMNS,
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
)
from kseq.layers.core import DNN, PredictionLayer
from kseq.layers.core.activation import check_activation
from kseq.layers.base import check_seed
from kseq.layers.sequence import SequencePoolingLayer, WeightedSequenceLayer
from kseq.models.click_model import ClickModel
from kseq.types import Tensor


class Features:
    """The columns of a model as symbolic tensors.

    An embedding table is named as DeepCTR names it: by the last column that
    shares it, where columns of sequences come after the others.

    Args:
        columns: the columns of all features.
        names: those of the candidate's features, of which histories are made.
        l2_reg: the L2 penalty's strength on the embedding tables.
        argument: what the model calls `names`.
        numbered: whether tables are named as in DeepCTR's DSIN instead, by
            their column's number, columns of sequences first.

    Attributes:
        sparse, varlen, dense: the columns by kind.
        candidate: the sparse columns of the candidate.
    """

    def __init__(
        self,
        columns: Iterable[FeatureColumn],
        names: Sequence[str],
        l2_reg: float,
        argument: str = "history_feature_list",
        numbered: bool = False,
    ) -> None:
        columns = check_items(
            "dnn_feature_columns", columns, FeatureColumn, COLUMNS
        )
        self._inputs = build_input_features(columns)
        self._used: set[str] = set()
        self.sparse = [c for c in columns if isinstance(c, SparseFeat)]
        self.varlen = [c for c in columns if isinstance(c, VarLenSparseFeat)]
        self.dense = [c for c in columns if isinstance(c, DenseFeat)]
        known = [c.name for c in self.sparse]
        expected = f"a list of SparseFeats' names, {known}"
        names = check_items(argument, names, str, expected)
        if not names or not {*names} <= {*known}:
            raise_invalid(argument, expected, list(names))
        self.candidate = [c for c in self.sparse if c.name in names]
        _check_once(self.candidate, "SparseFeat", names)
        self._over_time: list[VarLenSparseFeat] = []
        for column in self.sparse + self.varlen:
            _refuse_words(column, column in self.varlen + self.candidate)
        self.l2_reg = check_nonnegative("l2_reg_embedding", l2_reg)
        of_varlen = [(f"sparse_seq_emb_{c.name}", c) for c in self.varlen]
        if numbered:
            of_sparse = [
                (f"sparse_emb_{i}-{c.name}", c)
                for i, c in enumerate(self.sparse)
            ]
            owners = of_varlen + of_sparse
        else:
            of_sparse = [
                (f"sparse_emb_{c.embedding_name}", c) for c in self.sparse
            ]
            owners = of_sparse + of_varlen
        self._owners = {c.embedding_name: (name, c) for name, c in owners}
        self._tables: dict[str | None, keras.layers.Embedding] = {}

    def __getitem__(self, name: str) -> Tensor:
        """The input of a name, which from now on is one of the model's."""
        self._used.add(name)
        return self._inputs[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Those of all inputs, used or not: DeepCTR's `get_feature_names`."""
        return tuple(self._inputs)

    @property
    def inputs(self) -> list[Tensor]:
        """The inputs that were used: Keras 3.12 refuses a model of others."""
        return [x for name, x in self._inputs.items() if name in self._used]

    def add_lengths(self, name: str) -> Tensor:
        """One more input of lengths, unless a column has it."""
        if name not in self._inputs:
            self._inputs[name] = keras.Input((1,), dtype="int32", name=name)
        return self[name]

    def over_time(self, prefix: str) -> list[VarLenSparseFeat]:
        """The columns of the candidate's features with a prefix."""
        wanted = [prefix + c.name for c in self.candidate]
        found = [c for c in self.varlen if c.name in wanted]
        _check_once(found, "VarLenSparseFeat", wanted)
        self._over_time += found
        known = {c.name: c.maxlen for c in self._over_time if c.maxlen}
        if len({*known.values()}) > 1:
            raise_invalid("maxlen", "one for all histories or sessions", known)
        tables = {prefix + c.name: c.embedding_name for c in self.candidate}
        apart = [c.name for c in found if c.embedding_name != tables[c.name]]
        if apart:
            self._check_widths(found)
            warnings.warn(
                f"{apart} have other embedding tables than the candidate's "
                f"features: embedding_name={[tables[name] for name in apart]} "
                "makes them share, so that attention compares like with like",
                stacklevel=4,
            )
        return found

    def _check_widths(self, found: list[VarLenSparseFeat]) -> None:
        """Refuse columns that attention cannot compare with the candidate."""
        sides = found, self.candidate
        if len({sum(c.embedding_dim for c in side) for side in sides}) > 1:
            raise_invalid(
                "embedding_dim",
                "the candidate's width in all, which attention compares with "
                "(embedding_name shares a table)",
                {c.name: c.embedding_dim for side in sides for c in side},
            )

    def history(self, prefix: str = "hist_") -> list[VarLenSparseFeat]:
        """The columns of a history, which is compared with the candidate."""
        found = self.over_time(prefix)
        names = [c.name for c in by_group(found)]
        candidate = [c.name for c in by_group(self.candidate)]
        if names != [prefix + name for name in candidate]:
            warnings.warn(
                f"{names} stand in another order than {candidate}: as in "
                "DeepCTR, one feature's embedding meets another's",
                stacklevel=3,
            )
        return found

    def lengths(self, history: list[VarLenSparseFeat]) -> Tensor:
        """The input that holds the histories' lengths."""
        names = {c.length_name for c in history if c.length_name is not None}
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

    def valid(self, names: Sequence[str]) -> Tensor:
        """The steps where no feature is 0: bool `(batch, steps)`."""
        first, *others = (ops.not_equal(self[n], 0) for n in names)
        for other in others:
            first = ops.logical_and(first, other)
        return first

    def embed(self, columns: list[Any], prefix: str = "") -> Tensor:
        """Embeddings `(batch, steps, dim)` of all columns, side by side.

        With a prefix, of other inputs in the columns' tables.
        """
        return concatenate(
            [self._table(c)(self[prefix + c.name]) for c in by_group(columns)]
        )

    def pool(self, columns: list[VarLenSparseFeat]) -> list[Tensor]:
        """Each column's sequence as one vector `(batch, 1, dim)`."""
        return [self._pool(column) for column in by_group(columns)]

    def _pool(self, column: VarLenSparseFeat) -> Tensor:
        lengths, mask = [], None
        if column.length_name is None:
            mask = self.valid([column.name])
        else:
            lengths = [self[column.length_name]]
        x = self.embed([column])
        if column.weight_name is not None:
            x = WeightedSequenceLayer(column.weight_norm)(
                [x, *lengths, self[column.weight_name]], mask=mask
            )
        return SequencePoolingLayer(column.combiner)([x, *lengths], mask=mask)

    def numbers(self, others: Iterable[keras.Layer]) -> list[Tensor]:
        """Each dense column's numbers `(batch, dimension)`, transformed.

        Args:
            others: all other layers of the model, whose names the layers of a
                transform must not have.
        """
        taken = {layer.name: layer for layer in others}
        return [self._transformed(column, taken) for column in self.dense]

    def _transformed(
        self, column: DenseFeat, taken: dict[str, keras.Layer]
    ) -> Tensor:
        x = self[column.name]
        if column.transform_fn is None:
            return x
        argument = f"transform_fn of {column.name!r}"
        y = column.transform_fn(x)
        expected = "a tensor (batch, numbers)"
        check_instance(argument, y, keras.KerasTensor, expected)
        if len(y.shape) != 2 or y.shape[0] is not None:
            raise_invalid(
                argument, expected, Unquoted(f"shape {tuple(y.shape)}")
            )
        if y is x:
            # No layer; Keras 3.12 refuses the model that this would be.
            return x
        try:
            layers = keras.Model(x, y).layers
        except ValueError as error:
            # Two layers of one name, the input's too; or it is not connected.
            raise_invalid(
                argument,
                "what its input gives, by layers of different names",
                Unquoted(error),
            )
        for layer in layers:
            if taken.setdefault(layer.name, layer) is not layer:
                raise_invalid(
                    argument,
                    "layers whose names the model does not have, such as "
                    f"`Dense(..., name='{column.name}_dense')`",
                    layer.name,
                )
        return y

    def _table(self, column: Any) -> keras.layers.Embedding:
        key = column.embedding_name
        name, owner = self._owners[key]
        for field in ("vocabulary_size", "embedding_dim"):
            if getattr(column, field) != getattr(owner, field):
                raise_invalid(
                    field,
                    f"one for all columns of embedding_name {key!r}",
                    {c.name: getattr(c, field) for c in (column, owner)},
                )
        if key not in self._tables:
            self._tables[key] = keras.layers.Embedding(
                owner.vocabulary_size,
                owner.embedding_dim,
                embeddings_initializer=owner.embeddings_initializer,
                embeddings_regularizer=keras.regularizers.L2(self.l2_reg)
                if self.l2_reg
                else None,
                trainable=owner.trainable,
                name=name,
            )
        return self._tables[key]


def by_group(columns: list[Any]) -> list[Any]:
    """Groups one by one, in the order in which they first appear."""
    groups = list(dict.fromkeys(c.group_name for c in columns))
    return sorted(columns, key=lambda c: groups.index(c.group_name))


def concatenate(tensors: list[Tensor]) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate()(tensors)


def click_model(
    name: str,
    features: Features,
    pooled: list[VarLenSparseFeat],
    interests: list[Tensor],
    *,
    dnn_hidden_units: Any,
    dnn_activation: Any,
    dnn_use_bn: bool,
    dnn_dropout: float,
    l2_reg_dnn: float,
    seed: int | None,
    task: str,
) -> keras.Model:
    """The model, from what is known of a user's interests on.

    Args:
        name: the model's name.
        features: what it is given.
        pooled: the columns of sequences that count by their pooled embedding.
        interests: tensors `(batch, 1, dim)`.
        dnn_hidden_units, dnn_activation, dnn_use_bn, dnn_dropout, l2_reg_dnn,
            seed, task: as DeepCTR's models take them.
    """
    seed = check_seed(seed)
    vectors = [
        features.embed(features.sparse),
        *features.pool(pooled),
        *interests,
    ]
    x = keras.layers.Flatten()(concatenate(vectors))
    head = [
        DNN(
            check_positive_ints("dnn_hidden_units", dnn_hidden_units),
            check_activation("dnn_activation", dnn_activation),
            check_nonnegative("l2_reg_dnn", l2_reg_dnn),
            check_rate("dnn_dropout", dnn_dropout),
            dnn_use_bn,
            seed=seed,
            name="dnn",
        ),
        keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            name="dense",
        ),
        # The weights' dtype: a probability of half precision would spoil the
        # loss.
        PredictionLayer(
            task,
            dtype=keras.config.dtype_policy().variable_dtype,
            name="prediction_layer",
        ),
    ]
    others = [*keras.Model(features.inputs, x).layers, *head]
    x = concatenate([x, *features.numbers(others)])
    for layer in head:
        x = layer(x)
    model = ClickModel(features.inputs, x, name=name)
    if len(features.names) > len(features.inputs):
        model.feature_names = features.names
    return model


def _check_once(columns: list[Any], kind: str, names: Sequence[str]) -> None:
    """Refuse columns that are not one for each name."""
    counts = Counter(column.name for column in columns)
    for said, wrong in (
        ("none for", [name for name in names if not counts[name]]),
        ("more than one for", [n for n in counts if counts[n] > 1]),
    ):
        if wrong:
            raise_invalid(
                "dnn_feature_columns",
                f"one {kind} for each of {list(names)}",
                Unquoted(f"{said} {sorted({*wrong})}"),
            )


def _refuse_words(column: Any, zero_is_padding: bool) -> None:
    """Refuse a column whose ids are no numbers yet."""
    why = "since Keras has strings on TensorFlow only"
    hash_before = (
        f"{why}: hash before the model by kseq.hashing.hash_ids(ids, "
        f"num_buckets={column.vocabulary_size}, mask_zero={zero_is_padding}) "
        "and give dtype 'int32' (\"Hashed ids\" in docs/deepctr.md)"
    )
    if column.use_hash:
        raise_invalid(
            f"use_hash of {column.name!r}", f"False, {hash_before}", True
        )
    if column.vocabulary_path is not None:
        raise_invalid(
            f"vocabulary_path of {column.name!r}",
            f"None, {why}: look ids up before the model, with DeepCTR's file "
            "of lines 'id,word': "
            "id_of = {word: int(id) for id, word in csv.reader(open(path))}; "
            "ids = [id_of.get(word, 0) for word in words]; and give dtype "
            "'int32'",
            column.vocabulary_path,
        )
    if column.dtype == "string":
        raise_invalid(
            f"dtype of {column.name!r}", f"a number's, {hash_before}", "string"
        )
