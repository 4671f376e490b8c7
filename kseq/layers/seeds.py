"""Seeds of layers that draw more than once."""

from typing import Any

from kseq.checks import check_int_below

# PyTorch takes seeds of 31 bits, others of 32, and none below 0.
SEEDS = 2**31


def check_seed(seed: Any) -> int | None:
    """An integer, or None for a different start each time."""
    return None if seed is None else check_int_below("seed", seed, SEEDS)


def nth_seed(seed: int | None, n: int) -> int | None:
    """The seed of a layer's n-th draw, so that equal shapes differ."""
    return None if seed is None else (seed + n) % SEEDS
