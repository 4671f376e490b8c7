"""PyTorch: sparse gradients, and rows that are written in place."""

from typing import Any

import keras
import torch

from kseq.types import Tensor


def lookup(
    table: keras.Variable, ids: Tensor, sparse: bool, training: bool | None
) -> Tensor:
    if not (sparse and training):
        return keras.ops.take(table, ids, axis=0)
    ids = torch.where(ids < 0, ids + table.shape[0], ids)
    return torch.nn.functional.embedding(ids, table.value, sparse=True)


def sparse_rows(gradient: Any) -> tuple[Tensor, Tensor] | None:
    if gradient is None or not gradient.is_sparse:
        return None
    gradient = gradient.coalesce()
    return gradient.indices()[0], gradient.values()


def read_rows(variable: keras.Variable, ids: Tensor) -> Tensor:
    return variable.value.detach()[ids]


def write_rows(variable: keras.Variable, ids: Tensor, rows: Tensor) -> None:
    variable.value.detach().index_copy_(0, ids, rows)
