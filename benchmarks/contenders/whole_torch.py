"""PyTorch by hand, as it is commonly written: padding is computed, too.

- din: the gradient by hand, of the whole batch at once.
- transformer: PyTorch's attention, with a mask.
"""

import torch
import torch.nn.functional as F

from benchmarks.contenders import native_torch
from benchmarks.contenders.native_torch import valid_steps, variables

FRAMEWORK = "torch"


def din(work, weights):
    return native_torch.din(work, weights, rows=None)


def transformer(work, weights):
    heads, steps = work["heads"], work.steps
    others = ~torch.eye(steps, dtype=torch.bool)

    def call(inputs, variables, training):
        x, lengths = inputs
        q, k, v = (
            (x @ w).view(len(x), steps, heads, -1).transpose(1, 2)
            for w in variables
        )
        valid = valid_steps(x, lengths)
        mask = valid[:, None, None, :]
        if work["blinding"]:
            mask = mask & others
        out = F.scaled_dot_product_attention(q, k, v, mask)
        out = out.transpose(1, 2).reshape(x.shape)
        return torch.where(valid[..., None], out, 0)

    return call, variables(weights)
