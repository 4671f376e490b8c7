"""Models recorded from DeepCTR, the same models in kseq, and their files."""

import functools

import h5py

from kseq import feature_column, models
from kseq.hashing import hash_ids
from tests.golden.load import make_columns, model
from tests.layers import trial
from tests.support import to_numpy

case = functools.cache(model)


def write(recorded, kind, folder):
    """Write the file of DeepCTR's `save_weights` or `save`."""
    path = folder / f"{recorded.name}_{kind}.h5"
    path.write_bytes(recorded.files[kind])
    return path


def write_h5(path, layers):
    """Write arrays by layer and weight name, as `save_weights` does."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [*layers]
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{w}:0" for w in weights]
            for name, array in weights.items():
                group[f"{layer}/{name}:0"] = array
    return path


def make(recorded):
    """Build the kseq model of the same configuration."""
    columns = [_without_hash(column) for column in recorded.columns]
    make_model = getattr(models, recorded.model)
    return make_model(
        make_columns(feature_column, columns), **recorded.arguments
    )


def _without_hash(column):
    """Replace a hashed column by one of ids."""
    if "sparsefeat" in column:
        return {**column, "sparsefeat": _without_hash(column["sparsefeat"])}
    if column.get("use_hash"):
        return {**column, "use_hash": False, "dtype": "int32"}
    return column


def inputs(recorded):
    """The recorded inputs, hashed like in DeepCTR."""
    found = dict(recorded.inputs)
    candidate = recorded.arguments.get("history_feature_list", ())
    for column in recorded.columns:
        feature = column.get("sparsefeat", column)
        if feature.get("use_hash"):
            name = feature["name"]
            zero_is_padding = feature is not column or name in candidate
            found[name] = hash_ids(
                found[name],
                feature["vocabulary_size"],
                mask_zero=zero_is_padding,
            ).astype("int32")
    if "sess_length" in found:  # floats in DeepCTR
        found["sess_length"] = found["sess_length"].astype("int32")
    return found


def not_saved(recorded):
    """The layers without weights in the files, as `load_h5` takes them."""
    return {"gru2": None} if recorded.unsaved else None


def numbers(keras_model):
    return {w.path: to_numpy(w.value) for w in keras_model.weights}


def predict(model, given):
    return to_numpy(trial.predict(model, given))
