"""How numbers, tables and files are written."""

from collections.abc import Iterable
from pathlib import Path


def digits(value: float) -> str:
    """About three of them, and no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    lines = [titles, len(titles) * ["---"], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_text(path: Path, text: str) -> None:
    """A file, whole or not at all."""
    # Imported here: Keras comes with it, and what measures stays small.
    from kseq.files import replace_text

    replace_text(path, text)
