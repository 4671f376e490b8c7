"""Tables of computations, exclusions and limits.

Every exception that a comparison makes is listed here, with its reason.
"""

from dataclasses import dataclass

KINDS = (
    "forward",
    "training",
    "forward_compiled",
    "gradients",
    "gradients_compiled",
    "fit",
)
# Policies of Keras. A mixed policy computes in half precision and stores
# weights in float32.
POLICIES = (
    "float64",
    "float32",
    "bfloat16",
    "float16",
    "mixed_bfloat16",
    "mixed_float16",
)
# Significant bits of each dtype.
BITS = {"float64": 53, "float32": 24, "bfloat16": 8, "float16": 11}


def compute_dtype(policy: str) -> str:
    """Return the dtype that a policy computes in."""
    return policy.removeprefix("mixed_")


def epsilon(policy: str) -> float:
    """Return the distance from 1 to the next number of a policy's dtype."""
    return 2.0 ** (1 - BITS[compute_dtype(policy)])


def smallest(policy: str) -> float:
    """Return the smallest normal number of a policy's dtype."""
    names = {"float64": -1022, "float16": -14}
    return float(2.0 ** names.get(compute_dtype(policy), -126))


@dataclass(frozen=True)
class LeftOut:
    """Computations that are skipped on a backend, and why."""

    backend: str
    kinds: tuple[str, ...]
    policies: tuple[str, ...]
    reason: str


_TRAINED = KINDS[2:]
# docs/upstream/numpy_float64.py reproduces one of the reasons.
LEFT_OUT = (
    LeftOut(
        "numpy",
        _TRAINED,
        POLICIES,
        "the NumPy backend has no gradients, no fit and no compiler",
    ),
    LeftOut(
        "numpy",
        KINDS,
        ("float64", "bfloat16", "mixed_bfloat16"),
        "Keras's NumPy backend computes float64 and bfloat16 in float32",
    ),
    LeftOut(
        "openvino",
        KINDS,
        ("float64",),
        "Keras's OpenVINO backend computes float64 in 32 bits",
    ),
    LeftOut(
        "openvino",
        _TRAINED,
        POLICIES,
        "the OpenVINO backend has no gradients and no fit, and compiles at "
        "every call",
    ),
)


def left_out(backend: str, kind: str, policy: str) -> str | None:
    """Return why a backend skips a computation, or None if it does not."""
    for entry in LEFT_OUT:
        if (
            entry.backend == backend
            and kind in entry.kinds
            and policy in entry.policies
        ):
            return entry.reason
    return None


@dataclass(frozen=True)
class Tolerance:
    """The largest allowed difference, relative to an array's largest value."""

    limit: float
    reason: str


_ROUNDING = "sums of some tens of terms in a different order"
_STEPS = "20 training steps accumulate rounding"
_HALF = "a few roundings to {bits} significant bits"
_HALF_GRADIENTS = "the backward pass rounds as often as the forward pass"
_HALF_STEPS = "20 training steps, of which each rounds as often as a gradient"

TOLERANCES = {
    ("float64", "forward"): Tolerance(1e-12, _ROUNDING),
    ("float64", "gradients"): Tolerance(1e-12, _ROUNDING),
    ("float64", "fit"): Tolerance(1e-12, _STEPS),
    ("float32", "forward"): Tolerance(2e-6, _ROUNDING),
    ("float32", "gradients"): Tolerance(1e-5, _ROUNDING),
    ("float32", "fit"): Tolerance(5e-5, _STEPS),
    ("bfloat16", "forward"): Tolerance(4e-2, _HALF.format(bits=8)),
    ("bfloat16", "gradients"): Tolerance(8e-2, _HALF_GRADIENTS),
    ("bfloat16", "fit"): Tolerance(2e-1, _HALF_STEPS),
    ("float16", "forward"): Tolerance(5e-3, _HALF.format(bits=11)),
    ("float16", "gradients"): Tolerance(1e-2, _HALF_GRADIENTS),
    ("float16", "fit"): Tolerance(3e-2, _HALF_STEPS),
}
# A single element may differ by this many times what one rounding of the
# inputs, or of the element itself, changes: the share of the random part in
# sums of up to 100,000 terms. In half precision only the terms and the sum are
# rounded, since backends add in float32.
ROUNDINGS = {"float64": 64, "float32": 64, "bfloat16": 4, "float16": 4}


def tolerance(kind: str, policy: str) -> Tolerance:
    """Return the tolerance, which is the same compiled and on any device."""
    kind = kind.removesuffix("_compiled").replace("training", "forward")
    return TOLERANCES[compute_dtype(policy), kind]
