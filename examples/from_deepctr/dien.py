"""DIEN in a DeepCTR script whose imports name `kseq` instead of `deepctr`.

DeepCTR itself needs TensorFlow 2.10 or older, and
`tf.compat.v1.disable_eager_execution()` first.
"""

import numpy as np

from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from kseq.models import DIEN


def history_column(name, size, dim, embedding_name):
    return VarLenSparseFeat(
        SparseFeat(name, size, dim, embedding_name=embedding_name),
        maxlen=4,
        length_name="seq_length",
    )


feature_columns = [
    SparseFeat("user", 3, embedding_dim=10),
    SparseFeat("gender", 2, embedding_dim=4),
    SparseFeat("item_id", 3 + 1, embedding_dim=8),
    SparseFeat("cate_id", 2 + 1, embedding_dim=4),
    DenseFeat("pay_score", 1),
    history_column("hist_item_id", 3 + 1, 8, "item_id"),
    history_column("hist_cate_id", 2 + 1, 4, "cate_id"),
    history_column("neg_hist_item_id", 3 + 1, 8, "item_id"),
    history_column("neg_hist_cate_id", 2 + 1, 4, "cate_id"),
]
features = {
    "user": np.array([0, 1, 2]),
    "gender": np.array([0, 1, 0]),
    "item_id": np.array([1, 2, 3]),
    "cate_id": np.array([1, 2, 2]),
    "pay_score": np.array([0.1, 0.2, 0.3]),
    "hist_item_id": np.array([[1, 2, 3, 0], [1, 2, 3, 0], [1, 2, 0, 0]]),
    "hist_cate_id": np.array([[1, 2, 2, 0], [1, 2, 2, 0], [1, 2, 0, 0]]),
    "neg_hist_item_id": np.array([[2, 3, 1, 0], [2, 3, 1, 0], [3, 1, 0, 0]]),
    "neg_hist_cate_id": np.array([[2, 2, 1, 0], [2, 2, 1, 0], [2, 1, 0, 0]]),
    "seq_length": np.array([3, 3, 2]),
}
x = {name: features[name] for name in get_feature_names(feature_columns)}
y = np.array([1, 0, 1])

model = DIEN(
    feature_columns,
    ["item_id", "cate_id"],
    dnn_hidden_units=[4, 4, 4],
    dnn_dropout=0.6,
    gru_type="AUGRU",
    use_negsampling=True,
)
model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy"])
history = model.fit(x, y, verbose=1, epochs=3, validation_split=0.5)
print(model.predict(x))
