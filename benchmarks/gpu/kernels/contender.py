"""The kernels as a contender, with the weights of kseq's layers."""

import contextlib
import os

import torch

from benchmarks.gpu.contenders import device, dtype
from benchmarks.gpu.kernels import parts
from benchmarks.gpu.kernels.din import attention
from benchmarks.gpu.kernels.gru import gru as run_gru
from benchmarks.gpu.kernels.lstm import lstm as run_lstm


@contextlib.contextmanager
def use(**launch):
    """Launch the kernels so, see `parts.Launch`."""
    if device() == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError("needs a GPU or TRITON_INTERPRET=1")
    before = {name: getattr(parts.launch, name) for name in launch}
    try:
        for name, value in launch.items():
            setattr(parts.launch, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(parts.launch, name, value)


def din(workload, weights):
    def call(inputs, variables, training):
        query, keys, lengths = inputs
        valid = _valid(keys, lengths)
        return attention(query, keys, valid, variables, training=training)[0]

    return call, _variables(weights)


def gru(workload, weights):
    def call(inputs, variables, training):
        x, lengths = inputs
        return run_gru(x, _valid(x, lengths), *variables)[0]

    return call, _variables(weights)


def augru(workload, weights):
    def call(inputs, variables, training):
        x, lengths, scores = inputs
        _, state = run_gru(
            x, _valid(x, lengths), *variables, scores[..., 0], "AUGRU"
        )
        return state[:, None]

    return call, _variables(weights)


def bilstm(workload, weights):
    def call(inputs, variables, training):
        x, lengths = inputs
        valid = _valid(x, lengths)
        ways = (
            run_lstm(x, valid, *variables[3 * i : 3 * i + 3], reverse=i == 1)
            for i in range(2)
        )
        return torch.cat([*ways], dim=-1)

    return call, _variables(weights)


def _valid(x, lengths):
    return torch.arange(x.shape[1], device=x.device) < lengths


def _variables(weights):
    return [
        torch.from_numpy(w).to(device(), dtype()).requires_grad_()
        for w in weights
    ]
