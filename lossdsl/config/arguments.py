"""What callers pass from Python, judged before anything is done with it.

A message names the argument, says what it is and what came; its place is the value as Python
shows it, since there is no text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from lossdsl.config.entries import NAME
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.levels import Levels, unlevelled
from lossdsl.source import Source, Span

_SHOWN = 60


def judge_text(argument: str, value: object, found: Diagnostics, help: str | None = None) -> bool:
    """A str: a program, a name."""
    return isinstance(value, str) or _wrong(argument, "a str", value, found, help)


def judge_path(value: object, found: Diagnostics) -> bool:
    """What `open` takes by name."""
    if isinstance(value, str | os.PathLike):
        return isinstance(os.fspath(value), str) or _wrong("path", "a str", value, found)
    return _wrong("path", "a str or an `os.PathLike`", value, found)


def judge_choice(
    argument: str, value: object, choices: tuple[str, ...], found: Diagnostics
) -> bool:
    """One of a few words."""
    if isinstance(value, str) and value in choices:
        return True
    known = " or ".join(f"`{choice!r}`" for choice in choices)
    message = f"`{argument}` is {known}, not `{_shown(value)}`"
    found.add("E509", message, _place(argument, value))
    return False


def judge_named(argument: str, value: object, found: Diagnostics) -> bool:
    """A mapping of names. Its values are judged by who uses them."""
    if not isinstance(value, Mapping):
        return _wrong(argument, "a mapping of names", value, found)
    return judge_names(argument, value, found)


def judge_names(argument: str, value: object, found: Diagnostics) -> bool:
    """Names that a text can use."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return _wrong(argument, "a collection of names", value, found)
    fine = True
    for name in value:
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            fine = False
            found.add(
                "E512",
                f"`{argument}` holds names, and `{_shown(name)}` is none",
                _place(argument, name),
                help="names are letters, digits and `_`, with no digit in front",
            )
    return fine


def judge_levels(error: object, ignore: object, found: Diagnostics) -> Levels:
    """Codes of warnings that count as errors, and of those that are left out."""
    return Levels(_codes("error", error, found), _codes("ignore", ignore, found))


def _codes(argument: str, value: object, found: Diagnostics) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        _wrong(argument, "a collection of codes", value, found)
        return frozenset()
    codes = {str(code).upper() for code in value}
    for code in sorted(codes):
        problem = unlevelled(code)
        if problem is not None:
            help = "`lossdsl explain` lists the codes"
            found.add("E509", problem, _place(argument, code), help=help)
    return frozenset(codes)


def _wrong(
    argument: str, wanted: str, value: object, found: Diagnostics, help: str | None = None
) -> bool:
    message = f"`{argument}` is {wanted}, not `{type(value).__name__}`"
    found.add("E504", message, _place(argument, value), help=help)
    return False


def _place(argument: str, value: object) -> Span:
    return Source(_shown(value), f"<{argument}>").span()


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:
        text = type(value).__name__
    line = next(iter(text.splitlines()), "")
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
