"""Which name was meant: the closest of those that there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lossdsl.diagnostics.diagnostic import Advice


def did_you_mean(name: str, known: Iterable[str], likeness: float = 0.6) -> Advice | None:
    """The closest name, if one is like it. It is sure where one slip of the hand explains it, and
    explains no other."""
    names = list(dict.fromkeys(known))
    lowered = {candidate.lower(): candidate for candidate in names}
    meant = lowered.get(name.lower())
    if meant is not None and meant != name:
        return _advice(meant, len(name) > 2)
    slips = [candidate for candidate in names if is_slip(name, candidate)]
    if len(slips) == 1 and len(name) > 2:
        return _advice(slips[0], len(name) > 3 or len(slips[0]) != len(name))
    close = difflib.get_close_matches(name, names, 1, likeness)
    return _advice(close[0], False) if close else None


def own_name_meant(name: str, known: Iterable[str], likeness: float) -> Advice | None:
    """The same for names that the text itself gives. It is less sure there: `fake_b` is no slip
    for `fake_a`."""
    advice = did_you_mean(name, known, likeness)
    if advice is None or advice.replacement is None:
        return advice
    meant = advice.replacement
    ends = (name[0], name[-1]) == (meant[0], meant[-1])
    moved = len(name) != len(meant) or sorted(name) == sorted(meant)
    return _advice(meant, advice.safe and ends and moved)


def is_slip(written: str, meant: str) -> bool:
    """Whether one letter is missing, too many or another one, or two are exchanged. Digits are
    never slips: `exp2` is not `exp`."""
    short, long = sorted((written, meant), key=len)
    same = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    one, other = short[same:], long[same:]
    if any(map(str.isdigit, one[:1] + other[:1])) or len(long) - len(short) > 1:
        return False
    if len(short) < len(long):
        return one == other[1:]
    exchanged = one[:2] == other[:2][::-1] and one[2:] == other[2:]
    return one != other and (one[1:] == other[1:] or exchanged)


def _advice(name: str, sure: bool) -> Advice:
    return Advice(f"did you mean `{name}`?", name, sure)
