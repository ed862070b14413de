"""The pages of the losses, one each, and their index: Markdown made of the records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from loss_plots import caption, has_plot
from table_text import codes, table

import lossdsl
from lossdsl.library.record import Example, LossRecord
from lossdsl.library.registry import MODULES, find
from lossdsl.library.wording import (
    CLASS_WEIGHT,
    call,
    legal,
    maps,
    paragraphs,
    prose,
    purpose,
    written,
)
from lossdsl.types.signature import Signature, read_signature

FOLDER = Path(__file__).parent / "losses"
COSTS = FOLDER / "costs.json"

_OPENING = """\
# The losses

All losses of the library, by family, with a page for each. A program calls a loss by its name or an
alias; the call takes tensors by position and parameters by name. What every loss understands
besides, `weight=`, `mask=`, `reduction=` and the like, is in the
[reference](language.md#reduction-weight-and-mask). A *map* is what a loss gives before it is
reduced: a signature ends with its shape.

`lossdsl doc dice` prints a page in a terminal, `lossdsl list` this table; `lossdsl.losses()` has
the records that the pages are made of.
"""

_NOTE = "<!-- Made by docs/generate.py of the record: change that. -->"

_MASK = {
    "map": "`mask=` keeps values of the map, and leaves out the others",
    "inside": "`mask=` acts inside the formula, on the positions of the inputs",
    "none": "`mask=` has no meaning",
}

_MOVES = {
    "number": "a param, a learnable or a schedule",
    "vector": "a param or a learnable",
    "flag": "no: fixed at compile time",
    "choice": "no: fixed at compile time",
    "literal": "no: a literal",
    "integer": "no: a literal",
}

_ARXIV = re.compile(r"arXiv:(\d+\.\d+|[a-z-]+/\d+)")

_REDUCTION = "../language.md#reduction-weight-and-mask"


def library() -> list[LossRecord]:
    """The losses in the order of the catalogue."""
    found = [record for record in lossdsl.losses().values() if record.family != "user"]
    return sorted(found, key=lambda r: MODULES.index(r.function.__module__.rpartition(".")[2]))


def index() -> str:
    """The table of all losses."""
    return f"{_OPENING}\n{table(('loss', 'family', 'what it costs'), map(_overview, library()))}\n"


def _overview(record: LossRecord) -> tuple[str, str, str]:
    also = f" ({codes(record.aliases)})" if record.aliases else ""
    return f"[`{record.name}`](losses/{record.name}.md){also}", record.family, record.summary


def page(record: LossRecord, costs: Mapping[str, Any] | None = None) -> str:
    """The page of one loss; what its record leaves open is left out."""
    said = prose(record)
    signature = read_signature(record.overloads[0].signature)
    opening = [_linked(record, paragraph) for paragraph in paragraphs(said.opening)]
    also = f" · also {codes(record.aliases)}" if record.aliases else ""
    sections: list[tuple[str, Iterable[str]]] = [
        ("", [f"# {record.name}", _NOTE, f"[{record.family}](../losses.md){also}", *opening]),
        ("", [_fenced(call(record), *(form.signature for form in record.overloads))]),
        ("Formula", [f"```math\n{record.formula}\n```"] if record.formula else []),
        ("When to use it", [_linked(record, record.use)]),
        ("When not", [_linked(record, record.avoid)]),
        ("Inputs", _inputs(record, signature, said.shape)),
        ("Map", _map(record)),
        ("Parameters", [_parameters(record, said.parameters)]),
        ("Weights and masks", [_modifiers(record)]),
        ("Conventions", [_items(_linked(record, text) for text in record.conventions)]),
        ("Pitfalls", [_items(_linked(record, text) for text in record.pitfalls)]),
        ("Value and gradient", _plot(record)),
        ("Example", [*paragraphs(said.example), *map(_example, record.examples)]),
        ("Identities", [_identities(record.identities)]),
        ("Related", [_items(map(_related, record.related.items()))]),
        ("Cost", [_cost(record, costs if costs is not None else measured())]),
        ("Checked against", [_sentence(record.checked)]),
        ("Reference", [_ARXIV.sub(_paper, str(record.reference or ""))]),
    ]
    return "\n\n".join(_blocks(sections)) + "\n"


def _blocks(sections: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    for heading, parts in sections:
        filled = [part.rstrip() for part in parts if part.strip()]
        if filled and heading:
            yield f"## {heading}"
        yield from filled


def _fenced(*lines: str, language: str = "") -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _sentence(text: str) -> str:
    """A text that may have been written without its capital and its stop."""
    if not text:
        return ""
    start = text if text.startswith("`") else text[0].upper() + text[1:]
    return start if start.endswith((".", "!", "?")) else f"{start}."


def _paper(match: re.Match[str]) -> str:
    return f"[{match[0]}](https://arxiv.org/abs/{match[1]})"


def _linked(record: LossRecord, text: str) -> str:
    """A text in which the names of other losses lead to their pages."""
    own = {record.name, *record.inputs, *(parameter.name for parameter in record.parameters)}

    def link(match: re.Match[str]) -> str:
        other = None if match[1] in own else find(match[1])
        return match[0] if other is None else f"[{match[0]}]({other.name}.md)"

    return re.sub(r"`(\w+)`", link, text)


# --- what goes in, and what comes out ------------------------------------------------------------


def _inputs(record: LossRecord, signature: Signature, shape: str) -> Iterator[str]:
    yield from paragraphs(shape)
    if len(record.overloads) > 1 or any(len(slot.kinds) > 1 for slot in signature.slots):
        yield "The forms of a call and the kinds in them, in order of preference:"
        yield _forms(record)
    slots = list(zip(record.inputs, signature.slots, strict=True))
    kinds = [f"`{name}` is `{slot.kinds[0]}`" for name, slot in slots]
    yield f"Where nothing is declared, {_listed(kinds)}."
    spare = [f"`{name}`" for name, slot in slots if slot.optional]
    yield f"{_listed(spare)} may be left out." if spare else ""


def _forms(record: LossRecord) -> str:
    heads = [*(f"`{name}`" for name in record.inputs), "map", "what it is"]
    says = [purpose(record, form) for form in record.overloads]
    rows = [
        (*_form(read_signature(form.signature)), what)
        for form, what in zip(record.overloads, says, strict=True)
    ]
    width = len(heads) if any(says) else len(heads) - 1
    return table(heads[:width], (row[:width] for row in rows))


def _form(signature: Signature) -> Iterator[str]:
    for slot in signature.slots:
        kinds = " or ".join(f"`{kind}`" for kind in slot.kinds)
        yield f"{kinds} `[{slot.shape_text}]`" if slot.node.shape is not None else kinds
    yield f"`[{signature.map_text}]`"


def _map(record: LossRecord) -> Iterator[str]:
    (usual, _), *changed = maps(record)
    shapes = " or ".join(f"`{shape}`" for shape in usual.split(" or "))
    settings = [f"`{shape}` with `{setting}`" for shape, setting in changed]
    sentence = f"{shapes}; {_listed(settings)}." if settings else f"{shapes}."
    yield sentence + (f" Its values lie in {record.values}." if record.values is not None else "")


def _parameters(record: LossRecord, described: Mapping[str, str]) -> str:
    if not record.parameters:
        return ""
    rows = [
        (
            f"`{p.name}`",
            "required" if p.required else f"`{written(p.default)}`",
            codes(map(written, p.choices)) if p.choices else legal(p),
            _MOVES[p.kind],
            described.get(p.name, ""),
        )
        for p in record.parameters
    ]
    return table(("parameter", "default", "values", "may move", "meaning"), rows)


def _modifiers(record: LossRecord) -> str:
    kept = ["`reduction=`", "`weight=`", "`per=`"]
    if any("labels" in form.signature for form in record.overloads):
        kept.append("`ignore_index=`")
    rows = [f"{', '.join(kept)}: as for [every loss]({_REDUCTION})"]
    if CLASS_WEIGHT[record.class_weight]:
        rows.append(CLASS_WEIGHT[record.class_weight].replace("` (", "`: ").rstrip(")"))
    return _items(f"{row}." for row in (*rows, _MASK[record.mask]))


def _listed(names: Sequence[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


# --- what it does --------------------------------------------------------------------------------


def _plot(record: LossRecord) -> Iterator[str]:
    if has_plot(record):
        yield f"![Value and gradient of {record.name}]({record.name}.svg)"
        yield caption(record)


def _example(example: Example) -> str:
    """The call with its value, as Python that can be pasted."""
    return _fenced(
        f"loss = lossdsl.compile({json.dumps(example.text, ensure_ascii=False)})",
        *(f"{name} = {_tensor(value)}" for name, value in example.inputs.items()),
        f"loss({', '.join(f'{name}={name}' for name in example.inputs)})  # {example.value:.6g}",
        language="python",
    )


def _tensor(value: Any) -> str:
    """Lists are tensors where they are full; else a list of tensors, as of feature maps."""
    if isinstance(value, list) and _sizes(value) is None:
        return f"[{', '.join(map(_tensor, value))}]"
    return f"torch.tensor({value})"


def _sizes(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return ()
    parts = {_sizes(part) for part in value}
    return None if len(parts) > 1 or None in parts else (len(value), *next(iter(parts), ()))


def _identities(pairs: Sequence[tuple[str, str]]) -> str:
    return _items(" = ".join(f"`{text.replace(chr(10), '; ')}`" for text in pair) for pair in pairs)


def _related(entry: tuple[str, str]) -> str:
    name, what = entry
    return f"[`{name}`]({name}.md): {what}" + ("" if what.endswith(".") else ".")


# --- what it takes -------------------------------------------------------------------------------


@cache
def measured() -> Mapping[str, Any]:
    """What `benchmarks/costs.py` has written."""
    if not COSTS.exists():
        return {"losses": {}}
    costs: Mapping[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return costs


def _cost(record: LossRecord, costs: Mapping[str, Any]) -> str:
    entry = costs["losses"].get(record.name)
    if entry is None:
        return "Not measured."
    rows = [
        (
            f"`{backend}`",
            f"{_digits(entry[backend]['nanoseconds'])} ns",
            f"{_digits(entry[backend]['bytes'])} bytes",
        )
        for backend in costs["backends"]
        if backend in entry
    ]
    inputs = ", ".join(f"`{name}: {type}`" for name, type in entry["inputs"].items())
    threads = "1 thread" if costs["threads"] == 1 else f"{costs['threads']} threads"
    first = next(iter(entry["inputs"]))
    return (
        f"For each number of `{first}`, forward and backward together; the memory is the peak "
        f"beside the inputs, their gradients included.\n\n"
        f"{table(('backend', 'time', 'memory'), rows)}\n\n"
        f"`{entry['call']}` of {inputs}, {costs['dtype']}, torch {costs['torch']}, {threads} of "
        f"{costs['machine']}."
    )


def _digits(value: float) -> str:
    """Two digits that count: more would be noise."""
    return f"{float(f'{value:.2g}'):,.10g}"
