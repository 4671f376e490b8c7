"""The models: kseq's, and the mean of the history to compare them with."""

from typing import Any

import keras
import numpy as np

from kseq.feature_column import FeatureColumn, build_input_features
from kseq.layers import DNN, SequencePoolingLayer
from kseq.models import BST, DIEN, DIN, DSIN
from movielens.features import CANDIDATE, SESSIONS, columns

# Smooth on purpose: at ReLU's kink rounding decides whether a unit learns, and
# after three epochs the backends' predictions were 2e-2 apart, not 5e-7.
ACTIVATION = "silu"
HIDDEN_UNITS = (64, 32)
# DeepCTR's default. It also makes the tables' gradients dense on TensorFlow:
# of sparse ones Keras's Adam squares each occurrence of a row, not their sum
# (keras 3.15), and the backends would train differently.
EMBEDDING_L2 = 1e-6


def build_model(name: str, genre_set: np.ndarray, steps: int) -> keras.Model:
    """One of `workspace.MODELS`."""
    given: dict[str, Any] = {
        "dnn_feature_columns": columns(name, genre_set, steps),
        "dnn_hidden_units": HIDDEN_UNITS,
        "dnn_activation": ACTIVATION,
        "l2_reg_embedding": EMBEDDING_L2,
    }
    match name:
        case "din":
            return DIN(history_feature_list=CANDIDATE, **given)
        case "dien":
            return DIEN(
                history_feature_list=CANDIDATE,
                gru_type="AUGRU",
                use_negsampling=True,
                **given,
            )
        case "dsin":
            return DSIN(
                sess_feature_list=CANDIDATE,
                sess_max_count=SESSIONS,
                att_embedding_size=3,
                # Each backend draws its own: with DeepCTR's 0.2 predictions
                # were 1e-3 apart after an epoch.
                lstm_dropout=0,
                mask_padding=True,
                **given,
            )
        case "bst":
            return BST(history_feature_list=CANDIDATE, **given)
        case _:
            return mean_pooling(given["dnn_feature_columns"])


def mean_pooling(feature_columns: list[FeatureColumn]) -> keras.Model:
    """DIN with the history's mean in the place of attention."""
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
        mean = SequencePoolingLayer("mean")([history, inputs["hist_length"]])
        vectors += [table(inputs[column.name]), mean]
    x = keras.layers.Flatten()(keras.layers.Concatenate()(vectors))
    x = DNN(HIDDEN_UNITS, ACTIVATION, name="dnn")(x)
    like = keras.layers.Dense(1, "sigmoid", name="like")(x)
    return keras.Model(list(inputs.values()), like)


def attention_weights(
    din: keras.Model, inputs: dict[str, np.ndarray]
) -> np.ndarray:
    """DIN's weights of the steps `(batch, time)`, not normalised."""
    attention = din.get_layer("attention_sequence_pooling_layer")
    query, keys, valid = keras.Model(din.inputs, attention.input)(inputs)
    _, weights = attention(
        [query, keys], mask=[None, valid], return_attention_scores=True
    )
    return keras.ops.convert_to_numpy(weights)[:, 0]
