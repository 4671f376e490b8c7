"""What every run of both libraries shares."""

from dataclasses import asdict, dataclass
from typing import Any

EMBEDDING_DIM = 16  # of the item, and of its attribute
HIDDEN_UNITS = (64, 32)  # ReLU
ATTENTION_UNITS = (64, 16)  # a softmax over the scores
ATTENTION_ACTIVATION = "relu"  # of DIN and DIEN; BST and DSIN have Dice
HEADS = 4  # of BST and DSIN
BATCH_SIZE = 1024
EVALUATION_BATCH_SIZE = 4096
ADAM_EPSILON = 1e-8  # PyTorch's default; Keras's is 1e-7
MAX_GRADIENT_NORM = 10.0  # FuxiCTR's default
MAX_EPOCHS = 12
PATIENCE = 2  # epochs without a better validation gAUC
SEEDS = range(5)
USERS = 8000  # of each data set, at most
SEARCH_SEED = 100
# DSIN: the last sessions, the last events of each, seconds of a pause.
SESSIONS, SESSION_STEPS, SESSION_GAP = 5, 20, 300

# The search: for each model and both libraries, on one data set. A first one,
# on 3000 users and with rates of 1e-3 and 3e-3, preferred the penalty 1e-4 to 0
# for every model; the rates were too low for more users.
LEARNING_RATES = (3e-3, 1e-2)
PENALTIES = (1e-4,)
SEARCH_DATA, SEARCH_USERS = "beauty", USERS
SEARCH_MODELS = ("mean", "din", "dien")  # BST has DIN's configuration


@dataclass(frozen=True)
class Protocol:
    """How events become rows.

    Args:
        steps: the longest history: its last events.
        train_events: the last events of a user before validation that are
            rows for training, with one negative each.
        valid_negatives, test_negatives: of each user.
    """

    steps: int
    train_events: int
    valid_negatives: int
    test_negatives: int


# Most users of Amazon have fewer than ten events.
SHORT = Protocol(20, 5, 2, 4)
# Few users with long histories.
LONG = Protocol(50, 20, 20, 40)
PROTOCOLS = {"lastfm": LONG, "movielens": LONG}


def protocol(data: str) -> Protocol:
    return PROTOCOLS.get(data, SHORT)


@dataclass(frozen=True)
class Job:
    """One training run; two jobs with equal fields are the same run.

    Args:
        data: the name of a data set.
        model: one of `MODELS`.
        library: "kseq" or "fuxictr".
        backend: that of Keras; "torch" for FuxiCTR.
        seed: of the initial weights and the order of the rows.
        learning_rate: Adam's.
        penalty: L2 on all embedding rows, as λ/2 times the sum of squares.
        users: how many users to keep, randomly chosen.
        attention: the activation of the attention of DIN and DIEN.
    """

    data: str
    model: str
    library: str
    backend: str
    seed: int
    learning_rate: float
    penalty: float
    users: int = USERS
    attention: str = ATTENTION_ACTIVATION

    @property
    def steps(self) -> int:
        return protocol(self.data).steps

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


MODELS = {
    "popularity": "popularity",
    "mean": "mean pooling",
    "din": "DIN",
    "dien": "DIEN",
    "dien_aux": "DIEN with auxiliary loss",
    "bst": "BST",
    "dsin": "DSIN",
}
FUXICTR_MODELS = ("mean", "din", "dien", "bst")
