"""`lossdsl list`: the losses of the library, and the functions of the files that ship with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossdsl.cli.terminal import table

if TYPE_CHECKING:
    from typing import TypeAlias

    from lossdsl.config.shipped import ShippedFunction
    from lossdsl.library.record import LossRecord

    Listed: TypeAlias = LossRecord | ShippedFunction


class Format(str, Enum):
    """For people and for scripts."""

    text = "text"
    json = "json"


def list_losses(
    word: Annotated[
        str | None, typer.Argument(metavar="WORD", help="Only losses that mention this.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="FAMILY", help="Only losses of this family.")
    ] = None,
    format: Annotated[Format, typer.Option(help="A table, or a list of objects.")] = Format.text,
) -> None:
    """List the losses of the library, then the functions of the loss files that ship with it.

    WORD is looked for in names, aliases and summaries. The family of such a function is what a
    loss file writes under `use`.

    Example: lossdsl list --family overlap
    """
    import lossdsl
    from lossdsl.config.shipped import shipped_functions

    records: list[Listed] = [*lossdsl.losses().values(), *shipped_functions().values()]
    families = list(dict.fromkeys(record.family for record in records))
    if family is not None and family not in families:
        raise typer.BadParameter(
            f"`{family}` is none of {', '.join(families)}", param_hint="--family"
        )
    found = [
        record
        for record in records
        if family in (None, record.family) and (word is None or _mentions(record, word))
    ]
    if format is Format.json:
        typer.echo(json.dumps([_entry(record) for record in found], ensure_ascii=False, indent=2))
    elif found:
        table(("name", "family", "summary"), ((r.name, r.family, r.summary) for r in found))
    if not found:
        typer.echo(f"no loss mentions `{word}`{_meant(word or '', records)}", err=True)
        raise typer.Exit(1)


def _mentions(record: Listed, word: str) -> bool:
    """Whether a word is part of a name, or begins a word of the summary."""
    named = any(word.lower() in name.lower() for name in (record.name, *record.aliases))
    return named or bool(re.search(rf"\b{re.escape(word)}", record.summary, re.IGNORECASE))


def _meant(word: str, records: Iterable[Listed]) -> str:
    from lossdsl.checker.suggest import closest

    advice = closest(word, (name for r in records for name in (r.name, *r.aliases)))
    return f": {advice}" if advice else ""


def _entry(record: Listed) -> dict[str, Any]:
    entry = {
        "name": record.name,
        "family": record.family,
        "aliases": list(record.aliases),
        "summary": record.summary,
    }
    from lossdsl.config.shipped import ShippedFunction

    if isinstance(record, ShippedFunction):
        return {**entry, "call": record.call, "value": record.body, "reference": record.source}
    return {
        **entry,
        "signatures": [overload.signature for overload in record.overloads],
        "parameters": [
            {"name": p.name}
            | ({} if p.required else {"default": p.default})
            | ({} if p.range is None else {"range": str(p.range)})
            | ({"choices": list(p.choices)} if p.choices else {})
            for p in record.parameters
        ],
        "formula": record.formula,
        "reference": str(record.reference) if record.reference else None,
    }
