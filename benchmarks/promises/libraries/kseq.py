"""kseq, on PyTorch."""

from benchmarks.promises.libraries import DIM, HEADS, ITEMS, UNITS, USERS, Model
from kseq import __version__, models
from kseq.feature_column import SparseFeat, VarLenSparseFeat

PACKAGE = "kseq"
VERSION = __version__
MODELS = ("DIN", "DIEN", "BST")


def sequence(name):
    ids = SparseFeat(name, ITEMS, DIM, embedding_name="item")
    return VarLenSparseFeat(ids, None, length_name="lengths")


def make(kind, softmax=False):
    columns = [SparseFeat("user", USERS, DIM), SparseFeat("item", ITEMS, DIM)]
    columns.append(sequence("hist_item"))
    options = {"dnn_hidden_units": UNITS}
    if kind == "DIN":
        options |= {"att_hidden_size": UNITS}
        options |= {"att_weight_normalization": softmax}
    if kind == "DIEN":
        columns.append(sequence("neg_hist_item"))
        options |= {"att_hidden_units": UNITS, "gru_type": "AUGRU"}
        options |= {"use_negsampling": True}
    if kind == "BST":
        options |= {"att_head_num": HEADS, "max_steps": 20}
    model = getattr(models, kind)(columns, ["item"], **options)

    def run(x):
        inputs = {"user": x["user"], "item": x["item"]}
        inputs |= {"hist_item": x["history"], "lengths": lengths(x)}
        if kind != "DIEN":
            return model(inputs, training=model.training)[:, 0], None
        inputs["neg_hist_item"] = x["negatives"]
        predictions = model(inputs, training=model.training)[:, 0]
        return predictions, model.get_layer("auxiliary_loss").losses[0]

    return Model(model, run)


def lengths(x):
    return (x["history"] > 0).sum(1)
