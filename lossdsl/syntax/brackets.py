"""Brackets that do not match: the first one that is wrong, and the way out."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from lossdsl.diagnostics.diagnostic import Advice, Diagnostics, Fix
from lossdsl.source import Fragment, Span
from lossdsl.syntax.tokens import BRACKETS, OPENS

_CLOSES = frozenset(OPENS.values())


def explain_brackets(tokens: Sequence[Token], fragment: Fragment, found: Diagnostics) -> None:
    """Report the first bracket that closes the wrong one, or all that close or open nothing."""
    opened: list[Token] = []
    for position, token in enumerate(tokens):
        if token.type in OPENS:
            opened.append(token)
        elif token.type in _CLOSES and not opened:
            help = Advice("remove it")
            found.add("E102", f"this `{token}` closes nothing", _place(token, fragment), help=help)
        elif token.type in _CLOSES and OPENS[opened[-1].type] == token.type:
            opened.pop()
        elif token.type in _CLOSES:
            # What comes behind it is matched with the wrong ones: nothing is said of it.
            _crossed(tokens, position, opened, fragment, found)
            return
    for token in opened:
        found.add(
            "E102",
            f"this `{token}` is never closed",
            _place(token, fragment),
            help=f"add `{BRACKETS[OPENS[token.type]]}` where the group ends",
        )


def _crossed(
    tokens: Sequence[Token],
    position: int,
    opened: list[Token],
    fragment: Fragment,
    found: Diagnostics,
) -> None:
    """`x[0)`: the bracket is missing, or the wrong one was written."""
    token, first = tokens[position], opened[-1]
    wanted = BRACKETS[OPENS[first.type]]
    place = _place(token, fragment)
    rest = tokens[position + 1 :]
    outer = opened[-2].type if len(opened) > 1 else ""
    missing = OPENS.get(outer) == token.type and _closes(opened[:-2], rest)
    replaced = _closes(opened[:-1], rest)
    where = Span(place.source, place.start, place.start if missing else place.end)
    found.add(
        "E102",
        f"this `{token}` does not close `{first}`",
        place,
        labels=[(_place(first, fragment), "opened here")],
        help=f"add `{wanted}` before it" if missing else f"write `{wanted}`",
        fix=Fix(where, wanted, replaced and not missing),
    )


def _closes(opened: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Whether the brackets that are open are closed by what follows, and nothing else is."""
    stack = [token.type for token in opened]
    for token in rest:
        if token.type in OPENS:
            stack.append(token.type)
        elif token.type in _CLOSES and (not stack or OPENS[stack.pop()] != token.type):
            return False
    return not stack


def _place(token: Token, fragment: Fragment) -> Span:
    return fragment.span(token.start_pos or 0, token.end_pos or 0)
