"""Diagnostics as annotations of a pull request: one workflow command of GitHub Actions each."""

from __future__ import annotations

from collections.abc import Iterable

from lossdsl.diagnostics.codes import Severity
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.origin import is_file

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """One line a diagnostic: the message, below it the labels with their places, and the help."""
    return "\n".join(map(_command, diagnostics))


def _command(diagnostic: Diagnostic) -> str:
    lines = [diagnostic.message]
    for label in diagnostic.labels:
        if label.text:
            place = f"{label.span.source.name}:{label.span.line}:{label.span.column}"
            lines.append(f"{place}: {label.text}")
    lines += [f"note: {note}" for note in diagnostic.notes]
    if diagnostic.help:
        lines.append(f"help: {diagnostic.help}")
    properties = ",".join(
        f"{key}={_escaped(value, _IN_PROPERTY)}" for key, value in _properties(diagnostic).items()
    )
    message = _escaped("\n".join(lines), _IN_MESSAGE)
    return f"::{_COMMANDS[diagnostic.severity]} {properties}::{message}"


def _properties(diagnostic: Diagnostic) -> dict[str, str]:
    """Where the annotation stands. A text that is no file has no place in a pull request."""
    found = {"title": diagnostic.code}
    if is_file(diagnostic.span.source):
        found |= {"file": diagnostic.file, "line": str(diagnostic.line)}
        last_line, behind = diagnostic.end
        # GitHub takes columns where the place is on one line, and the last one counts.
        if last_line == diagnostic.line:
            last = max(diagnostic.column, behind - 1)
            found |= {"col": str(diagnostic.column), "endColumn": str(last)}
        else:
            found["endLine"] = str(last_line)
    return found


def _escaped(text: str, replacements: dict[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)
