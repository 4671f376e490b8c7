"""The two models, the batches they see and the weights they start from."""

import math
import zlib
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    SequencePoolingLayer,
)
from movielens.data import Samples

MOVIE_DIM = 16
GENRE_DIM = 8
# Smooth on purpose: at ReLU's kink rounding decides whether a unit learns, and
# after three epochs the backends' predictions were 2e-2 apart, not 5e-7.
ACTIVATION = "silu"
# DeepCTR's default. It also makes the tables' gradients dense on TensorFlow:
# of sparse ones Keras's Adam squares each occurrence of a row, not their sum
# (keras 3.15), and the backends would train differently.
EMBEDDING_L2 = 1e-6


class Batches(keras.utils.PyDataset):
    """Samples in an order of NumPy's making, the same on every backend."""

    def __init__(
        self, samples: Samples, genres: np.ndarray, batch_size: int
    ) -> None:
        super().__init__()
        self.samples = samples
        self.genres = genres
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.samples) / self.batch_size)

    def __getitem__(self, i: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        batch = self.samples[i * self.batch_size : (i + 1) * self.batch_size]
        return features(batch, self.genres), batch.liked[:, None]


def starting_weights(model: keras.Model, seed: int) -> dict[str, np.ndarray]:
    """A value for each weight's path, from NumPy.

    Keras's own differ by backend even with one seed. Vectors (biases, Dice's
    slopes and statistics) keep theirs, which are zeros or ones everywhere.
    """
    weights = {}
    for weight in model.weights:
        if len(weight.shape) < 2:
            weights[weight.path] = ops.convert_to_numpy(weight)
            continue
        limit = math.sqrt(6 / sum(weight.shape))
        # By path, so that both models start alike where they are alike.
        rng = np.random.default_rng([seed, zlib.crc32(weight.path.encode())])
        values = rng.uniform(-limit, limit, weight.shape)
        weights[weight.path] = values.astype("float32")
    return weights


def set_weights(model: keras.Model, values: dict[str, np.ndarray]) -> None:
    for weight in model.weights:
        weight.assign(values[weight.path])


def attention_of(model: keras.Model) -> keras.Model:
    """A model of the same inputs that gives DIN's weights of the steps."""
    _, weights = model.get_layer("attention").output
    return keras.Model(model.input, weights)


def features(samples: Samples, genres: np.ndarray) -> dict[str, np.ndarray]:
    """What a model is given of each sample."""
    candidate = samples.movie[:, None]
    return {
        "candidate": candidate,
        "candidate_genres": genres[candidate],
        "history": samples.history,
        "history_genres": genres[samples.history],
        "history_length": samples.length,
    }


def build_model(pooling: str, genres: np.ndarray, steps: int) -> keras.Model:
    """A click model: "din" weighs the history by the candidate, "mean" not.

    No user embedding: six of seven samples of the later part are of users
    whom the earlier part does not know.
    """
    movies, per_movie = genres.shape

    def ids(name: str, *shape: int) -> Any:
        return keras.Input(shape, dtype="int32", name=name)

    inputs = {
        "candidate": ids("candidate", 1),
        "candidate_genres": ids("candidate_genres", 1, per_movie),
        "history": ids("history", steps),
        "history_genres": ids("history_genres", steps, per_movie),
        "history_length": ids("history_length"),
    }
    movie_embedding = keras.layers.Embedding(
        movies,
        MOVIE_DIM,
        embeddings_regularizer=keras.regularizers.L2(EMBEDDING_L2),
        name="movie_embedding",
    )
    genre_embedding = keras.layers.Embedding(
        int(genres.max()) + 1,
        GENRE_DIM,
        embeddings_regularizer=keras.regularizers.L2(EMBEDDING_L2),
        mask_zero=True,
        name="genre_embedding",
    )
    genre_pooling = SequencePoolingLayer("mean", name="genre_pooling")

    def embed(movie: Any, genre: Any) -> Any:
        # A movie's genres are a sequence too: each movie a row of its own.
        each = genre_embedding(ops.reshape(genre, (-1, per_movie)))
        pooled = ops.reshape(
            genre_pooling(each), (-1, movie.shape[1], GENRE_DIM)
        )
        return keras.layers.concatenate([movie_embedding(movie), pooled])

    query = embed(inputs["candidate"], inputs["candidate_genres"])
    keys = embed(inputs["history"], inputs["history_genres"])
    length = inputs["history_length"]
    if pooling == "din":
        interest, _ = AttentionSequencePoolingLayer(
            (64, 32), "dice", name="attention"
        )([query, keys, length], return_attention_scores=True)
    else:
        interest = SequencePoolingLayer("mean", name="mean")([keys, length])

    x = keras.layers.concatenate([query, interest, query * interest])
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, ACTIVATION, name="hidden_1")(x)
    x = keras.layers.Dense(32, ACTIVATION, name="hidden_2")(x)
    like = keras.layers.Dense(1, "sigmoid", name="like")(x)
    return keras.Model(inputs, like, name=pooling)
