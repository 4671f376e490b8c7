"""FuxiCTR's DIN and kseq's from the same weights, on the same rows.

`KERAS_BACKEND=torch python -m benchmarks.quality.agree` writes as JSON by how
much predictions differ at first, and after each number of training steps.
"""

import json
from pathlib import Path

import keras
import numpy as np
import torch

from benchmarks.quality import configuration as c
from benchmarks.quality import data, fuxictr_learner, kseq_learner

SIZES = {"item": 200, "attribute": 20}
STEPS_TRAINED = (1, 10, 50)
FILE = Path(__file__).parent / "results/agree.json"
# "exact adam" has an epsilon of 1e-20, which changes no update.
CASES = (
    ("relu", "sgd"),
    ("relu", "exact adam"),
    ("relu", "adam"),
    ("dice", "sgd"),
    ("dice", "adam"),
)


def some_events(users: int = 400, seed: int = 0) -> data.Events:
    """Return random histories of 3 to 30 items."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 30, users)
    items = [
        rng.choice(SIZES["item"] - 1, n, replace=False) + 1 for n in lengths
    ]
    item = np.concatenate(items).astype("int32")
    attribute_of = rng.integers(1, SIZES["attribute"], SIZES["item"])
    return data.Events(
        {
            "user": np.repeat(np.arange(users), lengths),
            "item": item,
            "attribute": attribute_of[item].astype("int32"),
            "time": np.concatenate([np.arange(n) for n in lengths]),
        }
    )


def copy_din(source: torch.nn.Module, target: keras.Model) -> None:
    """Place the weights of FuxiCTR's DIN in kseq's."""
    dense = "attention_layers.attention_layer.mlp", "dnn.mlp"
    state = {k: v.numpy() for k, v in source.state_dict().items()}
    table = "embedding_layer.embedding_layer.embedding_layers.{}.weight"
    unit = "attention_sequence_pooling_layer/local_activation_unit"
    names = {
        f"sparse_seq_emb_hist_{name}/embeddings": table.format(name)
        for name in SIZES
    }
    for path, prefix in zip((f"{unit}/dnn", "dnn"), dense, strict=True):
        for i in range(2):
            names[f"{path}/kernel{i}"] = f"{prefix}.{2 * i}.weight"
            names[f"{path}/bias{i}"] = f"{prefix}.{2 * i}.bias"
            # Dice
            dice = f"{path}/activation{i}"
            names[f"{dice}/dice_alpha"] = f"{prefix}.{2 * i + 1}.alpha"
            for mine, theirs in (("mean", "mean"), ("variance", "var")):
                names[f"{dice}/batch_normalization/moving_{mine}"] = (
                    f"{prefix}.{2 * i + 1}.bn.running_{theirs}"
                )
    names |= {
        f"{unit}/kernel": f"{dense[0]}.4.weight",
        f"{unit}/bias": f"{dense[0]}.4.bias",
        "dense/kernel": f"{dense[1]}.4.weight",
        "prediction_layer/global_bias": f"{dense[1]}.4.bias",
    }
    for weight in target.weights:
        value = state.pop(names[weight.path])
        is_kernel = "kernel" in weight.path
        weight.assign(value.T.copy() if is_kernel else value.copy())
    left = {name for name in state if not name.endswith("num_batches_tracked")}
    assert not left, left


def differences(
    attention: str, optimizer: str, penalty: float = 1e-4
) -> dict[str, float]:
    """Return the largest differences of predictions, by training steps.

    Embeddings start with a deviation of 1e-2 instead of 1e-4, and biases are
    not 0, so that all weights have an effect on the first predictions.
    """
    parts = data.split(some_events(), c.SHORT)
    jobs = [
        c.Job("random", "din", library, "torch", 0, 1e-3, penalty)
        for library in ("kseq", "fuxictr")
    ]
    jobs = [c.Job(**job.as_dict() | {"attention": attention}) for job in jobs]
    kseq = kseq_learner.Learner(jobs[0], SIZES, parts)
    fuxictr = fuxictr_learner.Learner(jobs[1], SIZES, parts)
    with torch.no_grad():
        for name, weight in fuxictr.model.named_parameters():
            if "embedding_layers" in name:
                weight *= 100
            elif "bias" in name or "alpha" in name:
                weight += torch.linspace(-0.1, 0.1, len(weight))
    copy_din(fuxictr.model, kseq.model)
    clip = {"global_clipnorm": c.MAX_GRADIENT_NORM}
    parameters = [*fuxictr.model.parameters()]
    match optimizer:
        case "sgd":
            mine = keras.optimizers.SGD(0.1, **clip)
            fuxictr.model.optimizer = torch.optim.SGD(parameters, 0.1)
        case "exact adam":
            mine = keras.optimizers.Adam(1e-3, epsilon=1e-20, **clip)
            fuxictr.model.optimizer = torch.optim.Adam(
                parameters, 1e-3, eps=1e-20
            )
        case _:
            mine = kseq.model.optimizer
    kseq.model.compile(mine, "binary_crossentropy")
    first = kseq.predict("test")
    found = {"0": difference(kseq, fuxictr)}
    order = np.random.default_rng(0).permutation(len(parts["train"]))
    rows = np.resize(order, c.BATCH_SIZE * STEPS_TRAINED[-1])
    done = 0
    for steps in STEPS_TRAINED:
        chosen = rows[done * c.BATCH_SIZE : steps * c.BATCH_SIZE]
        for learner in (kseq, fuxictr):
            learner.train_epoch(chosen)
        done = steps
        found[str(steps)] = difference(kseq, fuxictr)
    change = np.abs(kseq.predict("test") - first).max()
    return found | {"change by training": float(change)}


def difference(
    kseq: kseq_learner.Learner, fuxictr: fuxictr_learner.Learner
) -> float:
    return float(np.abs(kseq.predict("test") - fuxictr.predict("test")).max())


if __name__ == "__main__":
    found = {", ".join(case): differences(*case) for case in CASES}
    FILE.write_text(json.dumps(found, indent=2) + "\n")
