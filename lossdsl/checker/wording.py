"""Lists and counts as a sentence needs them."""

from __future__ import annotations


def listed(names: list[str]) -> str:
    """`a`, `b` and `c`, each quoted."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def count(number: int) -> str:
    """How many arguments."""
    return "1 argument" if number == 1 else f"{number} arguments"
