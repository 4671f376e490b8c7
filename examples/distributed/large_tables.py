"""Embeddings by keras-rs's DistributedEmbedding, on JAX or TensorFlow.

    pip install keras-rs
    KERAS_BACKEND=jax python examples/distributed/large_tables.py

keras-rs adds up what an example has several ids of, so a history of T ids is
given as T examples of one id each, and shaped back for kseq's attention. Tables
are where `placement` says: here on the device that computes; "sparsecore" means
a TPU's memory for tables, which was not tried.
"""

import keras
import keras_rs
from clicks import ITEMS, STEPS, arguments, make_clicks
from keras import ops

from kseq.layers import AttentionSequencePoolingLayer

DIM = 8


class Model(keras.Model):
    """Clicks on items, of which candidate and history share a large table.

    Args:
        batch: the number of rows of each batch: keras-rs wants it known.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        table = keras_rs.layers.TableConfig(
            name="items",
            vocabulary_size=ITEMS + 1,
            embedding_dim=DIM,
            optimizer="adam",
            placement="default_device",
        )
        rows = {"item": batch, "history": batch * STEPS}
        self.embedding = keras_rs.layers.DistributedEmbedding(
            {
                name: keras_rs.layers.FeatureConfig(
                    name=name,
                    table=table,
                    input_shape=(n, 1),
                    output_shape=(n, DIM),
                )
                for name, n in rows.items()
            }
        )
        self.attention = AttentionSequencePoolingLayer((16,))
        self.click = keras.layers.Dense(1, "sigmoid")

    def call(self, inputs):
        history = inputs["hist_item"]
        found = self.embedding(
            {
                "item": ops.reshape(inputs["item"], (-1, 1)),
                "history": ops.reshape(history, (-1, 1)),
            }
        )
        keys = ops.reshape(found["history"], (-1, STEPS, DIM))
        query = ops.expand_dims(found["item"], 1)
        valid = ops.not_equal(history, 0)
        interest = self.attention([query, keys], mask=[None, valid])
        return self.click(interest[:, 0])


def main() -> None:
    given = arguments()
    x, clicks = make_clicks(given.samples)
    whole = len(clicks) // given.batch * given.batch
    keras.utils.set_random_seed(0)
    model = Model(given.batch)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(
        {name: x[name][:whole] for name in ("item", "hist_item")},
        clicks[:whole],
        batch_size=given.batch,
        epochs=given.epochs,
        verbose=2,
    )


if __name__ == "__main__":
    main()
