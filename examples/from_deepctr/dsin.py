"""DSIN in a DeepCTR script whose imports name `kseq` instead of `deepctr`."""

import numpy as np

from kseq.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from kseq.models import DSIN

feature_columns = [
    SparseFeat("user", 3, embedding_dim=10),
    SparseFeat("gender", 2, embedding_dim=4),
    SparseFeat("item", 3 + 1, embedding_dim=4),
    SparseFeat("cate_id", 2 + 1, embedding_dim=4),
    DenseFeat("pay_score", 1),
]
for i in range(2):
    for name, size in (("item", 3 + 1), ("cate_id", 2 + 1)):
        ids = SparseFeat(f"sess_{i}_{name}", size, 4, embedding_name=name)
        feature_columns.append(VarLenSparseFeat(ids, maxlen=4))
features = {
    "user": np.array([0, 1, 2]),
    "gender": np.array([0, 1, 0]),
    "item": np.array([1, 2, 3]),
    "cate_id": np.array([1, 2, 2]),
    "pay_score": np.array([0.1, 0.2, 0.3]),
    "sess_0_item": np.array([[1, 2, 3, 0], [1, 2, 3, 0], [0, 0, 0, 0]]),
    "sess_0_cate_id": np.array([[1, 2, 2, 0], [1, 2, 2, 0], [0, 0, 0, 0]]),
    "sess_1_item": np.array([[1, 2, 3, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    "sess_1_cate_id": np.array([[1, 2, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
}
x = {name: features[name] for name in get_feature_names(feature_columns)}
x["sess_length"] = np.array([2, 1, 0])
y = np.array([1, 0, 1])

model = DSIN(
    feature_columns,
    ["item", "cate_id"],
    sess_max_count=2,
    att_embedding_size=1,
    att_head_num=8,
    dnn_hidden_units=[4, 4, 4],
    dnn_dropout=0.5,
)
model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy"])
history = model.fit(x, y, verbose=1, epochs=3, validation_split=0.5)
print(model.predict(x))
