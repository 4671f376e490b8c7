"""Load the weights of models of DeepCTR-Torch 0.3.0, without it or PyTorch."""

from typing import Any

import keras

from kseq.checks import raise_invalid
from kseq.convert.dnn_input import INTEREST, DnnInput
from kseq.convert.placing import Placement
from kseq.convert.torch_weights import Checkpoint, Hidden, find_parts, reorder

DICE_EPSILON = 1e-8


def load_state_dict(model: keras.Model, state: Any) -> list[Placement]:
    """Load the weights of DeepCTR-Torch's DIN or DIEN into a model.

    Every weight of the model must have an array, and every array a weight;
    otherwise nothing changes.

    Args:
        model: a model of `kseq.models.DIN` or `DIEN` with the same columns, in
            the same order, and the same options; of DIEN with
            `reset_after=True`, for AUGRU also `augru_form="paper"`.
        state: the path of a file of `torch.save(model.state_dict(), path)`, or
            `{name: array}` in the order of `model.state_dict()`.

    Returns:
        A list of `(weight, source, shape)`: the path of the model's weight, the
        names of the arrays that it was computed from, and its shape.

    Raises:
        ValueError: the file is missing, damaged or of another kind; a weight or
            an array is left over, or their shapes differ (the error lists all);
            the columns' order differs; the model cannot compute the same; or a
            Dice has a batch normalisation with a gamma that is not positive.
            The model is unchanged.

    Differences from DeepCTR-Torch:
        Predictions are equal. Dice has no gamma and beta here: its moving
        statistics make up for them, until they are trained.

    Example:

    >>> from kseq.convert.deepctr_torch import load_state_dict
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> load_state_dict(model, "din.pth")
    Traceback (most recent call last):
        ...
    ValueError: filepath: expected a file of torch.save(model.state_dict(), \
path); received din.pth, which does not exist
    """
    parts, checkpoint = find_parts(model), Checkpoint(state)
    for layer, features in parts.input.tables.items():
        names = [f"embedding_dict.{name}.weight" for name in features]
        checkpoint.table(parts.tables[layer], names)
    _check_order(parts.input, checkpoint)

    attention, output, widths = "attention", "dnn_linear", parts.input.widths
    if parts.grus:
        attention, output = "interest_evolution.attention", "linear"
        # The interest is the first of the DNN's features.
        widths = {INTEREST: widths[INTEREST]} | widths
        _put_grus(checkpoint, parts.grus)
    attention += ".local_att"
    checkpoint.network(
        parts.attention.dnn,
        _hidden(f"{attention}.dnn", parts.attention.dnn),
        DICE_EPSILON,
    )
    checkpoint.linear(
        parts.attention.kernel, parts.attention.bias, f"{attention}.dense"
    )
    if parts.auxiliary is not None:
        dnn = parts.auxiliary.dnn
        hidden = _hidden("interest_extractor.auxiliary_net", dnn)
        checkpoint.network(dnn, hidden)
    checkpoint.network(
        parts.dnn,
        _hidden("dnn", parts.dnn),
        DICE_EPSILON,
        rows=reorder(widths, parts.input.widths),
    )
    checkpoint.linear(parts.output.kernel, None, output)
    checkpoint.put(parts.prediction.global_bias, lambda b: b, "out.bias")
    return checkpoint.place(model)


def _hidden(network: str, dnn: Any) -> list[Hidden]:
    modules = ("linears", "bn", "activation_layers")
    return [
        Hidden(*(f"{network}.{module}.{i}" for module in modules))
        for i in range(len(dnn.kernels))
    ]


def _put_grus(checkpoint: Checkpoint, grus: list[Any]) -> None:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    extraction, evolution = grus
    first = [f"interest_extractor.gru.{name}_l0" for name in names]
    checkpoint.gru(extraction, first)
    second = [f"interest_evolution.interest_evolution.{n}_l0" for n in names]
    if evolution.gru_type in ("AGRU", "AUGRU"):
        cell = "interest_evolution.interest_evolution.rnn"
        second = [f"{cell}.{name}" for name in names]
    checkpoint.gru(evolution, second)


def _check_order(found: DnnInput, checkpoint: Checkpoint) -> None:
    """The DNN's kernel does not tell the order of features of one width."""
    names_of = {n: names for names in found.tables.values() for n in names}
    ours: dict[str, None] = {}
    for feature in found.widths:
        names = [
            f"embedding_dict.{n}.weight" for n in names_of.get(feature, ())
        ]
        ours |= dict.fromkeys(n for n in names if n in checkpoint.arrays)
    theirs = [name for name in checkpoint.arrays if name in ours]
    if [*ours] != theirs:
        raise_invalid("model", f"columns in the order of {theirs}", [*ours])
