"""Diagnostics for programs: one JSON document with all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lossdsl.diagnostics.diagnostic import Diagnostic, Fix
from lossdsl.source import Span


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """How many there are of each severity, then each with its code and its place.

    Lines and columns count from 1 in code points; `end` is just behind the last character.
    """
    found = list(diagnostics)
    counts = Counter(diagnostic.severity for diagnostic in found)
    document = {
        "errors": counts["error"],
        "warnings": counts["warning"],
        "notes": counts["note"],
        "diagnostics": [_entry(diagnostic) for diagnostic in found],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _entry(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "labels": [{"text": label.text, **_place(label.span)} for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fix": None if diagnostic.fix is None else _fix(diagnostic.fix),
    }


def _fix(fix: Fix) -> dict[str, Any]:
    """What to put where; `safe` says that nobody needs to look at it."""
    return {"text": fix.text, "safe": fix.safe, **_place(fix.span)}


def _place(span: Span) -> dict[str, Any]:
    line, column = span.stop
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end": {"line": line, "column": column},
    }
