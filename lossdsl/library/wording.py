"""What a record says in words: for its page in a terminal, and for the one among the documents."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lossdsl.library.record import CRITIC_POINTS, LossRecord, Overload, Parameter
from lossdsl.types.signature import read_signature

_SECTION = re.compile(r"^(Args|Shape|Example):$", re.MULTILINE)
_DESCRIBED = re.compile(r"^    (?P<names>[a-z][\w, ]*): (?P<text>.*(?:\n {8,}.*)*)", re.MULTILINE)

MASK = {
    "map": "`mask=` keeps values of the map",
    "inside": "`mask=` acts inside the formula",
    "none": "no `mask=`",
}
CLASS_WEIGHT = {
    "labels": "`class_weight=` (picked by the labels)",
    "classes": "`class_weight=` (along the classes)",
    "none": "",
}


@dataclass(frozen=True)
class Prose:
    """The parts of a docstring."""

    opening: str
    shape: str
    example: str
    parameters: Mapping[str, str]


def prose(record: LossRecord) -> Prose:
    """What the function's docstring says; several parameters may share one sentence."""
    # A record made by hand may have a summary that is not in the docstring.
    said = record.docs.startswith(record.summary)
    docs = record.docs if said else f"{record.summary}\n\n{record.docs}"
    opening, *rest = _SECTION.split(docs)
    parts = dict(zip(rest[::2], rest[1::2], strict=True))
    described = {}
    for match in _DESCRIBED.finditer(parts.get("Args", "")):
        for name in match["names"].split(","):
            described[name.strip()] = " ".join(match["text"].split())
    return Prose(opening, parts.get("Shape", ""), parts.get("Example", ""), described)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each on one line."""
    found = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
    return [paragraph for paragraph in found if paragraph]


def call(record: LossRecord) -> str:
    """The call with every parameter and its default. A critic is named, as users do."""
    critic = record.critic
    parts = [*record.inputs] if critic is None else ["D", *CRITIC_POINTS[critic]]
    parts += [
        parameter.name if parameter.required else f"{parameter.name}={written(parameter.default)}"
        for parameter in record.parameters
    ]
    return f"{record.name}({', '.join(parts)})"


def purpose(record: LossRecord, form: Overload) -> str:
    """What a form behind the first one says of itself."""
    docs = inspect.getdoc(form.function) or ""
    own = form is not record.overloads[0] and docs != record.docs
    return docs.partition("\n")[0] if own else ""


# --- parameters -------------------------------------------------------------------------------


def legal(parameter: Parameter) -> str:
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


def moving(record: LossRecord) -> str:
    """Which parameters may change while training goes on, in one sentence."""
    sentences = []
    for kinds, one, several in _MOVING:
        names = [f"`{p.name}`" for p in record.parameters if p.kind in kinds]
        if names:
            sentences.append(f"{_listed(names)} {several if names[1:] else one}")
    return "; ".join(sentences) + "." if sentences else ""


_MOVING = (
    (("number",), *2 * ("may be a param, a learnable or a schedule",)),
    (("vector",), *2 * ("may be a param or a learnable",)),
    (("flag", "choice"), "is fixed at compile time", "are fixed at compile time"),
    (("literal", "integer"), "must be a literal", "must be literals"),
)
"""Kinds of parameters, and what is said of one and of several of them."""


def _listed(names: list[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


# --- the map ----------------------------------------------------------------------------------


def maps(record: LossRecord) -> Iterator[tuple[str, str]]:
    """The shape of the map, then those that a parameter makes of it, each with that parameter."""
    forms = (read_signature(form.signature).map_text for form in record.overloads)
    yield " or ".join(dict.fromkeys(f"[{shape}]" for shape in forms)), ""
    result = record.overloads[0].result
    if result is None:
        return
    for parameter in record.parameters:
        values = parameter.choices or ((True, False) if parameter.kind == "flag" else ())
        for value in values:
            shape = result({parameter.name: value})
            if shape != result({}):
                yield shape.removeprefix("loss"), f"{parameter.name}={written(value)}"


def modifiers(record: LossRecord) -> str:
    """The keywords that the compiler gives to this loss."""
    parts = ["`reduction=`", "`weight=`", "`per=`"]
    if any("labels" in form.signature for form in record.overloads):
        parts.append("`ignore_index=`")
    parts += [CLASS_WEIGHT[record.class_weight], MASK[record.mask]]
    return "; ".join([", ".join(filter(None, parts[:-1])), parts[-1]])


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
