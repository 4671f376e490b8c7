"""Differences that are known and expected."""

import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kseq.agreement.tables import KINDS, POLICIES
from kseq.checks import (
    check_instance,
    check_items,
    check_one_of,
    raise_invalid,
)


@dataclass(frozen=True)
class Known:
    """A known difference of one backend.

    The other backends must agree, and this one must differ: when the fault is
    gone, the tests fail until the entry is removed.

    Args:
        backend: the backend that differs.
        reason: why, such as the address of an issue.
        kinds: the kinds that differ, as a string or a sequence; all by default.
        policies: the dtype policies, likewise.
        test: a pattern of node ids, in which "*" matches anything.

    Raises:
        ValueError: if an argument is invalid.

    Example:
        >>> from kseq.agreement import Known
        >>> known = Known("torch", "no epsilon", kinds="forward gradients")
        >>> known.kinds
        ('forward', 'gradients')
    """

    backend: str
    reason: str
    kinds: tuple[str, ...] = KINDS
    policies: tuple[str, ...] = POLICIES
    test: str = "*"

    def __post_init__(self) -> None:
        for name in ("backend", "reason", "test"):
            value = getattr(self, name)
            check_instance(name, value, str, "a string")
            if not value.strip():
                raise_invalid(name, "a non-empty string", value)
        for name, options in (("kinds", KINDS), ("policies", POLICIES)):
            values = split_names(name, getattr(self, name), options)
            object.__setattr__(self, name, values)

    def matches_test(self, test: str) -> bool:
        # Not `fnmatch` alone, since "[...]" is frequent in node ids.
        pattern = self.test.replace("[", "[[]")
        return fnmatch.fnmatchcase(test, pattern)

    def matches(self, policy: str, kind: str) -> bool:
        return policy in self.policies and kind in (*self.kinds, "layers")


def split_names(name: str, values: Any, options: Any) -> tuple[str, ...]:
    """Return the names in a string, separated by spaces, or in a sequence."""
    if isinstance(values, str):
        values = values.replace(",", " ").split()
    values = check_items(name, values, str, f"names from {options}")
    for value in values:
        check_one_of(name, value, options)
    if not values:
        raise_invalid(name, f"at least one of {options}", values)
    return values


def known_from(table: Mapping[str, Any]) -> Known:
    """Create an entry from a table of a configuration file or a marker."""
    names = {"dtypes" if n == "policies" else n for n in Known.__match_args__}
    for name in table:
        check_one_of("agreement_known", name, sorted(names))
    fields = {("policies" if n == "dtypes" else n): v for n, v in table.items()}
    for name in ("backend", "reason"):
        if name not in fields:
            raise_invalid("agreement_known", f"an argument {name!r}", table)
    return Known(**fields)


def settings_of(path: Path) -> tuple[list[Known], bool]:
    """Read known differences, and `explain`, from a pyproject.toml."""
    if not path.is_file():
        return [], True
    text = path.read_text(encoding="utf-8")
    table = tomllib.loads(text).get("tool", {}).get("kseq", {})
    table = table.get("agreement", {})
    for name in table:
        check_one_of("tool.kseq.agreement", name, ("known", "explain"))
    known = [known_from(entry) for entry in table.get("known", [])]
    return known, bool(table.get("explain", True))
