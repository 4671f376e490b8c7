"""Tables of computations, exclusions and tolerances.

Every exception that the comparison makes is listed here, with its reason.
"""

from dataclasses import dataclass

KINDS = (
    "forward",
    "forward_compiled",
    "gradients",
    "gradients_compiled",
    "fit",
)
DTYPES = ("float64", "float32", "bfloat16", "float16")
# Significant bits of each dtype.
BITS = {"float64": 53, "float32": 24, "bfloat16": 8, "float16": 11}
HALF_KINDS = ("forward",)


@dataclass(frozen=True)
class LeftOut:
    """Computations that are skipped on a backend, and why."""

    backend: str
    kinds: tuple[str, ...]
    dtypes: tuple[str, ...]
    reason: str


# docs/upstream/numpy_float64.py reproduces one of the reasons.
LEFT_OUT = (
    LeftOut(
        "numpy",
        ("forward_compiled", "gradients", "gradients_compiled", "fit"),
        DTYPES,
        "the NumPy backend has no gradients, no fit and no compiler",
    ),
    LeftOut(
        "numpy",
        KINDS,
        ("float64", "bfloat16"),
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
        ("forward_compiled", "gradients", "gradients_compiled", "fit"),
        DTYPES,
        "the OpenVINO backend has no gradients and no fit, and compiles at "
        "every call",
    ),
)


def left_out(backend: str, kind: str, dtype: str) -> str | None:
    """Return why a backend skips a computation, or None if it does not."""
    if dtype in ("bfloat16", "float16") and kind not in HALF_KINDS:
        return "half precision is compared in the forward pass only"
    for entry in LEFT_OUT:
        if (
            entry.backend == backend
            and kind in entry.kinds
            and dtype in entry.dtypes
        ):
            return entry.reason
    return None


@dataclass(frozen=True)
class Tolerance:
    """The largest allowed difference, relative to a computation's scale."""

    limit: float
    reason: str


_ROUNDING = "sums of some tens of terms in a different order"
_STEPS = "20 training steps accumulate rounding"
_HALF = "a few roundings to {bits} significant bits"

TOLERANCES = {
    ("float64", "forward"): Tolerance(1e-12, _ROUNDING),
    ("float64", "gradients"): Tolerance(1e-12, _ROUNDING),
    ("float64", "fit"): Tolerance(1e-12, _STEPS),
    ("float32", "forward"): Tolerance(2e-6, _ROUNDING),
    ("float32", "gradients"): Tolerance(1e-5, _ROUNDING),
    ("float32", "fit"): Tolerance(5e-5, _STEPS),
    ("bfloat16", "forward"): Tolerance(4e-2, _HALF.format(bits=8)),
    ("float16", "forward"): Tolerance(5e-3, _HALF.format(bits=11)),
}


def tolerance(kind: str, dtype: str) -> Tolerance:
    """Return the tolerance, which is the same compiled and on any device."""
    return TOLERANCES[dtype, kind.removesuffix("_compiled")]
