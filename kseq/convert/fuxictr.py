"""Load the weights of models of FuxiCTR 2.3.10, without it or PyTorch."""

import itertools
import re
from collections import defaultdict
from typing import Any

import keras

from kseq.checks import raise_invalid
from kseq.convert.dnn_input import INTEREST
from kseq.convert.placing import Placement
from kseq.convert.torch_weights import Checkpoint, Hidden, find_parts, reorder

TABLES = "embedding_layer.embedding_layer.embedding_layers."


def load_state_dict(model: keras.Model, state: Any) -> list[Placement]:
    """Load the weights of FuxiCTR's DIN or DIEN (LongCTR) into a model.

    Every weight of the model must have an array, and every array a weight;
    otherwise nothing changes.

    Args:
        model: a model of `kseq.models.DIN` or `DIEN` whose features have
            FuxiCTR's names, those of the history with the prefix "hist_", and
            the same options; of DIEN with `reset_after=True`, for AUGRU also
            `augru_form="paper"`.
        state: the path of FuxiCTR's `.model` file, or `{name: array}` in the
            order of `model.state_dict()`.

    Returns:
        A list of `(weight, source, shape)`: the path of the model's weight, the
        names of the arrays that it was computed from, and its shape.

    Raises:
        ValueError: the file is missing, damaged or of another kind; a weight or
            an array is left over, or their shapes differ (the error lists all);
            the order of the candidate's features differs; or the model cannot
            compute the same. The model is unchanged.

    Differences from FuxiCTR:
        Predictions are equal. FuxiCTR embeds a number; here the DNN reads it
        directly, and its kernel is the product of both kernels.

    Example:

    >>> from kseq.convert.fuxictr import load_state_dict
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN
    >>> item = SparseFeat("item_id", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item_id", 100, 8, embedding_name="item_id")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item_id"])
    >>> load_state_dict(model, "DIN.model")
    Traceback (most recent call last):
        ...
    ValueError: filepath: expected a file of torch.save(model.state_dict(), \
path); received DIN.model, which does not exist
    """
    parts, checkpoint = find_parts(model), Checkpoint(state)
    ours = parts.input
    tables = {
        name.removeprefix(TABLES).removesuffix(".weight"): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(TABLES) and array.ndim == 2
    }
    candidate = [name for name in tables if name in ours.candidate]
    if candidate != [*ours.candidate]:
        expected = f"candidate's features in the order {candidate}"
        raise_invalid("model", expected, [*ours.candidate])
    for layer, features in ours.tables.items():
        names = [f"{TABLES}{name}.weight" for name in features]
        checkpoint.table(parts.tables[layer], names)
    attention = "attention_layers.attention_layer.mlp"
    if parts.grus:
        attention = "attention_modules.0.attn_mlp.mlp"
        _put_grus(checkpoint, parts.grus)
    hidden, output = _hidden(checkpoint, attention)
    checkpoint.network(parts.attention.dnn, hidden)
    checkpoint.linear(parts.attention.kernel, parts.attention.bias, output)

    embedded = {*itertools.chain(*ours.tables.values())}
    numbers = [n for n in ours.widths if n in tables and n not in embedded]
    user = [name for name in tables if name not in candidate]
    widths = {
        # The embedding of a number is a linear layer's kernel.
        name: tables[name].shape[0 if name in numbers else 1]
        for name in user + candidate
    }
    hidden, output = _hidden(checkpoint, "dnn.mlp")
    checkpoint.network(
        parts.dnn,
        hidden,
        rows=reorder(
            {**widths, INTEREST: ours.widths[INTEREST]}, ours.widths, numbers
        ),
        more=[f"{TABLES}{name}.weight" for name in numbers],
    )
    checkpoint.linear(parts.output.kernel, parts.prediction.global_bias, output)
    return checkpoint.place(model)


def _hidden(checkpoint: Checkpoint, network: str) -> tuple[list[Hidden], str]:
    """The hidden layers of an MLP_Block, and its output layer.

    It numbers all its modules, also those without weights.
    """
    pattern = re.compile(rf"{re.escape(network)}\.(\d+)\.(.+)")
    modules: dict[int, set[str]] = defaultdict(set)
    for name in checkpoint.arrays:
        if match := pattern.fullmatch(name):
            modules[int(match[1])].add(match[2])
    layers: list[Hidden] = []
    for number, names in sorted(modules.items()):
        module = f"{network}.{number}"
        weight = checkpoint.arrays.get(f"{module}.weight")
        if weight is not None and weight.ndim == 2:
            layers.append(Hidden(module, "", ""))
        elif layers and "running_var" in names:
            layers[-1] = layers[-1]._replace(norm=module)
        elif layers and "alpha" in names:
            layers[-1] = layers[-1]._replace(activation=module)
    return layers[:-1], layers[-1].linear if layers else ""


def _put_grus(checkpoint: Checkpoint, grus: list[Any]) -> None:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    extraction, evolution = grus
    checkpoint.gru(extraction, [f"extraction_modules.0.{n}" for n in names])
    if evolution.gru_type in ("AGRU", "AUGRU"):
        kinds = ("x2h.weight", "h2h.weight", "x2h.bias", "h2h.bias")
        cell = [f"evolving_modules.0.gru_cell.{kind}" for kind in kinds]
        checkpoint.gru(evolution, cell, gates="urn")
    else:
        checkpoint.gru(evolution, [f"evolving_modules.0.{n}" for n in names])
