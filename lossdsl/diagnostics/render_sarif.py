"""Diagnostics as a SARIF 2.1.0 log, which code-scanning services and editors read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lossdsl.diagnostics.codes import CODES
from lossdsl.diagnostics.diagnostic import Diagnostic, Fix
from lossdsl.diagnostics.origin import is_file
from lossdsl.source import Source, Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(diagnostics: Iterable[Diagnostic], version: str) -> str:
    """One run of the tool `lossdsl`, whose rules are the codes that occur.

    A text that is no file travels inside the log, so that its places mean something.
    """
    found = list(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    artifacts = _Artifacts()
    results = [_result(d, codes.index(d.code), artifacts) for d in found]
    driver = {"name": "lossdsl", "version": version, "rules": [_rule(code) for code in codes]}
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    if artifacts.texts:
        run["artifacts"] = [{"contents": {"text": text.text}} for text in artifacts.texts]
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2)


def _rule(code: str) -> dict[str, Any]:
    entry = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": entry.title},
        "defaultConfiguration": {"level": entry.severity},
    }


def _result(diagnostic: Diagnostic, rule: int, artifacts: _Artifacts) -> dict[str, Any]:
    text = diagnostic.message
    text = "\n".join((text, *(f"note: {note}" for note in diagnostic.notes)))
    if diagnostic.help:
        text = f"{text}\nhelp: {diagnostic.help}"
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": text},
        "locations": [artifacts.location(diagnostic.span)],
    }
    if diagnostic.labels:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": label.text}, **artifacts.location(label.span)}
            for number, label in enumerate(diagnostic.labels, start=1)
        ]
    if diagnostic.fix is not None:
        result["fixes"] = [artifacts.fix(diagnostic.fix, diagnostic.help or "")]
    return result


class _Artifacts:
    """Where places are: in files by their paths, in other texts by their number in the log."""

    def __init__(self) -> None:
        self.texts: list[Source] = []

    def location(self, span: Span) -> dict[str, Any]:
        artifact = self._artifact(span.source)
        return {"physicalLocation": {"artifactLocation": artifact, "region": _region(span)}}

    def fix(self, fix: Fix, help: str) -> dict[str, Any]:
        replaced: dict[str, Any] = {"deletedRegion": _region(fix.span)}
        if fix.text:
            replaced["insertedContent"] = {"text": fix.text}
        change = {
            "artifactLocation": self._artifact(fix.span.source),
            "replacements": [replaced],
        }
        return {"description": {"text": help}, "artifactChanges": [change]}

    def _artifact(self, source: Source) -> dict[str, Any]:
        if is_file(source):
            return {"uri": _uri(source.name)}
        if source not in self.texts:
            self.texts.append(source)
        return {"index": self.texts.index(source)}


def _region(span: Span) -> dict[str, int]:
    line, column = span.stop
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": line,
        "endColumn": column,
    }


def _uri(path: str) -> str:
    """A path as a URI: relative as it is, so that the log can be read in another checkout."""
    file = Path(path)
    return file.as_uri() if file.is_absolute() else quote(file.as_posix())
