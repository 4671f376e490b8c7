"""kseq's models on the backend that KERAS_BACKEND names."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.quality import configuration as c
from kseq.data import Samples
from kseq.feature_column import (
    FeatureColumn,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
)
from kseq.layers import DNN, SequencePoolingLayer
from kseq.models import BST, DIEN, DIN, DSIN

CANDIDATE = ("item", "attribute")


class Learner:
    """A model that trains for an epoch and predicts."""

    def __init__(
        self, job: c.Job, sizes: dict[str, int], parts: dict[str, Samples]
    ) -> None:
        keras.utils.set_random_seed(job.seed)
        self.parts = parts
        self.model = build_model(job, sizes)
        self.model.compile(
            keras.optimizers.Adam(
                job.learning_rate,
                epsilon=c.ADAM_EPSILON,
                global_clipnorm=c.MAX_GRADIENT_NORM,
            ),
            "binary_crossentropy",
        )

    @property
    def weights(self) -> int:
        return sum(int(np.prod(w.shape)) for w in self.model.trainable_weights)

    def train_epoch(self, order: np.ndarray) -> None:
        batches = Batches(self.model, self.parts["train"], order, c.BATCH_SIZE)
        self.model.fit(batches, shuffle=False, verbose=0)

    def predict(self, part: str) -> np.ndarray:
        samples = self.parts[part]
        batches = Batches(
            self.model,
            samples,
            np.arange(len(samples)),
            c.EVALUATION_BATCH_SIZE,
            labels=False,
        )
        return self.model.predict(batches, verbose=0)[:, 0]


class Batches(keras.utils.PyDataset):
    """Batches of rows in a given order."""

    def __init__(
        self,
        model: keras.Model,
        samples: Samples,
        order: np.ndarray,
        size: int,
        labels: bool = True,
    ) -> None:
        super().__init__()
        self.inputs = {x.name: samples.inputs[x.name] for x in model.inputs}
        self.label, self.order, self.size = samples.label, order, size
        self.labels = labels

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        x = {name: values[rows] for name, values in self.inputs.items()}
        return (x, self.label[rows]) if self.labels else (x,)


def build_model(job: c.Job, sizes: dict[str, int]) -> keras.Model:
    arguments: dict[str, Any] = {
        "dnn_feature_columns": [*columns(job, sizes)],
        "dnn_hidden_units": c.HIDDEN_UNITS,
        # FuxiCTR's penalty: λ/2 times the squares of all rows of the tables.
        "l2_reg_embedding": job.penalty / 2,
        "embedding_layer": keras.layers.Embedding,
        "seed": job.seed,
    }
    match job.model:
        case "din":
            return DIN(
                history_feature_list=CANDIDATE,
                att_hidden_size=c.ATTENTION_UNITS,
                att_activation=job.attention,
                att_weight_normalization=True,
                **arguments,
            )
        case "dien" | "dien_aux":
            return DIEN(
                history_feature_list=CANDIDATE,
                gru_type="AUGRU",
                augru_form="paper",
                att_hidden_units=c.ATTENTION_UNITS,
                att_activation=job.attention,
                use_negsampling=job.model == "dien_aux",
                **arguments,
            )
        case "bst":
            return BST(
                history_feature_list=CANDIDATE,
                att_head_num=c.HEADS,
                **arguments,
            )
        case "dsin":
            return DSIN(
                sess_feature_list=CANDIDATE,
                sess_max_count=c.SESSIONS,
                att_head_num=c.HEADS,
                att_embedding_size=2 * c.EMBEDDING_DIM // c.HEADS,
                mask_padding=True,
                **arguments,
            )
        case _:
            return mean_pooling(arguments)


def columns(job: c.Job, sizes: dict[str, int]) -> Iterator[FeatureColumn]:
    candidate = [SparseFeat(n, sizes[n], c.EMBEDDING_DIM) for n in CANDIDATE]
    yield from candidate
    model, prefixes = job.model, {"hist_": job.steps}
    if model == "dien_aux":
        prefixes["neg_hist_"] = job.steps
    if model == "dsin":
        names = (f"sess_{i}_" for i in range(c.SESSIONS))
        prefixes = dict.fromkeys(names, c.SESSION_STEPS)
    for prefix, steps in prefixes.items():
        for column in candidate:
            yield VarLenSparseFeat(
                SparseFeat(
                    prefix + column.name,
                    column.vocabulary_size,
                    c.EMBEDDING_DIM,
                    embedding_name=column.name,
                ),
                steps,
                length_name=None if model in ("din", "dsin") else "seq_length",
            )


def mean_pooling(arguments: dict[str, Any]) -> keras.Model:
    """Return a DIN that pools the history by its mean, not by attention."""
    feature_columns = arguments["dnn_feature_columns"]
    inputs = build_input_features(feature_columns)
    queries, histories = [], []
    for column in feature_columns[: len(CANDIDATE)]:
        table = keras.layers.Embedding(
            column.vocabulary_size,
            c.EMBEDDING_DIM,
            keras.initializers.RandomNormal(stddev=1e-4),
            keras.regularizers.L2(arguments["l2_reg_embedding"]),
            name=f"{column.name}_embedding",
        )
        queries.append(table(inputs[column.name]))
        histories.append(table(inputs[f"hist_{column.name}"]))
    history = SequencePoolingLayer("mean")(
        keras.layers.Concatenate()(histories), lengths=inputs["seq_length"]
    )
    x = keras.layers.Concatenate()([*queries, history])
    x = DNN(arguments["dnn_hidden_units"], name="dnn")(
        keras.layers.Flatten()(x)
    )
    click = keras.layers.Dense(1, "sigmoid", name="click")(x)
    return keras.Model(list(inputs.values()), click)
