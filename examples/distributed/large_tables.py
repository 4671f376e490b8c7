"""DIN with keras-rs's DistributedEmbedding, on JAX or TensorFlow.

    pip install keras-rs
    KERAS_BACKEND=jax python examples/distributed/large_tables.py

keras-rs sums the embeddings of an example's ids, so a history of T ids is
passed as T examples of one id each and reshaped for kseq's attention.
`placement` says where a table is stored: here on the default device;
"sparsecore", a TPU's memory for tables, was not tried.
"""

import keras
import keras_rs
from clicks import ITEMS, STEPS, arguments, make_clicks
from keras import ops

from kseq.layers import AttentionSequencePoolingLayer

DIM = 8


class Model(keras.Model):
    """Predicts clicks; candidate and history share one large table.

    Args:
        batch: the batch size, which keras-rs needs to know.
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
        vectors = self.embedding(
            {
                "item": ops.reshape(inputs["item"], (-1, 1)),
                "history": ops.reshape(history, (-1, 1)),
            }
        )
        keys = ops.reshape(vectors["history"], (-1, STEPS, DIM))
        query = ops.expand_dims(vectors["item"], 1)
        valid = ops.not_equal(history, 0)
        interest = self.attention(query, keys, keys_mask=valid)
        return self.click(interest[:, 0])


def main() -> None:
    options = arguments()
    x, clicks = make_clicks(options.samples)
    whole = len(clicks) // options.batch * options.batch
    keras.utils.set_random_seed(0)
    model = Model(options.batch)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(
        {name: x[name][:whole] for name in ("item", "hist_item")},
        clicks[:whole],
        batch_size=options.batch,
        epochs=options.epochs,
        verbose=2,
    )


if __name__ == "__main__":
    main()
