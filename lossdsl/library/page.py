"""A record as a page of text, for terminals and `print`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from lossdsl.library.record import LossRecord
from lossdsl.library.wording import (
    call,
    legal,
    maps,
    modifiers,
    moving,
    paragraphs,
    prose,
    purpose,
    written,
)

WIDTH = 88


def page(record: LossRecord) -> str:
    """All that is known of a loss: how it is called, what it computes, what to watch for."""
    said = prose(record)
    sections = [
        ("", _paragraphs(said.opening)),
        ("Call", _wrapped(call(record))),
        ("Signature", list(_signatures(record))),
        ("Formula", [record.formula] if record.formula else []),
        ("Shape", _paragraphs(said.shape)),
        ("Map", list(_maps(record))),
        ("Parameters", _parameters(record, said.parameters)),
        ("Modifiers", _wrapped(f"{modifiers(record)}.")),
        ("When to use it", _wrapped(record.use)),
        ("When not", _wrapped(record.avoid)),
        ("Conventions", _items(record.conventions)),
        ("Pitfalls", _items(record.pitfalls)),
        ("Related", _items([f"`{name}`: {what}" for name, what in record.related.items()])),
        ("Identities", _items([" = ".join(pair) for pair in record.identities])),
        ("Reference", _wrapped(str(record.reference)) if record.reference else []),
        ("Checked against", _wrapped(record.checked)),
        ("Example", _paragraphs(said.example)),
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


def _wrapped(text: str, lead: str = "", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH - 2,
        initial_indent=lead,
        subsequent_indent=" " * len(lead) if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in paragraphs(text):
        lines += ["", *_wrapped(paragraph)] if lines else _wrapped(paragraph)
    return lines


def _items(sentences: Sequence[str]) -> list[str]:
    return [line for text in sentences for line in _wrapped(text.replace("\n", "; "), "- ")]


def _signatures(record: LossRecord) -> Iterator[str]:
    """The forms in order of preference; the later ones say what they are."""
    for form in record.overloads:
        yield from _wrapped(form.signature, rest="    ")
        yield from _wrapped(purpose(record, form), "    ")


def _maps(record: LossRecord) -> Iterator[str]:
    rows = list(maps(record))
    width = max(len(shape) for shape, _ in rows)
    for shape, setting in rows:
        yield f"{shape.ljust(width)}  with {setting}" if setting else shape
    if record.values is not None:
        yield f"values in {record.values}"


def _parameters(record: LossRecord, described: Mapping[str, str]) -> list[str]:
    rows = [
        (p.name, "required" if p.required else written(p.default), legal(p))
        for p in record.parameters
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    lines = []
    for row in rows:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines += _wrapped(described.get(row[0], ""), f"{cells}  ") or [cells.rstrip()]
    return lines + _wrapped(moving(record))


def _values(record: LossRecord) -> Iterator[str]:
    for example in record.examples:
        yield f"{example.text} = {example.value:.6g}"
        for name, value in example.inputs.items():
            yield from _wrapped(f"{name} = {value}", "    ")
