"""How many examples are drawn: a fixed few, or what the environment asks."""

import os

import keras
from hypothesis import HealthCheck, settings

# A number: so many for each test, other ones each time.
ASKED = os.environ.get("KSEQ_FUZZ_EXAMPLES")
# XLA compiles each shape anew.
FEW = 3 if keras.backend.backend() == "jax" else 12


def examples(share=1.0):
    """Hypothesis's settings; `share` for tests that take longer."""
    return settings(
        max_examples=max(1, round(share * int(ASKED or FEW))),
        derandomize=ASKED is None,
        # Nothing is left behind in a checkout.
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
