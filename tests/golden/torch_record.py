"""Record checkpoints and predictions of DeepCTR-Torch and FuxiCTR.

    python tests/golden/torch_record.py [--check]

In an environment of torch_requirements.txt. All weights and statistics are
random, so that swapping two of one shape changes a prediction. `--check` lets
the libraries load the recorded files and predict again.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zlib
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch  # noqa: TID251
from deepctr_torch import inputs as deepctr_columns
from deepctr_torch import models as deepctr_models
from fuxictr.features import FeatureMap
from load import TORCH_MODELS, make_columns
from model_zoo.LongCTR.DIEN.DIEN import DIEN as FuxiDIEN
from model_zoo.LongCTR.DIN.DIN import DIN as FuxiDIN

STEPS, DIM = 4, 3
SIZES = {"user": 6, "item": 12, "cate": 7, "tags": 8}
LENGTHS = np.array([4, 3, 2, 1, 0, 4])
TOLERANCE = 1e-6
PACKAGES = ("torch", "deepctr-torch", "fuxictr")


def sparse(name, size=None, **options):
    size = size or SIZES[name]
    options = {"name": name, "vocabulary_size": size, **options}
    return {"column": "SparseFeat", "embedding_dim": DIM, **options}


def varlen(name, of=None, steps=STEPS, **options):
    of = of or name
    ids = sparse(name, SIZES[of], embedding_name=of)
    row = {"column": "VarLenSparseFeat", "sparsefeat": ids, "maxlen": steps}
    return {**row, **options}


def history(prefix="hist_"):
    options = {"length_name": "seq_length"}
    return [varlen(prefix + n, n, **options) for n in CANDIDATE_NAMES]


PRICE = {"column": "DenseFeat", "name": "price", "dimension": 1}
SIZE = {"column": "DenseFeat", "name": "size", "dimension": 2}
CANDIDATE_NAMES = ["item", "cate"]
CANDIDATE = [sparse(name) for name in CANDIDATE_NAMES]
DIN_SIZES = {"att_hidden_size": [6, 5], "dnn_hidden_units": [8, 4]}
DIEN_SIZES = {"att_hidden_units": [6, 5], "dnn_hidden_units": [8, 4]}
NEGATIVES = {"gru_type": "AUGRU", "use_negsampling": True}
ALL = [sparse("user"), *CANDIDATE, PRICE, SIZE, *history()]
# What DIN and DIEN need here for the same function.
OURS = {"reset_after": True, "augru_form": "paper"}

# By name: the model, the columns, their arguments, and ours where they differ.
DEEPCTR_TORCH = {
    "din": ("DIN", [*ALL, varlen("tags", steps=3)], DIN_SIZES, {}),
    "din_softmax": (
        "DIN",
        [*CANDIDATE, *history()],
        DIN_SIZES
        | {"att_activation": "sigmoid", "att_weight_normalization": True}
        | {"dnn_use_bn": True, "task": "regression"},
        {},
    ),
    **{
        f"dien_{gru_type.lower()}": (
            "DIEN",
            ALL,
            {**DIEN_SIZES, "gru_type": gru_type, "att_activation": "relu"}
            | {"use_bn": gru_type == "AGRU"},
            OURS,
        )
        for gru_type in ("GRU", "AIGRU", "AGRU")
    },
    "dien_augru": (
        "DIEN",
        [*ALL, *history("neg_hist_")],
        {**DIEN_SIZES, **NEGATIVES, "att_activation": "dice"},
        OURS,
    ),
}


def categorical(name, source="user", **options):
    options = {"vocab_size": SIZES[name], "padding_idx": 0, **options}
    return {"type": "categorical", "source": source, **options}


FEATURES = OrderedDict(
    item=categorical("item", "item"),
    tags=categorical("tags", type="sequence", max_len=3)
    | {"feature_encoder": "layers.MaskedSumPooling()"},
    price={"type": "numeric", "source": "user"},
    user=categorical("user"),
    cate=categorical("cate", "item"),
)
TAGS = varlen("tags", steps=3, combiner="sum")
FUXI_COLUMNS = [sparse("user"), *CANDIDATE, PRICE, *history(), TAGS]
UNITS = {"dnn_hidden_units": [8, 4], "attention_hidden_units": [6, 5]}
DIN_ATTENTION = {**UNITS, "attention_type": "din_attention"}
DICE = {"dnn_activation": "dice", "dnn_use_bn": True}
FUXICTR = {
    "din": (
        "DIN",
        {**UNITS, "dnn_activations": "Dice", "batch_norm": True},
        {**DIN_SIZES, **DICE, "att_activation": "dice"},
    ),
    "din_softmax": (
        "DIN",
        {
            **UNITS,
            "attention_hidden_activations": "Sigmoid",
            "din_use_softmax": True,
        },
        {
            **DIN_SIZES,
            "att_activation": "sigmoid",
            "att_weight_normalization": True,
        },
    ),
    "dien_augru": (
        "DIEN",
        {**DIN_ATTENTION, "gru_type": "AUGRU"},
        {**DIEN_SIZES, **OURS, "gru_type": "AUGRU", "use_bn": True},
    ),
    "dien_agru": (
        "DIEN",
        {
            **DIN_ATTENTION,
            "gru_type": "AGRU",
            "attention_activation": "ReLU",
            "use_attention_softmax": False,
            "batch_norm": False,
        },
        {
            **DIEN_SIZES,
            **OURS,
            "gru_type": "AGRU",
            "att_activation": "relu",
            "att_weight_normalization": False,
        },
    ),
}
FUXI_OPTIONS = {
    "embedding_dim": DIM,
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "task": "binary_classification",
    "metrics": ["AUC"],
    "monitor": "AUC",
    "verbose": 0,
    "model_root": tempfile.gettempdir(),
}


def draw_inputs(columns, rng, empty):
    """Inputs by feature; with a softmax, no history is empty."""
    lengths = LENGTHS if empty else np.maximum(LENGTHS, 1)
    found = {}
    for column in columns:
        ids = column.get("sparsefeat", column)
        name = ids["name"]
        if column["column"] == "DenseFeat":
            shape = (len(lengths), column["dimension"])
            found[name] = rng.normal(size=shape).astype("float32")
            continue
        shape = (len(lengths), column.get("maxlen", 1))
        found[name] = rng.integers(1, ids["vocabulary_size"], shape)
        if "length_name" in column:
            found[name] *= np.arange(shape[1]) < lengths[:, None]
            found["seq_length"] = lengths[:, None]
        elif "maxlen" in column:
            found[name][:, 1:] *= rng.integers(0, 2, (len(lengths), 1))
    return found


def randomise(model, rng):
    """Random weights and statistics."""
    state = model.state_dict()
    for name, old in state.items():
        if old.is_floating_point():
            new = 0.65 * rng.normal(size=old.shape)
            if name.endswith(("running_var", "bn.weight")):
                new = rng.uniform(0.1, 0.5, old.shape)
            if "embedding_layers" in name and "price" not in name:
                new[0] = 0  # padding, as FuxiCTR creates and keeps it
            state[name] = torch.tensor(new, dtype=old.dtype)
    model.load_state_dict(state)
    return model.eval()


def deepctr_torch(name):
    kind, columns, arguments, ours = DEEPCTR_TORCH[name]
    theirs = getattr(deepctr_models, kind)(
        make_columns(deepctr_columns, columns), CANDIDATE_NAMES, **arguments
    )
    ours = {**arguments, **ours}

    def predict(inputs):
        names = deepctr_columns.get_feature_names(theirs.dnn_feature_columns)
        rows = np.hstack([inputs[n] for n in names]).astype("float32")
        return theirs(torch.tensor(rows))

    return kind, columns, ours, theirs, predict


def fuxictr(name):
    kind, arguments, ours = FUXICTR[name]
    features = FeatureMap("recorded", tempfile.gettempdir())
    features.features, features.labels = FEATURES, ["click"]
    features.num_fields, features.default_emb_dim = len(FEATURES), DIM
    make = {"DIN": FuxiDIN, "DIEN": FuxiDIEN}[kind]
    theirs = make(features, **FUXI_OPTIONS, **arguments)
    return kind, FUXI_COLUMNS, ours, theirs, lambda x: fuxi(theirs, x)


def fuxi(model, inputs):
    """The predictions for our inputs; items are history and candidate."""
    arrays = {n: torch.tensor(x) for n, x in inputs.items()}
    user = {n: arrays[n] for n in ("tags", "price", "user")}
    user["user"] = user["user"][:, 0]
    items = {
        n: torch.cat([arrays[f"hist_{n}"], arrays[n]], 1).flatten()
        for n in CANDIDATE_NAMES
    }
    mask = (arrays["hist_item"] > 0).float()
    return model((user, items, mask))["y_pred"]


def main() -> int:
    errors = 0
    TORCH_MODELS.mkdir(exist_ok=True)
    for library, make, names in (
        ("deepctr_torch", deepctr_torch, DEEPCTR_TORCH),
        ("fuxictr", fuxictr, FUXICTR),
    ):
        for name in names:
            path = TORCH_MODELS / f"{library}_{name}.npz"
            rng = np.random.default_rng(zlib.crc32(path.stem.encode()))
            kind, columns, arguments, model, predict = make(name)
            if "--check" in sys.argv:
                errors += check(path, model.eval(), predict)
                continue
            randomise(model, rng)
            is_softmax = arguments.get("att_weight_normalization", False)
            empty = kind == "DIEN" or not is_softmax
            inputs = draw_inputs(columns, rng, empty)
            predictions = predict(inputs).detach().numpy()
            file = io.BytesIO()
            torch.save(model.state_dict(), file)
            # DeepCTR-Torch's; FuxiCTR's DIEN has none.
            loss = getattr(model, "aux_loss", torch.zeros(1))
            configuration = {
                "library": library,
                "versions": {name: version(name) for name in PACKAGES},
                "model": kind,
                "columns": columns,
                "arguments": {"history_feature_list": CANDIDATE_NAMES}
                | arguments,
            }
            np.savez_compressed(
                path,
                configuration=np.array(json.dumps(configuration)),
                checkpoint=np.frombuffer(file.getvalue(), "u1"),
                predictions=predictions,
                auxiliary_loss=loss.detach().numpy(),
                **{f"input/{name}": array for name, array in inputs.items()},
            )
            print(path, predictions.ravel().round(3))
    return 1 if errors else 0


def check(path: Path, model, predict) -> int:
    with np.load(path) as record:
        file = io.BytesIO(record["checkpoint"].tobytes())
        model.load_state_dict(torch.load(file, weights_only=True))
        inputs = {
            name.removeprefix("input/"): record[name]
            for name in record.files
            if name.startswith("input/")
        }
        got = predict(inputs).detach().numpy()
        difference = np.abs(got - record["predictions"]).max()
    print(f"{path.name}: {difference:.1e}")
    return int(not difference <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
