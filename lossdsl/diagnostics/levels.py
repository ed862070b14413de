"""Which warnings count as errors and which are not told: said on the command line, in a file's
options, or in a comment beside the place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lossdsl.diagnostics.codes import CODES
from lossdsl.diagnostics.diagnostic import Diagnostic, reading_order
from lossdsl.source import Source, Span

_IDLE = "W203"
_COMMENT = re.compile(r"#[ \t]*lossdsl:[ \t]*ignore\[(?P<codes>[^\]\r\n]*)\]")


@dataclass(frozen=True, slots=True)
class Levels:
    """Codes of warnings and notes: those that are errors, and those that are left out."""

    errors: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def merged(self, other: Levels) -> Levels:
        """Both; what `other` says of a code counts."""
        return Levels(
            (self.errors - other.ignored) | other.errors,
            (self.ignored - other.errors) | other.ignored,
        )


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One code of a comment `# lossdsl: ignore[W801]`, and the line that it speaks of."""

    code: str
    line: int
    span: Span


def settled(
    diagnostics: Iterable[Diagnostic], levels: Levels, judged: Iterable[Source] = ()
) -> list[Diagnostic]:
    """The diagnostics at their levels, without the ignored ones, in reading order.

    A comment in a `judged` source that matches nothing is a warning itself: the hazard that it
    spoke of is gone.
    """
    found = list(diagnostics)
    sources = dict.fromkeys((*judged, *(d.span.source for d in found)))
    comments = {source: list(_comments(source)) for source in sources}
    matched: set[_Ignore] = set()
    kept = []
    for diagnostic in found:
        beside = [one for one in comments[diagnostic.span.source] if _covers(one, diagnostic)]
        matched.update(beside)
        if diagnostic.severity == "error" or not (beside or diagnostic.code in levels.ignored):
            kept.append(_at_level(diagnostic, levels))
    if _IDLE not in levels.ignored:
        idle = [one for source in judged for one in comments[source] if one not in matched]
        kept += [_at_level(_unmatched(one), levels) for one in idle]
    return sorted(kept, key=reading_order)


def _at_level(diagnostic: Diagnostic, levels: Levels) -> Diagnostic:
    if diagnostic.code in levels.errors:
        return dataclasses.replace(diagnostic, level="error")
    return diagnostic


def _covers(comment: _Ignore, diagnostic: Diagnostic) -> bool:
    span = diagnostic.span
    return comment.code == diagnostic.code and span.line <= comment.line <= span.stop[0]


def _comments(source: Source) -> Iterable[_Ignore]:
    for match in _COMMENT.finditer(source.text):
        line, column = source.position(match.start())
        alone = not source.line(line)[: column - 1].strip()
        for code in re.finditer(r"[^\s,]+", match["codes"]):
            start = match.start("codes") + code.start()
            span = source.span(start, start + len(code[0]))
            yield _Ignore(code[0].upper(), line + alone, span)


def _unmatched(comment: _Ignore) -> Diagnostic:
    code = CODES.get(comment.code)
    if code is None:
        message, help = f"there is no code `{comment.code}`", "`lossdsl explain` lists the codes"
    elif code.severity == "error":
        message, help = f"`{comment.code}` is an error, and cannot be ignored", "mend what it tells"
    else:
        message = f"nothing on this line gives `{comment.code}`"
        help = "drop the comment, or put it on the line of the place that is underlined"
    return Diagnostic(_IDLE, message, comment.span, (), help)


def unlevelled(code: str) -> str | None:
    """Why a code has no level that could be changed, or None where it has."""
    if code not in CODES:
        return f"there is no code `{code}`"
    if CODES[code].severity == "error":
        return f"`{code}` is an error, whatever is said"
    return None
