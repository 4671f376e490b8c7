# KERAS_BACKEND: torch
"""torch.compile breaks the graph at ops.max, but not at ops.amax."""

import sys

import torch
from keras import ops


def compile_with(op):
    torch.compiler.reset()
    run = torch.compile(
        lambda x: op(x, axis=1), backend="eager", fullgraph=True
    )
    try:
        run(torch.ones(2, 3))
    except Exception as error:
        return type(error).__name__
    return "one graph"


got = compile_with(ops.max)
print("expected: one graph, as ops.amax:", compile_with(ops.amax))
print("got:     ", got)
sys.exit(got == "one graph")
