"""torch-rechub, whose DIN takes no mask."""

from importlib.metadata import version

from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import BST, DIEN, DIN

from benchmarks.promises.libraries import DIM, HEADS, ITEMS, UNITS, USERS, Model

PACKAGE = "torch-rechub"
VERSION = version(PACKAGE)
MODELS = ("DIN", "DIEN", "BST")


# SequenceFeature's default.
VARIANTS = {"DIN, padding_idx=None": {"padding_idx": None}}


def make(kind, softmax=False, padding_idx=0):
    user = SparseFeature("user", USERS, DIM)
    item = SparseFeature("item", ITEMS, DIM, padding_idx=padding_idx)
    sequences = [
        SequenceFeature(
            *(name, ITEMS, DIM, "concat", "item"), padding_idx=padding_idx
        )
        for name in ("history", "negatives")
    ]
    history, negatives = ([sequence] for sequence in sequences)
    network = {"dims": UNITS}
    if kind == "DIN":
        attention = {"dims": UNITS, "use_softmax": softmax}
        model = DIN([user], history, [item], network, attention)
    elif kind == "DIEN":
        model = DIEN([user], history, negatives, [item], network, alpha=1.0)
    else:
        model = BST([user], history, [item], network, nhead=HEADS)

    def run(x):
        result = model(x)
        return result if kind == "DIEN" else (result, None)

    return Model(model, run)
