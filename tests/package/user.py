"""A user's file: what mypy makes of kseq, as it is installed."""

from kseq.agreement.record import Record, load_record
from kseq.feature_column import SparseFeat
from kseq.hashing import hash_ids
from kseq.layers import AttentionSequencePoolingLayer
from kseq.models import DIN

column = SparseFeat("item", 100, embedding_dim=8)
size: int = column.vocabulary_size
layer = AttentionSequencePoolingLayer((80, 40), weight_normalization=True)
record: Record = load_record("run.npz")
runs: str = record.run.backend
make = DIN
hashed = hash_ids(["a", "b"], 10)

wrong: str = column.vocabulary_size  # type: ignore[assignment]
DIN(dnn_feature_columns=[column], no_such_argument=1)  # type: ignore[call-arg]
