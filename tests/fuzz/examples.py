"""The number of examples: that of `python -m tests.fuzz`, or a few."""

import os

import keras
import pytest
from hypothesis import HealthCheck, Phase, settings

ASKED = int(os.environ.get("KSEQ_FUZZ_EXAMPLES", 0))
FEW = 30
# `tox run -e fuzz` runs them on every backend; the others compile each shape.
only_fast = pytest.mark.skipif(
    not ASKED and keras.backend.backend() not in ("numpy", "torch"),
    reason="a few random inputs take minutes",
)


def examples(share=1.0, few=FEW):
    """Hypothesis's settings: a share of the examples asked for, or a few."""
    return settings(
        max_examples=max(1, round(share * ASKED)) if ASKED else few,
        # The suite draws the same examples in every run.
        derandomize=not ASKED,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # without shrinking: examples are small
        suppress_health_check=list(HealthCheck),
    )


def each(families):
    """Test each family by itself; in the suite, a random one per example."""
    groups = [[family] for family in families] if ASKED else [families]
    ids = [family.name for family in families] if ASKED else ["any"]
    return pytest.mark.parametrize("families", groups, ids=ids)
