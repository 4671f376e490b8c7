"""kseq's models, and mean pooling of the history as a baseline."""

from typing import Any

import keras
import numpy as np

from kseq.feature_column import FeatureColumn, build_input_features
from kseq.layers import DNN, SequencePoolingLayer
from kseq.models import BST, DIEN, DIN, DSIN
from movielens.features import CANDIDATE, SESSIONS, columns

# Smooth, because at ReLU's kink rounding decides whether a unit learns: after
# three epochs the backends' predictions differed by 2e-2 instead of 5e-7.
ACTIVATION = "silu"
HIDDEN_UNITS = (64, 32)
# DeepCTR's default. It also makes the tables' gradients dense on TensorFlow. In
# sparse ones Keras's Adam squares each occurrence of a row instead of their sum
# (keras 3.15), and the backends would train differently.
EMBEDDING_L2 = 1e-6


def build_model(name: str, genre_set: np.ndarray, steps: int) -> keras.Model:
    """Return one of `workspace.MODELS`."""
    arguments: dict[str, Any] = {
        "dnn_feature_columns": columns(name, genre_set, steps),
        "dnn_hidden_units": HIDDEN_UNITS,
        "dnn_activation": ACTIVATION,
        "l2_reg_embedding": EMBEDDING_L2,
    }
    match name:
        case "din":
            return DIN(history_feature_list=CANDIDATE, **arguments)
        case "dien":
            return DIEN(
                history_feature_list=CANDIDATE,
                gru_type="AUGRU",
                use_negsampling=True,
                **arguments,
            )
        case "dsin":
            return DSIN(
                sess_feature_list=CANDIDATE,
                sess_max_count=SESSIONS,
                att_embedding_size=3,
                # Each backend draws its own dropout: with DeepCTR's 0.2
                # predictions differed by 1e-3 after an epoch.
                lstm_dropout=0,
                mask_padding=True,
                **arguments,
            )
        case "bst":
            return BST(history_feature_list=CANDIDATE, **arguments)
        case _:
            return mean_pooling(arguments["dnn_feature_columns"])


def mean_pooling(feature_columns: list[FeatureColumn]) -> keras.Model:
    """Return a DIN that pools the history by its mean, not by attention."""
    inputs = build_input_features(feature_columns)
    vectors = []
    for column in feature_columns[: len(CANDIDATE)]:
        table = keras.layers.Embedding(
            column.vocabulary_size,
            column.embedding_dim,
            embeddings_regularizer=keras.regularizers.L2(EMBEDDING_L2),
            name=f"{column.name}_embedding",
        )
        history = table(inputs[f"hist_{column.name}"])
        mean = SequencePoolingLayer("mean")(
            history, lengths=inputs["seq_length"]
        )
        vectors += [table(inputs[column.name]), mean]
    x = keras.layers.Flatten()(keras.layers.Concatenate()(vectors))
    x = DNN(HIDDEN_UNITS, ACTIVATION, name="dnn")(x)
    like = keras.layers.Dense(1, "sigmoid", name="like")(x)
    return keras.Model(list(inputs.values()), like)
