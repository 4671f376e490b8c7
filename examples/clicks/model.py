"""DIN as a subclassed Keras model, built from kseq's layers."""

from typing import Any

import keras
from same_start import set_starting_weights

from kseq.layers import DNN, AttentionSequencePoolingLayer

SEED = 1


@keras.saving.register_keras_serializable("clicks")
class InterestModel(keras.Model):
    """Predicts the probability of a click from an item and a history.

    Args:
        items: the number of items; their ids are 1 to `items`.
        dim: the width of an item's embedding.
        units: the width of the layer between interest and click.
    """

    def __init__(
        self, items: int, dim: int = 16, units: int = 32, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.items = items
        self.dim = dim
        self.units = units
        self.embedding = keras.layers.Embedding(
            items + 1,
            dim,
            mask_zero=True,  # the attention takes the mask
            # Makes the gradient dense on TensorFlow, where Keras's Adam treats
            # repeated rows of a sparse gradient differently (keras 3.15;
            # docs/upstream/sparse_adam.py).
            embeddings_regularizer=keras.regularizers.L2(1e-6),
            name="embedding",
        )
        # Dice has moving statistics, which a training loop must update.
        self.attention = AttentionSequencePoolingLayer(
            (16,), "dice", name="attention"
        )
        self.dnn = DNN((units,), "silu", name="dnn")
        self.click = keras.layers.Dense(1, "sigmoid", name="click")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        item = self.embedding(inputs["item"])
        history = self.embedding(inputs["history"])
        interest = self.attention(item, history, training=training)
        features = keras.ops.concatenate([interest, item], axis=-1)
        return self.click(self.dnn(features[:, 0], training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "items": self.items,
            "dim": self.dim,
            "units": self.units,
        }


def start_model(items: int, **sizes: int) -> InterestModel:
    """Return a model with the same weights on every backend."""
    # The weights are seeded by their paths, which start with the model's name.
    model = InterestModel(items, **sizes, name="interest")
    ids = keras.ops.ones((1, 1), "int32")
    model({"item": ids, "history": ids})
    set_starting_weights(model, SEED)
    return model
