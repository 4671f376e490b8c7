"""`.keras` files that are not whole, not of this version, not this model's.

Keras reads them, and what it says is Keras's (docs/saving.md lists it). Here:
that none of them loads as if nothing were wrong.
"""

import keras
import numpy as np
import pytest

from tests.reliability.disk import contents, full_after, needs_limits
from tests.reliability.keras_files import (
    layer,
    make_model,
    outputs,
    read,
    write,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model, and its file's bytes."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model = make_model()
    model.save(path)
    return model, path.read_bytes()


@pytest.fixture
def path(saved, tmp_path):
    (tmp_path / "model.keras").write_bytes(saved[1])
    return tmp_path / "model.keras"


def refused(path, match, error=ValueError):
    with pytest.raises(error, match=match):
        keras.saving.load_model(path)


@pytest.mark.parametrize("part", [0, 0.001, 0.05, 0.3, 0.9, 0.999])
def test_cut_off(part, path):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    # Not the best of words, and Keras's.
    refused(path, "ensure the file is an accessible `.keras` zip file")


def test_any_byte_changed(path, saved):
    """It does not load, or the model is the same."""
    model, whole = saved
    rng = np.random.default_rng(0)
    refusals = 0
    for at in rng.integers(0, len(whole), 25):
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            loaded = keras.saving.load_model(path)
        except Exception:  # of zipfile, h5py or Keras, as it falls out
            refusals += 1
        else:
            np.testing.assert_array_equal(outputs(loaded), outputs(model))
    assert refusals > 20


def test_an_archive_of_something_else(path):
    write(path, {"photo.jpg": b"words"})
    refused(path, r"no item named 'config\.json'", KeyError)


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5"])
def test_a_part_is_missing(part, path):
    parts = read(path)
    del parts[part]
    write(path, parts)
    refused(path, part, (KeyError, ValueError))


def test_half_of_the_weights(path):
    parts = read(path)
    weights = parts["model.weights.h5"]
    write(path, {**parts, "model.weights.h5": weights[: len(weights) // 2]})
    refused(path, "truncated", OSError)


def test_a_layer_of_a_newer_version(path):
    parts = read(path)
    layer(parts).update(class_name="Newer", registered_name="kseq>Newer")
    write(path, parts)
    refused(path, "Could not locate class 'Newer'", TypeError)


def test_an_argument_of_a_newer_version(path):
    parts = read(path)
    layer(parts)["config"]["newer"] = 3
    write(path, parts)
    refused(path, "AttentionSequencePoolingLayer(.|\n)*'newer'", TypeError)


def test_a_value_of_a_newer_version(path):
    """kseq's own words come through."""
    parts = read(path)
    layer(parts)["config"]["att_activation"] = "newer"
    write(path, parts)
    refused(
        path,
        "att_activation: expected the name of .*; received 'newer'",
        TypeError,
    )


def test_a_newer_keras_alone_is_no_reason(path, saved):
    parts = read(path)
    write(path, {**parts, "metadata.json": {"keras_version": "99.0.0"}})
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(outputs(loaded), outputs(saved[0]))


def weights_of(model, folder):
    model.save(folder / "other.keras")
    return read(folder / "other.keras")["model.weights.h5"]


def test_weights_of_another_shape(path, tmp_path):
    parts = read(path)
    parts["model.weights.h5"] = weights_of(make_model(units=6), tmp_path)
    write(path, parts)
    refused(path, r"DNN name=dnn(.|\n)*shape of the target value (.|\n)*12, 6")


def test_weights_of_another_model_of_the_same_shapes(path, tmp_path):
    """They load, for nothing tells them apart; and all of them are its."""
    other = make_model(seed=1)
    parts = read(path)
    parts["model.weights.h5"] = weights_of(other, tmp_path)
    write(path, parts)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(outputs(loaded), outputs(other))


# The advice of docs/saving.md: over an old file a model is saved beside it.


@needs_limits
@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_saved_beside_the_old_file_stays(part, path, saved):
    before = contents(path.parent)
    beside = path.with_name("new.keras")
    with (
        full_after(int(part * len(saved[1]))),
        pytest.raises(OSError, match="File too large"),
    ):
        saved[0].save(beside)
    beside.unlink()
    assert contents(path.parent) == before
    saved[0].save(beside)
    beside.replace(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(outputs(loaded), outputs(saved[0]))
