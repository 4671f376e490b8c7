"""The models recorded from DeepCTR, and the same ones in kseq."""

import keras
from keras import ops

from kseq import feature_column, models
from kseq.hashing import hash_ids
from tests.arrays import to_numpy
from tests.golden.load import make_columns, model

CASES = {}


def case(name):
    """The record, read once."""
    return CASES.setdefault(name, model(name))


def write(recorded, kind, folder):
    """What DeepCTR's `save_weights` or `save` wrote, as a file again."""
    path = folder / f"{recorded.name}_{kind}.h5"
    path.write_bytes(recorded.files[kind])
    return path


def make(recorded):
    """The kseq model of the same configuration."""
    columns = [unhashed(column) for column in recorded.columns]
    make_model = getattr(models, recorded.model)
    return make_model(
        make_columns(feature_column, columns), **recorded.arguments
    )


def unhashed(column):
    """The column of ids that are hashed before the model."""
    if "sparsefeat" in column:
        return {**column, "sparsefeat": unhashed(column["sparsefeat"])}
    if column.get("use_hash"):
        return {**column, "use_hash": False, "dtype": "int32"}
    return column


def inputs(recorded):
    """The recorded inputs, hashed where DeepCTR would."""
    found = dict(recorded.inputs)
    candidate = recorded.arguments.get("history_feature_list", ())
    for column in recorded.columns:
        feature = column.get("sparsefeat", column)
        if feature.get("use_hash"):
            name = feature["name"]
            zero_is_padding = feature is not column or name in candidate
            found[name] = hash_ids(
                found[name], feature["vocabulary_size"], zero_is_padding
            ).astype("int32")
    if "sess_length" in found:  # a float in DeepCTR
        found["sess_length"] = found["sess_length"].astype("int32")
    return found


def not_saved(recorded):
    """The layers without weights in the files, as `load_h5` takes them."""
    return {"gru2": None} if recorded.unsaved else None


def numbers(keras_model):
    return {w.path: to_numpy(w.value) for w in keras_model.weights}


def predict(keras_model, given):
    if keras.backend.backend() == "openvino":
        # Its `predict` may compute float32 by bfloat16 instructions.
        tensors = {n: ops.convert_to_tensor(x) for n, x in given.items()}
        return to_numpy(keras_model(tensors))
    return keras_model.predict_on_batch(given)
