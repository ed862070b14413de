"""Colour for rendered diagnostics. The text stays letter for letter what `render` wrote."""

from __future__ import annotations

import re

from rich.text import Text

SEVERITIES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_FRAME = "blue"
_LABEL = "blue"
_HELP = "bold"

_HEAD = re.compile(r"(error|warning|note)\[\w+\]:")
_ARROW = re.compile(r" *(-->|:::) ")
_MARKS = re.compile(r" +\| +(\^+|-+)( .*)?$")
_GUTTER = re.compile(r" *\d* +\|")
_ADVICE = re.compile(r" += (help|note):")


def coloured(rendered: str) -> Text:
    """Diagnostics as `render_all` wrote them, with severities, marks and the frame in colour."""
    text = Text(rendered)
    severity = SEVERITIES["error"]
    offset = 0
    for line in rendered.split("\n"):
        if head := _HEAD.match(line):
            severity = SEVERITIES[head[1]]
            text.stylize(severity, offset, offset + head.end())
            text.stylize("bold", offset + head.end(), offset + len(line))
        elif advice := _ADVICE.match(line):
            text.stylize(_FRAME, offset, offset + advice.start(1) - 1)
            text.stylize(_HELP, offset + advice.start(1), offset + advice.end())
        elif arrow := _ARROW.match(line):
            text.stylize(_FRAME, offset, offset + arrow.end())
        elif gutter := _GUTTER.match(line):
            text.stylize(_FRAME, offset, offset + gutter.end())
            if marks := _MARKS.match(line):
                style = severity if marks[1].startswith("^") else _LABEL
                text.stylize(style, offset + marks.start(1), offset + len(line))
        offset += len(line) + 1
    return text
