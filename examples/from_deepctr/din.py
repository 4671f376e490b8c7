"""DIN in a DeepCTR script whose imports name `kseq` instead of `deepctr`."""

import numpy as np

from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from kseq.models import DIN

feature_columns = [
    SparseFeat("user", 3, embedding_dim=10),
    SparseFeat("gender", 2, embedding_dim=4),
    SparseFeat("item_id", 3 + 1, embedding_dim=8),  # 0 is padding
    SparseFeat("cate_id", 2 + 1, embedding_dim=4),
    DenseFeat("pay_score", 1),
    VarLenSparseFeat(
        SparseFeat("hist_item_id", 3 + 1, 8, embedding_name="item_id"),
        maxlen=4,
        length_name="seq_length",
    ),
    VarLenSparseFeat(
        SparseFeat("hist_cate_id", 2 + 1, 4, embedding_name="cate_id"),
        maxlen=4,
        length_name="seq_length",
    ),
]
features = {
    "user": np.array([0, 1, 2]),
    "gender": np.array([0, 1, 0]),
    "item_id": np.array([1, 2, 3]),
    "cate_id": np.array([1, 2, 2]),
    "pay_score": np.array([0.1, 0.2, 0.3]),
    "hist_item_id": np.array([[1, 2, 3, 0], [3, 2, 1, 0], [1, 2, 0, 0]]),
    "hist_cate_id": np.array([[1, 2, 2, 0], [2, 2, 1, 0], [1, 2, 0, 0]]),
    "seq_length": np.array([3, 3, 2]),
}
x = {name: features[name] for name in get_feature_names(feature_columns)}
y = np.array([1, 0, 1])

model = DIN(feature_columns, ["item_id", "cate_id"])
model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy"])
history = model.fit(x, y, verbose=1, epochs=3, validation_split=0.5)
print(model.predict(x))
