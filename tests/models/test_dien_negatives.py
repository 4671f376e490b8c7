"""Negative samples that a DIEN does not take: DeepCTR leaves them out."""

from kseq.feature_column import SparseFeat, VarLenSparseFeat
from kseq.models import DIEN


def test_negatives_without_negsampling_are_not_pooled():
    columns = [SparseFeat("item", 9, 4)]
    for name in ("hist_item", "neg_hist_item"):
        ids = SparseFeat(name, 9, 4, embedding_name="item")
        columns.append(VarLenSparseFeat(ids, 3, length_name="seq_length"))

    model = DIEN(columns, ["item"], dnn_hidden_units=(5,))
    without = DIEN(columns[:2], ["item"], dnn_hidden_units=(5,))

    assert "neg_hist_item" not in {x.name for x in model.inputs}
    shapes, expected = ([w.shape for w in m.weights] for m in (model, without))
    assert shapes == expected
