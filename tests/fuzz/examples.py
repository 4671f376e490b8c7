"""How many examples are drawn: what `python -m tests.fuzz` asks for."""

import os

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("KSEQ_FUZZ_EXAMPLES", 10))


def examples(share=1.0):
    """Hypothesis's settings; `share` for tests that take longer."""
    return settings(
        max_examples=max(1, round(share * ASKED)),
        # Nothing is left behind in a checkout.
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
