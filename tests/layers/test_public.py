"""The names that kseq offers: DeepCTR's, as far as they are done."""

import inspect

import keras
import pytest

import kseq.layers
import kseq.layers.core
import kseq.layers.sequence
from tests.layers.examples import EXAMPLES

# `deepctr.layers.sequence` and `deepctr.layers.core`, 0.9.4.
DEEPCTR_SEQUENCE = {
    "AttentionSequencePoolingLayer",
    "BiLSTM",
    "BiasEncoding",
    "DynamicGRU",
    "KMaxPooling",
    "PositionEncoding",
    "SequencePoolingLayer",
    "Transformer",
    "WeightedSequenceLayer",
    "positional_encoding",
}
DEEPCTR_CORE = {"DNN", "LocalActivationUnit", "PredictionLayer", "Dice"}
# Two that keep float64, which Keras's do not, and what in DeepCTR is a function
# inside DIEN.
OWN = {"BatchNormalization", "LayerNormalization", "AuxiliaryLoss"}
# What keeps no sequence's promises, and is tested in a file of its own: one
# takes and gives lists, one adds a loss, one takes logits.
WITHOUT_EXAMPLE = {"BiasEncoding", "AuxiliaryLoss", "PredictionLayer"}


def public(module):
    """What a module offers itself, not its submodules."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


LAYERS = sorted(
    name
    for name in public(kseq.layers)
    if inspect.isclass(getattr(kseq.layers, name))
)


def test_the_sequence_module_offers_deepctr_s_names():
    assert public(kseq.layers.sequence) == DEEPCTR_SEQUENCE


def test_the_core_module_offers_deepctr_s_names():
    assert public(kseq.layers.core) == DEEPCTR_CORE | OWN


def test_the_layers_module_offers_all_of_both():
    sequence, core = public(kseq.layers.sequence), public(kseq.layers.core)
    assert public(kseq.layers) == sequence | core
    for module in (kseq.layers.sequence, kseq.layers.core):
        for name in public(module):
            assert getattr(kseq.layers, name) is getattr(module, name)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_registered_under_kseq(name):
    cls = getattr(kseq.layers, name)
    assert keras.saving.get_registered_name(cls) == f"kseq>{name}"
    assert keras.saving.get_registered_object(f"kseq>{name}") is cls


def test_every_layer_has_an_example():
    classes = {type(example.make()).__name__ for example in EXAMPLES}
    assert classes | WITHOUT_EXAMPLE == set(LAYERS)
