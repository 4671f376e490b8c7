from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from kseq.checks import (
    check_bool,
    check_nonnegative,
    check_one_of,
    check_positive_ints,
)
from kseq.feature_column import FeatureColumn
from kseq.layers.base import nth_seed
from kseq.layers.core import AuxiliaryLoss, Embedding
from kseq.layers.sequence import AttentionSequencePoolingLayer, DynamicGRU
from kseq.models.features import Features, build_click_model, check_prefixes
from kseq.models.parts import History
from kseq.ops.recurrence import GRU_TYPES
from kseq.types import Tensor


def DIEN(
    dnn_feature_columns: Iterable[FeatureColumn],
    history_feature_list: Sequence[str],
    gru_type: str = "GRU",
    use_negsampling: bool = False,
    alpha: float = 1.0,
    use_bn: bool = False,
    dnn_hidden_units: Sequence[int] = (256, 128, 64),
    dnn_activation: Any = "relu",
    att_hidden_units: Sequence[int] = (64, 16),
    att_activation: Any = "dice",
    att_weight_normalization: bool = True,
    l2_reg_dnn: float = 0,
    l2_reg_embedding: float = 1e-6,
    dnn_dropout: float = 0,
    seed: int | None = None,
    task: str = "binary",
    *,
    augru_form: str = "deepctr",
    reset_after: bool = False,
    history_prefixes: Sequence[str] = ("hist_",),
    candidate_feature_list: Sequence[str] = (),
    num_candidates: int | None = 1,
    embedding_layer: Callable[..., keras.Layer] = Embedding,
) -> keras.Model:
    r"""Deep Interest Evolution Network: models how interests change.

    A GRU reads the history and returns an interest at each step. Attention
    scores each interest against the candidate. A second GRU, controlled by the
    scores, returns the user's interest, which the DNN reads with all other
    features.

    Args:
        dnn_feature_columns: the columns of all features. For each name of
            `history_feature_list`, a column of that name and, for each of
            `history_prefixes`, a sequence column of the prefixed name, for
            `use_negsampling` another with the prefix "neg_hist_" ("neg_" and
            the history's prefix); any others. The `length_name` of a history
            is the input of its lengths. `maxlen` may be None.
        history_feature_list: the names of the candidate's features: of
            `SparseFeat`; of `VarLenSparseFeat`, for a set of ids; and of
            `DenseFeat`, whose steps are a `VarLenDenseFeat`. At least one has
            ids.
        gru_type: how the second GRU uses attention. 'GRU': attention pools the
            GRU's outputs; 'AIGRU': the scores multiply the GRU's inputs;
            'AGRU', 'AUGRU': the scores act as a gate, see `DynamicGRU`.
        use_negsampling: whether to add a loss that trains each interest to tell
            the next click from a negative sample; see `AuxiliaryLoss`.
        alpha: the weight of that loss.
        use_bn: whether the DNN has batch normalisation.
        dnn_hidden_units: the widths of the DNN's layers.
        dnn_activation: their activation; see `DNN`.
        att_hidden_units: the widths of the attention's hidden layers.
        att_activation: their activation; see `DNN`.
        att_weight_normalization: whether a softmax normalises the scores.
        l2_reg_dnn: the strength of the L2 penalty on the DNN's kernels.
        l2_reg_embedding: the strength of the L2 penalty on the rows of the
            embedding tables that a batch looks up; see `embedding_layer`.
        dnn_dropout: the DNN's dropout rate.
        seed: an integer; None for different initial weights each time.
        task: 'binary' for a probability, 'regression' for a number.
        augru_form: 'deepctr' for DeepCTR's AUGRU, 'paper' for the paper's; see
            `DynamicGRU`.
        reset_after: whether both GRUs reset the projected state, as PyTorch's
            do; see `DynamicGRU`.
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
            columns of one table differ in its options; or ids are strings or
            need hashing.

    Differences from DeepCTR:
        The weights of 'AGRU' and 'AUGRU' are trained and saved. The auxiliary
        loss is averaged over the valid steps, is always finite, and works with
        every `gru_type`. Other models in the process are not changed. The input
        of lengths may have any name. `maxlen` may be None, and a batch of one
        example works.

    Reference:
        Zhou et al., [Deep Interest Evolution
        Network](https://arxiv.org/abs/1809.03672), 2019.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIEN
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> clicks = VarLenSparseFeat(clicks, maxlen=4, length_name="seq_length")
    >>> model = DIEN([item, clicks], ["item"], gru_type="AUGRU")
    >>> history = np.array([[7, 9, 0, 0], [0, 0, 0, 0]])
    >>> features = {"item": np.array([3, 4]), "hist_item": history}
    >>> click = model(features | {"seq_length": np.array([2, 0])})
    >>> tuple(click.shape)
    (2, 1)
    """
    gru_type = check_one_of("gru_type", gru_type, GRU_TYPES)
    alpha = check_nonnegative("alpha", alpha)
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
    negative_prefixes = [f"neg_{prefix}" for prefix in history_prefixes]
    negatives = {}
    if check_bool("use_negsampling", use_negsampling):
        negatives = features.histories(negative_prefixes)
    att_hidden_units = check_positive_ints("att_hidden_units", att_hidden_units)
    state: dict[str, Tensor] = {}
    attentions, grus, appendable = {}, {}, []
    for i, (suffix, columns) in enumerate(histories.items()):
        lengths = features.history_lengths(columns)
        keys = features.embed(columns)
        states = DynamicGRU(
            reset_after=reset_after,
            seed=nth_seed(seed, 2 * i),
            name=f"gru1{suffix}",
        )(keys, lengths=lengths)
        if negatives:
            states = AuxiliaryLoss(
                alpha, seed=nth_seed(seed, i), name=f"auxiliary_loss{suffix}"
            )(states, keys, features.embed(negatives[suffix]), lengths=lengths)
        attentions[suffix] = AttentionSequencePoolingLayer(
            att_hidden_units,
            att_activation,
            check_bool("att_weight_normalization", att_weight_normalization),
            return_score=gru_type != "GRU",
            seed=nth_seed(seed, i),
            name=f"attention_sequence_pooling_layer{suffix}",
        )
        evolve = grus[suffix] = DynamicGRU(
            gru_type=gru_type,
            return_sequence=gru_type == "GRU",
            augru_form=augru_form,
            reset_after=reset_after,
            seed=nth_seed(seed, 2 * i + 1),
            name=f"gru2{suffix}",
        )
        if gru_type == "GRU":
            states = evolve(states, lengths=lengths)
        state |= {f"states{suffix}": states, f"lengths{suffix}": lengths}
        appendable.append(
            History(
                f"states{suffix}",
                f"lengths{suffix}",
                [c.name for c in columns],
                lengths.name,
                f"gru1{suffix}",
            )
        )
    valid_candidates = features.valid_candidates()

    def interests(**state: Tensor) -> list[Tensor]:
        found = []
        for suffix, attention in attentions.items():
            states, lengths = (
                state[f"states{suffix}"],
                state[f"lengths{suffix}"],
            )
            attended = attention(
                query, states, lengths=lengths, candidates_mask=valid_candidates
            )
            if gru_type != "GRU":
                attended = grus[suffix](states, attended, lengths=lengths)
            found.append(attended)
        return found

    return build_click_model(
        "DIEN",
        features,
        features.others(*history_prefixes, *negative_prefixes),
        state,
        interests,
        appendable=appendable if gru_type != "GRU" else (),
        dnn_hidden_units=dnn_hidden_units,
        dnn_activation=dnn_activation,
        dnn_use_bn=check_bool("use_bn", use_bn),
        dnn_dropout=dnn_dropout,
        l2_reg_dnn=l2_reg_dnn,
        task=task,
    )
