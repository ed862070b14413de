"""The entry of a table that the user names, or an error that says which entries there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossConfigError
from lossdsl.source import Source

T = TypeVar("T")


def choose(table: Mapping[str, T], word: str, what: str) -> T:
    """`table[word]`; `what` is the noun for the message: a `stage`, a `form`.

    Raises:
        LossConfigError: the table has no such entry.
    """
    if isinstance(word, str) and word in table:
        return table[word]
    shown = str(word)
    known = f"the {what}s are {', '.join(f'`{name}`' for name in table)}"
    guess = closest(shown, table)
    advice = f"{guess}\n{known}" if guess else known
    span = Source(shown, f"<{what}>").span()
    raise LossConfigError([Diagnostic("E509", f"there is no {what} `{shown}`", span, (), advice)])
