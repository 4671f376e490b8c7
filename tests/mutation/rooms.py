"""What is mutated, and which tests must see it.

A room's mutants run on the backend of its first stage; what survives there goes
on to the next one, whose backend or tests see what the first cannot.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A backend and what pytest is given."""

    backend: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Room:
    """Files, as patterns below the project's folder, and their tests."""

    name: str
    files: tuple[str, ...]
    stages: tuple[Stage, ...]
    without: tuple[str, ...] = ()
    # Of which mutants, by patterns of their names, which end in numbers.
    sample: tuple[str, ...] = ()


EACH_TENTH = ("*5",)
# Minutes long, and what they compute is computed by other tests.
AGREEMENT = ("tests/agreement", "--ignore=tests/agreement/test_cases.py")

ROOMS = (
    Room(
        "ops",
        ("kseq/ops/*.py",),
        (
            Stage(
                "torch",
                (
                    "tests/ops",
                    "--ignore=tests/ops/test_tensorflow_groups.py",
                    "--ignore=tests/ops/test_torch_groups.py",
                ),
            ),
            # Only its graphs do not know the number of steps, and it has no
            # largest of nothing.
            Stage(
                "tensorflow",
                (
                    "tests/ops/test_unknown_steps.py",
                    "tests/ops/test_pooling.py::test_nothing_pools_to_zeros",
                ),
            ),
            # Its own tanh has 32 bits, and its loop reads the first states.
            Stage(
                "jax",
                (
                    "tests/ops/test_float64.py",
                    "tests/ops/test_multi_head.py::test_one_head_is_taken_in_groups",
                ),
            ),
        ),
        without=("kseq/ops/backends/*",),
    ),
    Room(
        "ops-torch",
        ("kseq/ops/backends/torch_*.py", "kseq/ops/backends/unrolled_loop.py"),
        (Stage("torch", ("tests/ops",)),),
    ),
    Room(
        "agreement",
        ("kseq/agreement/*.py",),
        # To capture a graph takes PyTorch ten seconds, at its first.
        (
            Stage("torch", (*AGREEMENT, "-k", "not _compiled")),
            Stage("torch", AGREEMENT),
        ),
        without=(
            "kseq/agreement/probes/tensorflow.py",
            "kseq/agreement/probes/jax.py",
            "kseq/agreement/probes/inference.py",
        ),
    ),
    Room(
        "layers",
        ("kseq/layers/*.py",),
        (
            Stage(
                "torch",
                (
                    "tests/layers",
                    "tests/models/test_paths.py",
                    "tests/parity/test_deepctr.py",
                ),
            ),
        ),
        sample=EACH_TENTH,
    ),
)
