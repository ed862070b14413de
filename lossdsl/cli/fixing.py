"""`lossdsl check --fix`: put the fixes into a text that mean what its writer meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from lossdsl.cli.files import write_file
from lossdsl.diagnostics.codes import CODES
from lossdsl.diagnostics.diagnostic import Diagnostic, Fix

ROUNDS = 10
"""What a fix uncovers is fixed too, so many times."""

Check: TypeAlias = Callable[[str], Sequence[Diagnostic]]
"""What is wrong with a text."""

# A type may be wrong (E111) in a text that is read to its end.
_UNREADABLE = {code for code, entry in CODES.items() if entry.category == "syntax"} - {"E111"}
_UNREADABLE |= {"E501"}

_MARK = b"\xef\xbb\xbf"


def fix_file(path: Path, check: Callable[[], Sequence[Diagnostic]]) -> int:
    """Fix a file in place, and say how many fixes that took. `check` reads it anew.

    The file is left as it is where it cannot be read; checking it tells why.
    """
    try:
        data = path.read_bytes()
        text = data.removeprefix(_MARK).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return 0
    mark = data.startswith(_MARK)

    written = text

    def write(changed: str) -> None:
        nonlocal written
        if changed != written:
            write_file(path, changed, mark=mark)
            written = changed

    def check_as(changed: str) -> Sequence[Diagnostic]:
        write(changed)
        return check()

    fixed, count = text, 0
    try:
        fixed, count = fix_text(text, check_as, check())
    finally:
        write(fixed)
    return count


def fix_text(text: str, check: Check, found: Sequence[Diagnostic]) -> tuple[str, int]:
    """The text with all safe fixes, those too that others uncover, and how many they are.

    `found` is what `check` says of the text as it is.
    """
    count = 0
    for _ in range(ROUNDS):
        fixes = fixes_of(text, found)
        if not fixes:
            break
        changed = applied(text, fixes)
        left = check(changed)
        if _unreadable(left) > _unreadable(found):
            fixes, changed, left = _one_by_one(text, fixes, check, found)
        if changed == text:
            break
        text, found, count = changed, left, count + len(fixes)
    return text, count


def fixes_of(text: str, found: Iterable[Diagnostic]) -> list[Fix]:
    """The safe fixes of a text from its start to its end, those left out that overlap others."""
    fixes = {d.fix for d in found if d.fix is not None and d.fix.safe}
    chosen: list[Fix] = []
    for fix in sorted(fixes, key=lambda one: (one.span.start, one.span.end, one.text)):
        beyond = not chosen or fix.span.start > chosen[-1].span.end
        if fix.span.source.text == text and beyond:
            chosen.append(fix)
    return chosen


def applied(text: str, fixes: Iterable[Fix]) -> str:
    """The text with fixes put in, which do not overlap and are in order."""
    pieces, reached = [], 0
    for fix in fixes:
        pieces += [text[reached : fix.span.start], fix.text]
        reached = fix.span.end
    return "".join(pieces) + text[reached:]


def _one_by_one(
    text: str, fixes: Iterable[Fix], check: Check, found: Sequence[Diagnostic]
) -> tuple[list[Fix], str, Sequence[Diagnostic]]:
    """The fixes that leave the text as readable as it is."""
    kept: list[Fix] = []
    best, left = text, found
    for fix in fixes:
        changed = applied(text, [*kept, fix])
        now = check(changed)
        if _unreadable(now) <= _unreadable(found):
            kept, best, left = [*kept, fix], changed, now
    return kept, best, left


def _unreadable(found: Iterable[Diagnostic]) -> int:
    """How many problems say that the text is not even of the language."""
    return sum(d.code in _UNREADABLE for d in found)
