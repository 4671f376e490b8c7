"""How many examples are drawn: what `python -m tests.fuzz` asks for, or few."""

import os

import keras
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

ASKED = int(os.environ.get("KSEQ_FUZZ_EXAMPLES", 0))
# XLA compiles each shape for JAX.
FEW = 3 if keras.backend.backend() == "jax" else 8


def examples(share=1.0):
    """Hypothesis's settings; `share` for tests that take longer."""
    return settings(
        max_examples=max(1, round(share * (ASKED or FEW))),
        # The same few in every run of the suite, and nothing left behind in a
        # checkout.
        derandomize=not ASKED,
        database=None,
        deadline=None,
        # Not made smaller: what is drawn is small.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def each(families):
    """Every family by itself; in the suite any of them in each example."""
    if not ASKED:
        families = [any_of(families)]
    return pytest.mark.parametrize(
        "make", families, ids=lambda make: make.__name__
    )


def any_of(families):
    def any_family(draws):
        return draws.draw(st.sampled_from(families))(draws)

    return any_family
