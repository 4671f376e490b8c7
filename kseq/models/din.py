from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from kseq.checks import (
    check_bool,
    check_nonnegative,
    check_positive_ints,
    check_rate,
)
from kseq.feature_column import FeatureColumn
from kseq.layers.base import nth_seed
from kseq.layers.core import Embedding
from kseq.layers.sequence import AttentionSequencePoolingLayer
from kseq.models.features import Features, build_click_model, check_prefixes
from kseq.models.parts import History
from kseq.types import Tensor


def DIN(
    dnn_feature_columns: Iterable[FeatureColumn],
    history_feature_list: Sequence[str],
    dnn_use_bn: bool = False,
    dnn_hidden_units: Sequence[int] = (256, 128, 64),
    dnn_activation: Any = "relu",
    att_hidden_size: Sequence[int] = (80, 40),
    att_activation: Any = "dice",
    att_weight_normalization: bool = False,
    l2_reg_dnn: float = 0,
    l2_reg_embedding: float = 1e-6,
    dnn_dropout: float = 0,
    seed: int | None = None,
    task: str = "binary",
    *,
    history_prefixes: Sequence[str] = ("hist_",),
    share_attention: bool = False,
    att_dropout: float = 0,
    att_use_bn: bool = False,
    l2_reg_att: float = 0,
    candidate_feature_list: Sequence[str] = (),
    num_candidates: int | None = 1,
    embedding_layer: Callable[..., keras.Layer] = Embedding,
) -> keras.Model:
    r"""Deep Interest Network: pools a history by attention to a candidate.

    $$p = \sigma\bigl(w \cdot \mathrm{DNN}([q, u,
      \textstyle\sum_t m_t\, s(q, x_t)\, x_t]) + b\bigr)$$

    with the candidate's embedding $q$, all other features $u$, the history $x$,
    and its mask $m$: a step is valid where no feature's id is 0.

    Args:
        dnn_feature_columns: the columns of all features. For each name of
            `history_feature_list`, a column of that name and, for each of
            `history_prefixes`, a sequence column of the prefixed name; any
            others. `maxlen` may be None.
        history_feature_list: the names of the candidate's features: of
            `SparseFeat`; of `VarLenSparseFeat`, for a set of ids; and of
            `DenseFeat`, whose steps are a `VarLenDenseFeat`. At least one has
            ids.
        dnn_use_bn: whether the DNN has batch normalisation.
        dnn_hidden_units: the widths of the DNN's layers.
        dnn_activation: their activation; see `DNN`.
        att_hidden_size: the widths of the attention's hidden layers.
        att_activation: their activation; see `DNN`.
        att_weight_normalization: whether a softmax normalises the scores.
        l2_reg_dnn: the strength of the L2 penalty on the DNN's kernels.
        l2_reg_embedding: the strength of the L2 penalty on the rows of the
            embedding tables that a batch looks up; see `embedding_layer`.
        dnn_dropout: the DNN's dropout rate.
        seed: an integer; None for different initial weights each time.
        task: 'binary' for a probability, 'regression' for a number.
        history_prefixes: the prefixes of the histories, such as ("hist_",
            "cart_"), each with its own columns, lengths and layers; the DNN
            reads an interest of each. See "Several histories" in
            docs/models.md.
        share_attention: whether one attention layer scores all histories.
        att_dropout: the dropout rate of the attention's hidden layers.
        att_use_bn: whether these layers have batch normalisation.
        l2_reg_att: the strength of the L2 penalty on these layers' kernels.
        candidate_feature_list: the names of other columns of the candidate,
            such as its price, for models of several candidates.
        num_candidates: the number of candidates of an example; None for any
            number; see "Several candidates" in docs/models.md.
        embedding_layer: creates a table's layer, with the arguments of
            `kseq.layers.Embedding`. With `keras.layers.Embedding` the penalty
            is on all rows, as in DeepCTR.

    Returns:
        A `keras.Model` that returns `(batch, 1)`. It takes a dict of arrays by
        feature name: `(batch, 1)` or `(batch,)` for a single id or number,
        `(batch, maxlen)` for a history. The dict may hold other names.
        `fit`, `evaluate` and `predict` also take a list of arrays in the order
        of `get_feature_names`. Targets may be `(batch, 1)` or `(batch,)`.

    Raises:
        ValueError: an argument is out of range; a column is missing or
            duplicated; features of a history differ in `maxlen`; columns of one
            table differ in its options; or ids are strings or need hashing.

    Differences from DeepCTR:
        `maxlen` may be None. The keyword-only arguments are new.

    Reference:
        Zhou et al., [Deep Interest Network](https://arxiv.org/abs/1706.06978),
        2018.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> history = np.array([[7, 9, 0, 0], [0, 0, 0, 0]])
    >>> click = model({"item": np.array([3, 4]), "hist_item": history})
    >>> tuple(click.shape)
    (2, 1)
    """
    features = Features(
        dnn_feature_columns,
        history_feature_list,
        l2_reg_embedding,
        seed,
        candidate_feature_list=candidate_feature_list,
        num_candidates=num_candidates,
        embedding_layer=embedding_layer,
    )
    query = features.query
    history_prefixes = check_prefixes(history_prefixes)
    histories = features.histories(history_prefixes)
    att_hidden_size = check_positive_ints("att_hidden_size", att_hidden_size)
    attentions = {
        suffix: AttentionSequencePoolingLayer(
            att_hidden_size,
            att_activation,
            check_bool("att_weight_normalization", att_weight_normalization),
            seed=nth_seed(seed, i),
            l2_reg=check_nonnegative("l2_reg_att", l2_reg_att),
            dropout_rate=check_rate("att_dropout", att_dropout),
            use_bn=check_bool("att_use_bn", att_use_bn),
            name=f"attention_sequence_pooling_layer{suffix}",
        )
        for i, suffix in enumerate(histories)
    }
    if check_bool("share_attention", share_attention):
        attentions = dict.fromkeys(histories, attentions[""])
    state = {}
    appendable = []
    for suffix, columns in histories.items():
        keys, valid = f"keys{suffix}", f"valid{suffix}"
        state[keys] = features.embed(columns)
        state[valid] = features.valid_history(columns)
        appendable.append(History(keys, valid, [c.name for c in columns]))
    valid_candidates = features.valid_candidates()

    def interests(**state: Tensor) -> list[Tensor]:
        return [
            attention(
                query,
                state[f"keys{suffix}"],
                keys_mask=state[f"valid{suffix}"],
                candidates_mask=valid_candidates,
            )
            for suffix, attention in attentions.items()
        ]

    return build_click_model(
        "DIN",
        features,
        features.others(*history_prefixes),
        state,
        interests,
        appendable=appendable,
        dnn_hidden_units=dnn_hidden_units,
        dnn_activation=dnn_activation,
        dnn_use_bn=check_bool("dnn_use_bn", dnn_use_bn),
        dnn_dropout=dnn_dropout,
        l2_reg_dnn=l2_reg_dnn,
        task=task,
    )
