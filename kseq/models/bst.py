from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from kseq.checks import (
    check_bool,
    check_positive_int,
    check_rate,
    raise_invalid,
)
from kseq.feature_column import FeatureColumn
from kseq.layers.base import nth_seed
from kseq.layers.core import Embedding
from kseq.layers.sequence import AttentionSequencePoolingLayer, Transformer
from kseq.models.features import Features, build_click_model, check_prefixes
from kseq.types import Tensor


def BST(
    dnn_feature_columns: Iterable[FeatureColumn],
    history_feature_list: Sequence[str],
    transformer_num: int = 1,
    att_head_num: int = 8,
    use_bn: bool = False,
    dnn_hidden_units: Sequence[int] = (256, 128, 64),
    dnn_activation: Any = "relu",
    l2_reg_dnn: float = 0,
    l2_reg_embedding: float = 1e-6,
    dnn_dropout: float = 0.0,
    seed: int | None = None,
    task: str = "binary",
    *,
    max_steps: int | None = None,
    history_prefixes: Sequence[str] = ("hist_",),
    candidate_feature_list: Sequence[str] = (),
    num_candidates: int | None = 1,
    embedding_layer: Callable[..., keras.Layer] = Embedding,
) -> keras.Model:
    r"""Behaviour Sequence Transformer: self-attention within a history.

    Transformer blocks with positions and layer normalisation read the history,
    and DIN's attention to the candidate, with a softmax, pools their outputs.

    Args:
        dnn_feature_columns: the columns of all features. For each name of
            `history_feature_list`, a column of that name and, for each of
            `history_prefixes`, a sequence column of the prefixed name; any
            others. The `length_name` of a history is the input of its lengths.
        history_feature_list: the names of the candidate's features: of
            `SparseFeat`; of `VarLenSparseFeat`, for a set of ids; and of
            `DenseFeat`, whose steps are a `VarLenDenseFeat`. At least one has
            ids.
        transformer_num: the number of blocks.
        att_head_num: the number of heads of each block, a divisor of the
            history's width.
        use_bn: whether the DNN has batch normalisation.
        dnn_hidden_units: the widths of the DNN's layers.
        dnn_activation: their activation; see `DNN`.
        l2_reg_dnn: the strength of the L2 penalty on the DNN's kernels.
        l2_reg_embedding: the strength of the L2 penalty on the rows of the
            embedding tables that a batch looks up; see `embedding_layer`.
        dnn_dropout: the dropout rate of the DNN and of the blocks.
        seed: an integer; None for different initial weights each time.
        task: 'binary' for a probability, 'regression' for a number.
        max_steps: the number of positions; None for `maxlen`. With it, `maxlen`
            may be None, for histories of up to `max_steps` steps.
        history_prefixes: the prefixes of the histories, such as ("hist_",
            "cart_"), each with its own columns, lengths and layers; the DNN
            reads an interest of each. See "Several histories" in
            docs/models.md.
        candidate_feature_list: the names of other columns of the candidate,
            such as its price, for models of several candidates.
        num_candidates: the number of candidates of an example; None for any
            number; see "Several candidates" in docs/models.md.
        embedding_layer: creates a table's layer, with the arguments of
            `kseq.layers.Embedding`. With `keras.layers.Embedding` the penalty
            is on all rows, as in DeepCTR.

    Returns:
        A `keras.Model` that takes and returns what `DIN`'s does.

    Raises:
        ValueError: an argument is out of range; a column or the lengths are
            missing or duplicated; features of a history differ in `maxlen`;
            columns of one table differ in its options; ids are strings or need
            hashing; or `maxlen` is None without `max_steps`.

    Differences from DeepCTR:
        `max_steps` is new. The input of lengths may have any name. (As in
        DeepCTR, and unlike the paper, the candidate is not a step of the
        sequence.)

    Reference:
        Chen et al., [Behavior Sequence Transformer for E-commerce
        Recommendation in Alibaba](https://arxiv.org/abs/1905.06874), 2019.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import BST
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> clicks = VarLenSparseFeat(clicks, maxlen=4, length_name="seq_length")
    >>> model = BST([item, clicks], ["item"], att_head_num=4)
    >>> history = np.array([[7, 9, 0, 0], [0, 0, 0, 0]])
    >>> features = {"item": np.array([3, 4]), "hist_item": history}
    >>> click = model(features | {"seq_length": np.array([2, 0])})
    >>> tuple(click.shape)
    (2, 1)
    """
    check_positive_int("transformer_num", transformer_num)
    check_positive_int("att_head_num", att_head_num)
    dnn_dropout = check_rate("dnn_dropout", dnn_dropout)
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
    dim = query.shape[-1]
    if dim % att_head_num:
        raise_invalid(
            "att_head_num",
            f"a divisor of the history's width {dim}, the sum of embedding_dim",
            att_head_num,
        )
    history_prefixes = check_prefixes(history_prefixes)
    histories = features.histories(history_prefixes)
    state: dict[str, Tensor] = {}
    attentions = {}
    for nth, (suffix, columns) in enumerate(histories.items()):
        lengths = features.history_lengths(columns)
        steps = features.embed(columns)
        for i in range(transformer_num):
            steps = Transformer(
                dim // att_head_num,
                att_head_num,
                dropout_rate=dnn_dropout,
                use_layer_norm=True,
                blinding=False,
                seed=nth_seed(seed, 100 * i + nth),
                output_type=None,
                max_steps=max_steps,
                name=f"transformer_{i}{suffix}" if i or nth else "transformer",
            )(steps, query_lengths=lengths)
        state |= {f"keys{suffix}": steps, f"lengths{suffix}": lengths}
        attentions[suffix] = AttentionSequencePoolingLayer(
            (64, 16),
            weight_normalization=True,
            seed=nth_seed(seed, nth),
            name=f"attention_sequence_pooling_layer{suffix}",
        )
    valid_candidates = features.valid_candidates()

    def interests(**state: Tensor) -> list[Tensor]:
        return [
            attention(
                query,
                state[f"keys{suffix}"],
                lengths=state[f"lengths{suffix}"],
                candidates_mask=valid_candidates,
            )
            for suffix, attention in attentions.items()
        ]

    return build_click_model(
        "BST",
        features,
        features.others(*history_prefixes),
        state,
        interests,
        dnn_hidden_units=dnn_hidden_units,
        dnn_activation=dnn_activation,
        dnn_use_bn=check_bool("use_bn", use_bn),
        dnn_dropout=dnn_dropout,
        l2_reg_dnn=l2_reg_dnn,
        task=task,
    )
