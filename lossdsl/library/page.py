"""A record as a page of text, for terminals and `print`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from lossdsl.library.record import LossRecord, Parameter

WIDTH = 88

_SECTION = re.compile(r"^(Args|Shape|Example):$", re.MULTILINE)
_DESCRIBED = re.compile(r"^    (?P<names>[a-z][\w, ]*): (?P<text>.*(?:\n {8,}.*)*)", re.MULTILINE)

_MASK = {
    "map": "`mask=` keeps values of the map",
    "inside": "`mask=` acts inside the formula",
    "none": "no `mask=`",
}
_CLASS_WEIGHT = {
    "labels": "`class_weight=` (picked by the labels)",
    "classes": "`class_weight=` (along the classes)",
    "none": "",
}


def page(record: LossRecord) -> str:
    """All that is known of a loss: how it is called, what it computes, what to watch for."""
    # A record made by hand may have a summary that is not in the docstring.
    said = record.docs.startswith(record.summary)
    prose = _sections(record.docs if said else f"{record.summary}\n\n{record.docs}")
    sections = [
        ("", _paragraphs(prose[""])),
        ("Call", _wrapped(_call(record))),
        ("Signature", [overload.signature for overload in record.overloads]),
        ("Formula", [record.formula] if record.formula else []),
        ("Shape", _paragraphs(prose.get("Shape", ""))),
        ("Parameters", _parameters(record, _described(prose.get("Args", "")))),
        ("Modifiers", _wrapped(f"{_modifiers(record)}.")),
        ("Conventions", _items(record.conventions)),
        ("Pitfalls", _items(record.pitfalls)),
        ("When", _items([record.use, record.avoid])),
        ("Related", _items([f"`{name}`: {what}" for name, what in record.related.items()])),
        ("Identities", [f"{left} = {right}" for left, right in record.identities]),
        ("Reference", _wrapped(str(record.reference)) if record.reference else []),
        ("Checked against", _wrapped(record.checked)),
        ("Example", _paragraphs(prose.get("Example", ""))),
        ("Values", list(_values(record))),
    ]
    blocks = [_title(record)]
    for heading, lines in sections:
        if lines and heading:
            blocks.append("\n".join([heading, *(f"  {line}".rstrip() for line in lines)]))
        elif lines:
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _title(record: LossRecord) -> str:
    also = f" (also {', '.join(record.aliases)})" if record.aliases else ""
    return f"{record.name}{also} – {record.family}"


def _call(record: LossRecord) -> str:
    parts = [*record.inputs]
    parts += [
        parameter.name if parameter.required else f"{parameter.name}={written(parameter.default)}"
        for parameter in record.parameters
    ]
    return f"{record.name}({', '.join(parts)})"


# --- prose ------------------------------------------------------------------------------------


def _sections(docs: str) -> dict[str, str]:
    """The parts of a docstring by their headings; what stands above them under ''."""
    first, *rest = _SECTION.split(docs)
    return {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _described(arguments: str) -> dict[str, str]:
    """What the docstring says of each parameter; several may share one sentence."""
    found = {}
    for match in _DESCRIBED.finditer(arguments):
        for name in match["names"].split(","):
            found[name.strip()] = " ".join(match["text"].split())
    return found


def _wrapped(text: str, lead: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH - 2,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines += ["", *_wrapped(" ".join(paragraph.split()))] if lines else _wrapped(paragraph)
    return lines


def _items(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences if sentence for line in _wrapped(sentence, "- ")]


# --- tables -----------------------------------------------------------------------------------


def _parameters(record: LossRecord, described: dict[str, str]) -> list[str]:
    rows = [
        (p.name, "required" if p.required else written(p.default), _allowed(p))
        for p in record.parameters
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    lines = []
    for row in rows:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines += _wrapped(described.get(row[0], ""), f"{cells}  ") or [cells.rstrip()]
    return lines


def _allowed(parameter: Parameter) -> str:
    """The legal values: an interval, the choices, or the sort of value."""
    if parameter.choices:
        allowed = " or ".join(written(choice) for choice in parameter.choices)
    elif parameter.range is not None:
        whole = "whole, " if parameter.kind == "integer" else ""
        allowed = f"{whole}in {parameter.range}"
    else:
        allowed = _SORTS[parameter.kind]
    return f"{allowed} or none" if parameter.optional else allowed


_SORTS = {
    "number": "number",
    "literal": "number",
    "integer": "whole number",
    "flag": "true or false",
    "choice": "",
    "vector": "list of numbers",
}


def _modifiers(record: LossRecord) -> str:
    """The keywords that the compiler gives to this loss."""
    parts = ["`reduction=`", "`weight=`", "`per=`"]
    if any("labels" in overload.signature for overload in record.overloads):
        parts.append("`ignore_index=`")
    parts += [_CLASS_WEIGHT[record.class_weight], _MASK[record.mask]]
    return "; ".join([", ".join(filter(None, parts[:-1])), parts[-1]])


def _values(record: LossRecord) -> Iterator[str]:
    for example in record.examples:
        yield f"{example.text} = {example.value:.6g}"
        for name, value in example.inputs.items():
            yield from _wrapped(f"{name} = {value}", "    ")


def written(value: Any) -> str:
    """A literal as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case int() | float():
            return f"{value:g}".replace("e-0", "e-")
        case _:
            return f"[{', '.join(map(written, value))}]"
