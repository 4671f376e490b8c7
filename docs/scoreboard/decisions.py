"""Whose fault a difference is, or which convention: decided by a reference."""

from dataclasses import dataclass

FAULT, CONVENTION = "fault", "convention"


@dataclass(frozen=True)
class Decision:
    """A decision on the differences of some rows.

    Args:
        verdict: FAULT or CONVENTION.
        whose: whose fault it is.
        sentence: what was called and what came.
        rows: patterns of names.
        reference: what is right, and by which reference.
        scripts: scripts in docs/upstream.
        what, inputs, kind, dtypes, text: restrict it to some differences.
    """

    verdict: str
    whose: str
    sentence: str
    rows: tuple[str, ...]
    reference: str = ""
    scripts: tuple[str, ...] = ()
    what: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    kind: str = ""
    dtypes: tuple[str, ...] = ()
    text: str = ""


DECISIONS: list[Decision] = []
