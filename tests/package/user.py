"""Code of a user, checked by mypy against the installed package."""

from kseq.agreement.record import Record, load_record
from kseq.feature_column import (
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_feature_names,
)
from kseq.hashing import hash_ids
from kseq.layers import AttentionSequencePoolingLayer
from kseq.models import BST, DIEN, DIN, DSIN, score_candidates

column = SparseFeat("item", 100, embedding_dim=8)
size: int = column.vocabulary_size
layer = AttentionSequencePoolingLayer((80, 40), weight_normalization=True)
record: Record = load_record("run.npz")
runs: str = record.run.backend
hashed = hash_ids(["a", "b"], 10, mask_zero=True)

# Lists of different kinds of columns.
columns = [
    column,
    VarLenSparseFeat(SparseFeat("hist_item", 100, 8), maxlen=4),
    DenseFeat("price"),
]
names: list[str] = get_feature_names(columns)
inputs = build_input_features(columns)
more: list[FeatureColumn] = [column]
more += [DenseFeat("price")]
models = [
    DIN(columns, ["item"]),
    DIEN(columns, ["item"], gru_type="AUGRU"),
    BST(columns, ["item"], transformer_num=2),
    DSIN(more, ["item"], sess_max_count=2),
]
scores = score_candidates(models[0], {"price": 3.0}, {"item": [1, 2]})

wrong: str = column.vocabulary_size  # type: ignore[assignment]
DIN(dnn_feature_columns=[column], no_such_argument=1)  # type: ignore[call-arg]
