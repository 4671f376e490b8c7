from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kseq.checks import (
    check_bool,
    check_nonnegative,
    check_one_of,
    check_positive_ints,
)
from kseq.feature_column import FeatureColumn
from kseq.layers.core import AuxiliaryLoss
from kseq.layers.sequence import AttentionSequencePoolingLayer, DynamicGRU
from kseq.models.features import Features, click_model
from kseq.types import Tensor

GRU_TYPES = ("GRU", "AIGRU", "AGRU", "AUGRU")


def DIEN(
    dnn_feature_columns: Iterable[FeatureColumn],
    history_feature_list: Sequence[str],
    gru_type: str = "GRU",
    use_negsampling: bool = False,
    alpha: float = 1.0,
    use_bn: bool = False,
    dnn_hidden_units: Any = (256, 128, 64),
    dnn_activation: Any = "relu",
    att_hidden_units: Any = (64, 16),
    att_activation: Any = "dice",
    att_weight_normalization: bool = True,
    l2_reg_dnn: float = 0,
    l2_reg_embedding: float = 1e-6,
    dnn_dropout: float = 0,
    seed: int | None = 1024,
    task: str = "binary",
    *,
    augru_form: str = "deepctr",
) -> keras.Model:
    r"""Deep Interest Evolution Network: interests that change over time.

    A GRU reads the history, which gives an interest at each step; attention
    says how much each has to do with the candidate; a second GRU, whose state
    the attention moves, gives what the DNN takes beside all other features.

    Args:
        dnn_feature_columns: the columns of all features: each name of
            `history_feature_list` as `SparseFeat`, and with "hist_" before it
            as `VarLenSparseFeat` (for `use_negsampling` with "neg_hist_", too);
            any others. The histories' lengths are the input that their
            `length_name` says. `maxlen` may be None.
        history_feature_list: the names of the candidate's features.
        gru_type: how attention and the second GRU meet. 'GRU': attention sums
            up what the GRU gives; 'AIGRU': it multiplies what the GRU is given;
            'AGRU', 'AUGRU': it is a gate of the GRU, see `DynamicGRU`.
        use_negsampling: whether each interest has to tell the next click from
            what was not clicked, see `AuxiliaryLoss`.
        alpha: the strength of that loss.
        use_bn: whether the DNN has batch normalisation.
        dnn_hidden_units: the widths of its layers.
        dnn_activation: their activation, see `DNN`.
        att_hidden_units: the widths of the attention's layers.
        att_activation: their activation, see `DNN`.
        att_weight_normalization: whether the scores go through a softmax.
        l2_reg_dnn: the L2 penalty's strength on the DNN's kernels.
        l2_reg_embedding: the same on the embedding tables.
        dnn_dropout: the fraction of the DNN's units dropped in training.
        seed: an integer, or None for another start each time.
        task: 'binary' for a probability, 'regression' for a number.
        augru_form: AUGRU as 'deepctr' has it, or as in the 'paper', see
            `DynamicGRU`.

    Returns:
        A `keras.Model` as `DIN` returns it.

    Raises:
        ValueError: an argument is out of range, a column or the lengths are
            missing or there twice, histories differ in `maxlen`, columns that
            share a table differ in it, or ids are words or still to be hashed.

    Differences from DeepCTR:
        The weights of 'AGRU' and 'AUGRU' are trained and saved. The auxiliary
        loss is averaged over the steps that count, always finite, and there
        with every `gru_type`. Other models of the process stay as they are. The
        lengths' input has any name. `maxlen` may be None, and a batch of one
        example works.

    Reference:
        Zhou et al., Deep Interest Evolution Network, 2019.

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
        dnn_feature_columns, history_feature_list, l2_reg_embedding
    )
    history = features.history()
    lengths = features.lengths(history)
    keys = features.embed(history)
    interests = DynamicGRU(name="gru1")([keys, lengths])
    negative_names = {f"neg_{c.name}" for c in history}
    if check_bool("use_negsampling", use_negsampling):
        negatives = features.history("neg_hist_")
        interests = AuxiliaryLoss(alpha, seed=seed, name="auxiliary_loss")(
            [interests, keys, features.embed(negatives), lengths]
        )
    attention = AttentionSequencePoolingLayer(
        check_positive_ints("att_hidden_units", att_hidden_units),
        att_activation,
        check_bool("att_weight_normalization", att_weight_normalization),
        return_score=gru_type != "GRU",
        name="attention_sequence_pooling_layer",
    )

    def attend(states: Tensor) -> Tensor:
        query = features.embed(features.candidate)
        return attention([query, states, lengths])

    evolve = DynamicGRU(
        gru_type=gru_type,
        return_sequence=gru_type == "GRU",
        augru_form=augru_form,
        name="gru2",
    )
    if gru_type == "GRU":
        interest = attend(evolve([interests, lengths]))
    elif gru_type == "AIGRU":
        scores = keras.layers.Permute((2, 1))(attend(interests))
        weighted = keras.layers.Multiply()([interests, scores])
        interest = evolve([weighted, lengths])
    else:
        interest = evolve([interests, lengths, attend(interests)])
    return click_model(
        "DIEN",
        features,
        [
            c
            for c in features.varlen
            if c not in history and c.name not in negative_names
        ],
        [interest],
        dnn_hidden_units=dnn_hidden_units,
        dnn_activation=dnn_activation,
        dnn_use_bn=check_bool("use_bn", use_bn),
        dnn_dropout=dnn_dropout,
        l2_reg_dnn=l2_reg_dnn,
        seed=seed,
        task=task,
    )
