"""Damaged or incompatible `.keras` files raise an error when loaded.

docs/saving.md lists the errors, which are mostly Keras's.
"""

import keras
import pytest

from tests.reliability.keras_files import layer_entry, make_model, read, write

pytestmark = pytest.mark.once


@pytest.fixture
def path(tmp_path):
    make_model().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


NEWER = {"class_name": "Newer", "registered_name": "kseq>Newer"}


@pytest.mark.parametrize(
    ("entry", "config", "match"),
    [
        (NEWER, {}, "Could not locate class 'Newer'"),
        ({}, {"newer": 3}, r"AttentionSequencePoolingLayer(.|\n)*'newer'"),
        ({}, {"att_activation": "newer"}, "name of .*; received 'newer'"),
    ],
)
def test_layer_of_a_newer_version(entry, config, match, path):
    members = read(path)
    layer_entry(members).update(entry)
    layer_entry(members)["config"].update(config)
    write(path, members)
    with pytest.raises(TypeError, match=match):
        keras.saving.load_model(path)
