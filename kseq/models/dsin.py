import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_positive_int,
    check_rate,
    raise_invalid,
)
from kseq.feature_column import FeatureColumn
from kseq.layers.base import nth_seed
from kseq.layers.core import Embedding
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    Transformer,
)
from kseq.models.features import Features, build_click_model
from kseq.types import Tensor


def DSIN(
    dnn_feature_columns: Iterable[FeatureColumn],
    sess_feature_list: Sequence[str],
    sess_max_count: int = 5,
    bias_encoding: bool = False,
    att_embedding_size: int = 1,
    att_head_num: int = 8,
    dnn_hidden_units: Sequence[int] = (256, 128, 64),
    dnn_activation: Any = "relu",
    dnn_dropout: float = 0,
    dnn_use_bn: bool = False,
    l2_reg_dnn: float = 0,
    l2_reg_embedding: float = 1e-6,
    seed: int | None = None,
    task: str = "binary",
    *,
    lstm_dropout: float = 0.2,
    mask_padding: bool = False,
    pool_others: bool = False,
    max_steps: int | None = None,
    candidate_feature_list: Sequence[str] = (),
    num_candidates: int | None = 1,
    embedding_layer: Callable[..., keras.Layer] = Embedding,
) -> keras.Model:
    r"""Deep Session Interest Network: reads a history split into sessions.

    Self-attention encodes each session as one vector, and a bidirectional LSTM
    reads these in order. DIN's attention to the candidate, with a softmax,
    pools the vectors and the LSTM's outputs.

    Args:
        dnn_feature_columns: the columns of all features. For each name of
            `sess_feature_list`, a column of that name and a sequence column
            with each of the prefixes "sess_0_", "sess_1_", ..., whose ids are
            looked up in the table of the former; any others. A step of a
            session is valid where no feature's id is 0. Another input,
            "sess_length", is each user's number of sessions.
        sess_feature_list: the names of the candidate's features: of
            `SparseFeat`; of `VarLenSparseFeat`, for a set of ids; and of
            `DenseFeat`, whose steps are a `VarLenDenseFeat`. At least one has
            ids.
        sess_max_count: the number of sessions.
        bias_encoding: whether to add biases for session, step and feature
            (`BiasEncoding`) rather than positions.
        att_embedding_size: the width of a head.
        att_head_num: the number of heads; times `att_embedding_size`, the width
            of a step.
        dnn_hidden_units: the widths of the DNN's layers.
        dnn_activation: their activation; see `DNN`.
        dnn_dropout: the DNN's dropout rate.
        dnn_use_bn: whether the DNN has batch normalisation.
        l2_reg_dnn: the strength of the L2 penalty on the DNN's kernels.
        l2_reg_embedding: the strength of the L2 penalty on the rows of the
            embedding tables that a batch looks up; see `embedding_layer`.
        seed: an integer; None for different initial weights each time.
        task: 'binary' for a probability, 'regression' for a number.
        lstm_dropout: the dropout rate of the LSTM's inputs.
        mask_padding: True to mask padded steps and padded sessions. False, as
            in DeepCTR, to include padded steps in a session's mean, and padded
            sessions in the LSTM's backward direction.
        pool_others: True for a DNN that also reads pooled embeddings of other
            sequences. False, as in DeepCTR, to ignore these.
        max_steps: the number of positions; None for `maxlen`. With it, `maxlen`
            may be None, for sessions of up to `max_steps` steps.
        candidate_feature_list: the names of other columns of the candidate,
            such as its price, for models of several candidates.
        num_candidates: the number of candidates of an example; None for any
            number; see "Several candidates" in docs/models.md.
        embedding_layer: creates a table's layer, with the arguments of
            `kseq.layers.Embedding`. With `keras.layers.Embedding` the penalty
            is on all rows, as in DeepCTR.

    Returns:
        A `keras.Model` that takes and returns what `DIN`'s does, with another
        input, "sess_length".

    Raises:
        ValueError: an argument is out of range; a column is missing or
            duplicated; sessions differ in `maxlen`; the heads do not fit the
            width of a step; columns of one table differ in its options; ids are
            strings or need hashing; or `maxlen` is None without `max_steps`.

    Differences from DeepCTR:
        `mask_padding`, `pool_others` and `max_steps` are new. `lstm_dropout` is
        always 0.2 in DeepCTR. Features may share tables. "sess_length" has an
        integer dtype. A warning names the sequences that are ignored. In a
        session of one step, attention, which excludes the step itself, returns
        0; in DeepCTR it attends to the padding.

    Reference:
        Feng et al., [Deep Session Interest
        Network](https://arxiv.org/abs/1905.06482), 2019.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DSIN
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> sessions = [
    ...     VarLenSparseFeat(
    ...         SparseFeat(f"sess_{i}_item", 100, 8, embedding_name="item"),
    ...         maxlen=3,
    ...     )
    ...     for i in range(2)
    ... ]
    >>> model = DSIN(
    ...     [item, *sessions], ["item"], sess_max_count=2, mask_padding=True
    ... )
    >>> click = model({
    ...     "item": np.array([3, 4]),
    ...     "sess_0_item": np.array([[7, 9, 0], [0, 0, 0]]),
    ...     "sess_1_item": np.array([[8, 0, 0], [0, 0, 0]]),
    ...     "sess_length": np.array([2, 0]),
    ... })
    >>> tuple(click.shape)
    (2, 1)
    """
    check_positive_int("sess_max_count", sess_max_count)
    check_positive_int("att_embedding_size", att_embedding_size)
    check_positive_int("att_head_num", att_head_num)
    check_bool("bias_encoding", bias_encoding)
    lstm_dropout = check_rate("lstm_dropout", lstm_dropout)
    check_bool("mask_padding", mask_padding)
    check_bool("pool_others", pool_others)
    features = Features(
        dnn_feature_columns,
        sess_feature_list,
        l2_reg_embedding,
        seed,
        "sess_feature_list",
        numbered=True,
        candidate_feature_list=candidate_feature_list,
        num_candidates=num_candidates,
        embedding_layer=embedding_layer,
    )
    query = features.query
    dim = query.shape[-1]
    if att_embedding_size * att_head_num != dim:
        raise_invalid(
            "att_embedding_size * att_head_num",
            f"the sum of the candidate's embedding_dim, {dim}",
            att_embedding_size * att_head_num,
        )
    prefixes = [f"sess_{i}_" for i in range(sess_max_count)]
    # An operation reads the input here: Keras before 3.14 rejects a model with
    # an input that none has read yet.
    lengths = ops.reshape(features.lengths_input("sess_length"), (-1, 1))
    sessions = list(map(features.embed_session, prefixes))
    if bias_encoding:
        sessions = BiasEncoding(
            sess_max_count, seed, max_steps, name="bias_encoding"
        )(sessions)
    transformer = Transformer(
        att_embedding_size,
        att_head_num,
        use_positional_encoding=not bias_encoding,
        seed=seed,
        output_type="masked_mean" if mask_padding else "mean",
        max_steps=max_steps,
        name="transformer",
    )
    encoded = []
    for prefix, session in zip(prefixes, sessions, strict=True):
        valid = features.valid_steps(
            [prefix + name for name in features.candidate_ids]
        )
        encoded.append(transformer(session, mask=valid))
    vectors = encoded[0]
    if sess_max_count > 1:
        vectors = keras.layers.Concatenate(axis=1)(encoded)
    evolved = BiLSTM(dim, dropout_rate=lstm_dropout, seed=seed, name="bi_lstm")(
        vectors, lengths=lengths if mask_padding else None
    )
    attentions = [
        AttentionSequencePoolingLayer(
            (64, 16),
            weight_normalization=True,
            seed=nth_seed(seed, i),
            name=f"attention_sequence_pooling_layer{suffix}",
        )
        for i, suffix in enumerate(("", "_1"))
    ]
    valid_candidates = features.valid_candidates()

    def interests(
        sessions: Tensor, evolved: Tensor, lengths: Tensor
    ) -> list[Tensor]:
        return [
            attention(
                query, keys, lengths=lengths, candidates_mask=valid_candidates
            )
            for attention, keys in zip(
                attentions, (sessions, evolved), strict=True
            )
        ]

    others = features.others(*prefixes)
    ignored = [c.name for c in others if not features.of_candidate(c)]
    if ignored and not pool_others:
        warnings.warn(
            f"DSIN ignores {ignored}, as DeepCTR does; with pool_others=True "
            "the DNN reads their pooled embeddings",
            stacklevel=2,
        )
        others = [c for c in others if features.of_candidate(c)]
    return build_click_model(
        "DSIN",
        features,
        others,
        {"sessions": vectors, "evolved": evolved, "lengths": lengths},
        interests,
        dnn_hidden_units=dnn_hidden_units,
        dnn_activation=dnn_activation,
        dnn_use_bn=check_bool("dnn_use_bn", dnn_use_bn),
        dnn_dropout=dnn_dropout,
        l2_reg_dnn=l2_reg_dnn,
        task=task,
    )
