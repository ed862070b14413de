"""Fixes as they are to be written into YAML: with its quotes, or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from lossdsl.config.yaml_reader import Mapping, Node, Sequence, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics, Fix
from lossdsl.source import Source

# What an unquoted value cannot start with, and what ends it.
_NO_START = frozenset("*&!|>%@`'\"#-?:,[]{} ")
_ENDS = (": ", " #")
_ENDS_IN_FLOW = frozenset(",[]{}")


def fitted(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics of YAML texts with fixes that can be put into the files as they are."""
    scalars: dict[Source, list[Scalar]] = {}
    result = []
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        if fix is not None:
            source = fix.span.source
            if source not in scalars:
                root = read_yaml(source, Diagnostics())
                scalars[source] = [] if root is None else list(_scalars(root))
            diagnostic = dataclasses.replace(diagnostic, fix=_written(fix, scalars[source]))
        result.append(diagnostic)
    return result


def _scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Sequence(items):
            for item in items:
                yield from _scalars(item)
        case Mapping(entries):
            for entry in entries:
                yield entry.key
                yield from _scalars(entry.value)


def _written(fix: Fix, scalars: Iterable[Scalar]) -> Fix | None:
    around = [s for s in scalars if s.span.start <= fix.span.start and fix.span.end <= s.span.end]
    if not around or "\n" in fix.text:
        return None
    scalar, replaced = around[0], fix.span.text
    starts = scalar.fragment.starts or ()
    if len(starts) > 1 and len(set(starts)) == 1:
        return None  # each character has the place of them all
    quote = scalar.style if fix.span == scalar.span and scalar.style in ("'", '"') else ""
    if quote:
        replaced = replaced[1:-1]  # a key is replaced as a whole
    match scalar.style:
        case "'" if "'" not in replaced:
            text = fix.text.replace("'", "''")
            return dataclasses.replace(fix, text=f"{quote}{text}{quote}")
        case '"' if not set('"\\') & set(fix.text + replaced):
            return dataclasses.replace(fix, text=f"{quote}{fix.text}{quote}")
        case "plain" if _stays_plain(fix, scalar):
            return fix
        case "|" | ">":
            return fix
    return None


def _stays_plain(fix: Fix, scalar: Scalar) -> bool:
    raw = scalar.span.source.text
    before = raw[scalar.span.start : fix.span.start]
    text = f"{before}{fix.text}{raw[fix.span.end : scalar.span.end]}"
    ended = any(end in text for end in _ENDS) or (
        scalar.in_flow and bool(_ENDS_IN_FLOW & set(fix.text))
    )
    return bool(text) and text[0] not in _NO_START and not ended
