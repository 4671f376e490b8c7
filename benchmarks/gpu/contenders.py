"""Contenders that exist for this comparison only, on PyTorch.

Each class has one function for each kind of workload, as a module of
`benchmarks.contenders`.
"""

import contextlib
import importlib

import keras
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LOWEST = -(2.0**32)


@contextlib.contextmanager
def modules(name, **launch):
    """The module of a contender; `launch`: how Triton kernels are launched."""
    if name in ("kseq", "compiled"):
        yield importlib.import_module("benchmarks.contenders.kseq")
    elif name.startswith("deepctr-torch"):
        with torch.device(device()):
            yield importlib.import_module("benchmarks.contenders.deepctr_torch")
    elif name.startswith("triton"):
        module = importlib.import_module("benchmarks.gpu.kernels.contender")
        with module.use(**launch):
            yield module
    else:
        yield {"packed": Packed, "sdpa": Attention}[name]


class Packed:
    """PyTorch's fused loops, whose lengths must be on the CPU.

    nn.GRU applies the reset gate after the product, has two biases and no
    attention, so it is another function with as much computation.
    """

    @staticmethod
    def gru(workload, weights):
        return _packed(torch.nn.GRU, workload, outputs=True)

    @staticmethod
    def augru(workload, weights):
        return _packed(torch.nn.GRU, workload, outputs=False)

    @staticmethod
    def bilstm(workload, weights):
        return _packed(torch.nn.LSTM, workload, True, bidirectional=True)


def _packed(kind, workload, outputs, **options):
    torch.manual_seed(0)
    layer = kind(workload.dim, workload.units, batch_first=True, **options)
    layer.to(device(), dtype())

    def call(inputs, variables, training):
        x, lengths, *scores = inputs
        packed = pack_padded_sequence(
            x, lengths[:, 0].cpu(), batch_first=True, enforce_sorted=False
        )
        result, state = layer(packed)
        if outputs:
            result, _ = pad_packed_sequence(
                result, batch_first=True, total_length=workload.steps
            )
            return result
        # The scores have no effect, but a gradient.
        return state[0][:, None] + 0 * scores[0].sum()

    return call, [*layer.parameters()]


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype():
    return getattr(torch, keras.config.floatx())


class Attention:
    """The products around PyTorch's attention, with a mask that it adds."""

    @staticmethod
    def transformer(workload, weights):
        batch, steps, heads = workload.batch, workload.steps, workload["heads"]

        def split_heads(x):
            return x.view(batch, steps, heads, -1).transpose(1, 2)

        def call(inputs, variables, training):
            x, lengths = inputs
            valid = torch.arange(steps, device=x.device) < lengths
            allowed = valid[:, None, None, :]
            if workload["blinding"]:
                allowed = allowed & ~torch.eye(
                    steps, dtype=torch.bool, device=x.device
                )
            q, k, v = (split_heads(x @ kernel) for kernel in variables)
            penalty = torch.where(allowed, 0.0, LOWEST).to(x.dtype)
            penalty = penalty.expand(batch, 1, steps, steps)
            found = scaled_dot_product_attention(q, k, v, penalty)
            found = found.transpose(1, 2).reshape(x.shape)
            # A step that sees itself only has no keys with blinding.
            seen = allowed.any(dim=-1).expand(batch, 1, steps)[:, 0]
            return torch.where((valid & seen)[:, :, None], found, 0.0)

        variables = [
            torch.from_numpy(w).to(device(), dtype()).requires_grad_()
            for w in weights
        ]
        return call, variables
