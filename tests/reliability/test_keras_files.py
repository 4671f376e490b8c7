"""Damaged or incompatible `.keras` files raise an error when loaded.

docs/saving.md lists the errors, which are mostly Keras's.
"""

import zipfile

import keras
import numpy as np
import pytest

from tests.reliability.disk import contents, full_after, needs_limits
from tests.reliability.keras_files import (
    layer_entry,
    make_model,
    outputs,
    read,
    write,
)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def assert_load_fails(path, match, error=ValueError):
    with pytest.raises(error, match=match):
        keras.saving.load_model(path)


def test_truncated_file(path):
    path.write_bytes(path.read_bytes()[:-10])
    assert_load_fails(path, "ensure the file is an accessible `.keras` zip")


def test_changed_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert_load_fails(path, "CRC", zipfile.BadZipFile)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_missing_member(member, path):
    members = read(path)
    del members[member]
    write(path, members)
    assert_load_fails(path, member, (KeyError, ValueError))


@pytest.mark.parametrize(
    ("entry", "config", "match"),
    [
        (
            {"class_name": "Newer", "registered_name": "kseq>Newer"},
            {},
            "Could not locate class 'Newer'",
        ),
        ({}, {"newer": 3}, r"AttentionSequencePoolingLayer(.|\n)*'newer'"),
        (
            {},
            {"att_activation": "newer"},
            "att_activation: expected the name of .*; received 'newer'",
        ),
    ],
    ids=["class", "argument", "value"],
)
def test_layer_of_a_newer_version(entry, config, match, path):
    members = read(path)
    layer_entry(members).update(entry)
    layer_entry(members)["config"].update(config)
    write(path, members)
    assert_load_fails(path, match, TypeError)


def test_weights_of_another_shape(path, tmp_path):
    make_model(units=6).save(tmp_path / "other.keras")
    name = "model.weights.h5"
    write(path, read(path) | {name: read(tmp_path / "other.keras")[name]})
    assert_load_fails(path, r"shape of the target value (.|\n)*12, 6")


@needs_limits
def test_full_disk_keeps_the_old_file_when_saving_to_a_new_one(path, model):
    """docs/saving.md recommends to save to a new file, then rename it."""
    before = contents(path.parent)
    new = path.with_name("new.keras")
    with (
        full_after(path.stat().st_size // 2),
        pytest.raises(OSError, match="File too large"),
    ):
        model.save(new)
    new.unlink()
    assert contents(path.parent) == before
    model.save(new)
    new.replace(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(outputs(loaded), outputs(model))
