"""Small records for the tests of files, comparisons and commands."""

import numpy as np

from kseq.agreement.record import Record, Run

KEY = "pool/float32/forward/output 0"


def make_record(name, *outputs, dtype="float32", references=None):
    """A finished record of one case, with [1, 2] as its default output."""
    outputs = outputs or (np.array([1.0, 2.0], "float32"),)
    run = Run(name, "torch", "cpu", "abc", {"keras": "3"}, "here", "now", True)
    keys = [f"pool/{dtype}/forward/output {i}" for i in range(len(outputs))]
    return Record(
        run,
        dict(zip(keys, outputs, strict=True)),
        dict.fromkeys(keys, dtype),
        references or {},
    )
