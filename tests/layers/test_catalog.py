"""The catalog and the public names are complete."""

import inspect

import keras
import pytest

import kseq.layers
import kseq.layers.core
import kseq.layers.sequence
from tests.layers.catalog import BY_CLASS, EXAMPLES, LAYERS, each

pytestmark = pytest.mark.once

# `deepctr.layers.sequence` and `deepctr.layers.core`, 0.9.4.
DEEPCTR_SEQUENCE = {
    *("SequencePoolingLayer", "WeightedSequenceLayer", "KMaxPooling"),
    *("AttentionSequencePoolingLayer", "DynamicGRU", "BiLSTM", "BiasEncoding"),
    *("PositionEncoding", "positional_encoding", "Transformer"),
}
DEEPCTR_CORE = {"DNN", "LocalActivationUnit", "PredictionLayer", "Dice"}
# Two that keep float64, which Keras's do not, a function inside DIEN, and a
# table, which tests/layers/core/test_embedding.py compares with Keras's.
ADDED = {"BatchNormalization", "LayerNormalization", "AuxiliaryLoss"}
ADDED |= {"Embedding"}


def public(module):
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_public_names():
    sequence, core = public(kseq.layers.sequence), public(kseq.layers.core)
    assert sequence == DEEPCTR_SEQUENCE
    assert core == DEEPCTR_CORE | ADDED
    assert public(kseq.layers) == sequence | core


def test_catalog_has_every_layer_and_argument():
    assert {*BY_CLASS, "positional_encoding", "Embedding"} == public(
        kseq.layers
    )
    assert {e.layer.name for e in EXAMPLES} == {*BY_CLASS}
    for layer in LAYERS:
        assert layer.given.keys() == layer.defaults.keys()
        for name, value in layer.given.items():
            assert value != layer.defaults[name], (layer.name, name)


@each(LAYERS, "layer")
def test_layers_are_registered_under_kseq(layer):
    name = f"kseq>{layer.name}"
    assert keras.saving.get_registered_name(layer.cls) == name
    assert keras.saving.get_registered_object(name) is layer.cls
