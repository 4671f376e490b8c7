"""Small records for the tests of files, comparisons and commands."""

import numpy as np

from kseq.agreement.record import Record, Run

KEY = "pool/float32/forward/output 0"


def make_record(name, *outputs, references=None):
    """A finished record of one case, with [1, 2] as its default output."""
    outputs = outputs or (np.array([1.0, 2.0], "float32"),)
    run = Run(name, "torch", "cpu", "abc", {"keras": "3"}, "here", "now", True)
    values = {f"{KEY[:-1]}{i}": output for i, output in enumerate(outputs)}
    dtypes = dict.fromkeys(values, "float32")
    return Record(run, values, dtypes, references or {})
