"""FuxiCTR's DIN and DIEN, and its layers as mean pooling and BST.

The models' own `train_epoch` and `forward` run. Only the loader is another
one, from arrays in memory: FuxiCTR's selects each batch's rows with pandas.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    DIN_Attention,
    MaskedAveragePooling,
    ScaledDotProductAttention,
)
from fuxictr.pytorch.torch_utils import seed_everything
from torch import nn

from benchmarks.quality import configuration as c
from kseq.data import Samples
from kseq.ops.positions import sinusoid

with contextlib.redirect_stderr(None):
    from model_zoo.LongCTR.DIEN.DIEN import DIEN
    from model_zoo.LongCTR.DIN.DIN import DIN

DIM = 2 * c.EMBEDDING_DIM


class Learner:
    """A model that trains for an epoch and predicts."""

    def __init__(
        self, job: c.Job, sizes: dict[str, int], parts: dict[str, Samples]
    ) -> None:
        logging.disable(logging.INFO)
        seed_everything(job.seed)
        self.parts = parts
        self.model = build_model(job, sizes)
        # What `fit` sets before it calls `train_epoch`.
        self.model._max_gradient_norm = c.MAX_GRADIENT_NORM
        self.model._total_steps, self.model._eval_steps = 0, float("inf")
        self.model._stop_training = False

    @property
    def weights(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def train_epoch(self, order: np.ndarray) -> None:
        self.model.train_epoch(
            batches(self.parts["train"], order, c.BATCH_SIZE)
        )

    def predict(self, part: str) -> np.ndarray:
        samples = self.parts[part]
        self.model.eval()
        with torch.no_grad():
            found = [
                self.model(batch)["y_pred"].numpy()[:, 0]
                for batch in batches(
                    samples, np.arange(len(samples)), c.EVALUATION_BATCH_SIZE
                )
            ]
        return np.concatenate(found)


def batches(samples: Samples, order: np.ndarray, size: int) -> Iterator[Any]:
    """Yield what FuxiCTR's `LongCTRDataLoader` does, padded at the end."""
    x = samples.inputs
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        steps = x["seq_length"][rows].max()
        items = {}
        for name in ("item", "attribute"):
            history = x[f"hist_{name}"][rows, :steps]
            both = np.concatenate([history, x[name][rows, None]], axis=1)
            items[name] = torch.from_numpy(both.ravel())
        label = {"label": torch.from_numpy(samples.label[rows])}
        mask = torch.from_numpy(x["hist_item"][rows, :steps] > 0).float()
        yield label, items, mask


def feature_map(sizes: dict[str, int]) -> FeatureMap:
    result = FeatureMap("quality", tempfile.gettempdir())
    result.labels = ["label"]
    result.default_emb_dim = c.EMBEDDING_DIM
    for name, size in sizes.items():
        result.features[name] = {
            "type": "categorical",
            "source": "item",
            "vocab_size": size,
            "padding_idx": 0,
        }
    return result


def build_model(job: c.Job, sizes: dict[str, int]) -> nn.Module:
    attention = {"relu": "ReLU", "dice": "Dice"}[job.attention]
    arguments: dict[str, Any] = {
        "feature_map": feature_map(sizes),
        "embedding_dim": c.EMBEDDING_DIM,
        "dnn_hidden_units": [*c.HIDDEN_UNITS],
        "attention_hidden_units": [*c.ATTENTION_UNITS],
        # DIN calls it one way, DIEN another.
        "attention_hidden_activations": attention,
        "attention_activation": attention,
        "learning_rate": job.learning_rate,
        "embedding_regularizer": job.penalty or None,
        "batch_norm": False,
        "optimizer": "adam",
        "loss": "binary_crossentropy",
        "metrics": ["AUC"],
        "model_root": tempfile.gettempdir(),
        "verbose": 0,
    }
    if job.model == "dien":
        return DIEN(
            attention_type="din_attention", gru_type="AUGRU", **arguments
        )
    model = DIN(din_use_softmax=True, **arguments)
    if job.model != "din":
        model.attention_layers = (
            Mean() if job.model == "mean" else Transformer(job.steps)
        )
        model.compile("adam", "binary_crossentropy", job.learning_rate)
        model.reset_parameters()
    return model


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pooling = MaskedAveragePooling()

    def forward(
        self, target: torch.Tensor, history: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        return self.pooling(history, mask)


class Transformer(nn.Module):
    """kseq's form of BST: one block, then DIN's attention with a softmax."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(DIM, DIM, bias=False) for _ in range(3)
        )
        self.positions = nn.ParameterList(
            nn.Parameter(torch.tensor(DIM**0.5 * sinusoid(steps, DIM)).float())
            for _ in range(2)
        )
        self.attention = ScaledDotProductAttention()
        self.norm = nn.LayerNorm(DIM)
        self.feed_forward = nn.Sequential(
            nn.Linear(DIM, 4 * DIM, bias=False),
            nn.ReLU(),
            nn.Linear(4 * DIM, DIM, bias=False),
        )
        self.pooling = DIN_Attention(
            DIM, [*c.ATTENTION_UNITS], "Dice", use_softmax=True
        )

    def forward(
        self, target: torch.Tensor, history: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        rows, steps, _ = history.shape

        def heads(x: torch.Tensor) -> torch.Tensor:
            return x.view(rows, steps, c.HEADS, -1).transpose(1, 2)

        queries, keys = (history + p[:steps] for p in self.positions)
        attended, _ = self.attention(
            heads(self.query(queries)),
            heads(self.key(keys)),
            heads(self.value(keys)),
            scale=(DIM // c.HEADS) ** 0.5,
            mask=mask[:, None, None].expand(-1, c.HEADS, steps, -1),
        )
        attended = attended.transpose(1, 2).reshape(rows, steps, DIM)
        x = self.norm(attended + queries)
        x = self.norm(x + self.feed_forward(x))
        return self.pooling(target, x * mask[..., None], mask)
