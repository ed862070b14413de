"""A loss file's mapping to programs: one, or one for each name under `losses`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

from lossdsl.config.entries import describe, read_name, section
from lossdsl.config.header import read_header
from lossdsl.config.sections import (
    BODY_KEYS,
    FILE_KEYS,
    USED_KEYS,
    Parts,
    check_keys,
    read_parts,
)
from lossdsl.config.used_files import Home, UsedFiles, check_clashes
from lossdsl.config.yaml_reader import Entry, Mapping, Node, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span
from lossdsl.syntax import tree

_SMALLEST = "the smallest loss file is `loss: bce(p, y)`"
_SHARED = ("params", "functions")
# What says which loss it is; in a file with `losses` each of them says so for itself.
_RESULTS = ("terms", "monitor", "loss")


@dataclass(frozen=True, slots=True)
class LossFile:
    """What a file says.

    Attributes:
        programs: the losses by name; a file with one loss has it under None. They share the
            statements that the file gives for all, as the same objects.
        name: the file's own name for itself.
        sources: the file, then those that it uses.
        chosen: the name that was asked for, as in `gan.yaml#generator`.
    """

    programs: dict[str | None, tree.Program]
    name: str | None
    sources: tuple[Source, ...]
    chosen: str | None = None


@dataclass(frozen=True, slots=True)
class _Body:
    """One loss of a file: the sections that it is made of, outermost first. At the very outside
    stands what other files bring."""

    key: str | None
    name: str | None
    levels: list[Parts]
    blamed: Span


def read_loss_source(
    source: Source, home: Home | None, found: Diagnostics, *, to_check: bool = False
) -> LossFile | None:
    """The losses of a YAML text, or None where it has errors. `home` is None in memory.

    `to_check` gives as much as could be read, where only entries could not, so that all mistakes
    are found at once; and a file on disk that only others use is no mistake then.
    """
    before = len(found.items)
    root = read_yaml(source, found)
    if root is None or not _is_mapping(root, found):
        return None
    assert isinstance(root, Mapping)
    check_keys(root, FILE_KEYS, "here", found)
    name = read_header(root, found)
    used = UsedFiles(found)
    losses: Entry | None = None
    for entry in root.entries:
        if entry.key.text == "use":
            used.read(entry, home)
        elif entry.key.text == "losses":
            losses = entry
    brought = Parts(root.span, params=tuple(used.params), functions=tuple(used.functions))
    levels = [brought, read_parts(root, found)]
    if losses is None and to_check and home is not None and _is_shared(root):
        bodies = []
    elif losses is None:
        blamed = root.entries[0].key.span if root.entries else root.span
        bodies = [_Body(None, name, levels, blamed)]
    else:
        _no_results_beside(losses, root, found)
        bodies = _bodies(losses, levels, found)
    for body in bodies:
        check_clashes(body.levels, found)
    parts = {id(level): level for body in bodies for level in body.levels}
    tolerated = sum(part.mistakes for part in parts.values()) if to_check else 0
    errors = [d for d in found.items[before:] if d.severity == "error"]
    if len(errors) > tolerated:
        return None
    programs = {body.key: _program(body, found) for body in bodies}
    complete = {key: program for key, program in programs.items() if program is not None}
    if len(complete) < len(programs) and not errors:
        return None
    return LossFile(complete, name, (source, *used.sources))


def _is_shared(root: Mapping) -> bool:
    """Whether a file holds only what others use, and something of it."""
    keys = {entry.key.text for entry in root.entries}
    return keys <= set(USED_KEYS) and any(
        entry.key.text in _SHARED and isinstance(entry.value, Mapping) and entry.value.entries
        for entry in root.entries
    )


def _is_mapping(root: Node, found: Diagnostics) -> bool:
    if isinstance(root, Mapping):
        return True
    if isinstance(root, Scalar) and root.is_null:
        found.add("E504", "the file is empty", root.span, help=_SMALLEST)
        return False
    text = root.text.strip() if isinstance(root, Scalar) else ""
    help = f"write `loss: {text}`" if text and len(text) < 60 and "\n" not in text else _SMALLEST
    if text.partition(":")[0] in FILE_KEYS and ":" in text:
        help = "put a space behind the `:`"
    message = f"a loss file is a mapping of keys, not {describe(root)}"
    found.add("E504", message, root.span, help=help)
    return False


def _no_results_beside(losses: Entry, root: Mapping, found: Diagnostics) -> None:
    for entry in root.entries:
        if entry.key.text in _RESULTS:
            found.add(
                "E504",
                f"`{entry.key.text}` cannot stand beside `losses`",
                entry.key.span,
                labels=[(losses.key.span, "each of these has its own")],
                help="move it into one of the losses",
            )


def _bodies(losses: Entry, above: list[Parts], found: Diagnostics) -> list[_Body]:
    """The losses under `losses`, each with what the file gives for all in front."""
    before = len(found.items)
    bodies = []
    for entry in section(losses, found):
        name = read_name(entry.key, "a loss", found)
        if not isinstance(entry.value, Mapping):
            found.add(
                "E504",
                f"`{entry.key.text}` is {describe(entry.value)}, and one of several losses is a "
                "mapping",
                entry.key.span,
                help=_body_help(entry),
            )
            continue
        if name is not None and _is_attribute(name.id):
            found.add(
                "E512",
                f"`{name.id}` cannot name a loss: an `nn.ModuleDict` holds the losses of a file, "
                "and has an attribute of this name",
                entry.key.span,
                help=f"choose another name, such as `{name.id}_loss`",
            )
            name = None
        check_keys(entry.value, BODY_KEYS, "in one of several losses", found)
        own = read_parts(entry.value, found)
        if name is not None:
            bodies.append(_Body(name.id, name.id, [*above, own], entry.key.span))
    if not bodies and len(found.items) == before:
        message = "no loss stands under `losses`"
        found.add("E504", message, losses.key.span, help="write `name:` and its `loss:` below it")
    return bodies


def _body_help(entry: Entry) -> str:
    """How the value is to be written, where it is an expression."""
    value = entry.value
    text = value.text.strip() if isinstance(value, Scalar) and not value.is_null else ""
    short = text and len(text) < 60 and "\n" not in text
    return f"write {f'`loss: {text}`' if short else '`loss:` or `terms:`'} below it, indented"


@cache
def _is_attribute(name: str) -> bool:
    """Whether torch's container of several losses uses this name itself."""
    from torch import nn

    return hasattr(nn.ModuleDict(), name)


def _program(body: _Body, found: Diagnostics) -> tree.Program | None:
    """One program from the sections of several mappings."""
    parts = _joined(body.levels)
    result = parts.loss if parts.loss is not None else _sum(parts.terms)
    if parts.mistakes and (result is None or "loss" in parts.unread):
        return None
    if result is None:
        message = "there is no loss: neither `loss` nor an entry under `terms`"
        found.add("E504", message, body.blamed, help=_SMALLEST)
        return None
    outer = body.levels[0]
    brought: list[tree.Param | tree.Function] = [*outer.params, *outer.functions]
    return tree.Program(
        statements=(
            *parts.inputs,
            *parts.params,
            *parts.functions,
            *parts.let,
            *parts.terms,
            *parts.monitor,
        ),
        result=result,
        options=parts.options,
        name=body.name,
        unread=parts.unread,
        brought=frozenset(statement.name.id for statement in brought),
        span=parts.span,
    )


def _joined(levels: list[Parts]) -> Parts:
    joined = levels[0]
    for level in levels[1:]:
        joined = dataclasses.replace(
            level,
            inputs=joined.inputs + level.inputs,
            params=joined.params + level.params,
            functions=joined.functions + level.functions,
            let=joined.let + level.let,
            options=joined.options + level.options,
            unread=joined.unread | level.unread,
            mistakes=joined.mistakes + level.mistakes,
        )
    return joined


def _sum(terms: tuple[tree.Term, ...]) -> tree.Expression | None:
    """The loss of a file that gives none: the sum of its terms, each at its key."""
    names = tuple(tree.Name(term.name.id, term.name.span) for term in terms)
    if len(names) < 2:
        return names[0] if names else None
    return tree.Sum(names, ("+",) * len(names), names[0].span.to(names[-1].span))
