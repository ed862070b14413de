"""What is wrong in a type, by example."""

from __future__ import annotations

from lossdsl.diagnostics.diagnostic import Advice
from lossdsl.syntax.stop import Mistake, Said, Stop


def _in_type(stop: Stop) -> bool:
    return stop.start in ("type", "signature") or stop.first() == "INPUT"


def before_type(stop: Stop) -> Said | None:
    if stop.first() != "INPUT" or "COLON" not in stop.accepts:
        return None
    name = stop.word(1 - stop.position)
    if stop.position > 3 or stop.bracket():
        return None
    if stop.kind() == "EQUAL":
        return Said(
            "E111",
            "an input is given at the call: it has no value here",
            stop.place(),
            f"write `param {name} = …`, or `input {name}: …` and its type",
        )
    if stop.position == 2 and stop.kind() == "NAME":
        help = f"write `input {name}: {stop.word()}…`"
        return Said(
            "E111", f"a `:` is missing behind `{name}`", stop.place(), help, stop.behind(-1, ":")
        )
    return Said(
        "E111",
        f"`:` and a type are missing behind `{name}`",
        stop.place(-1) if stop.ended else stop.place(),
        f"write `input {name}: …`, one input a line",
    )


def _length(stop: Stop) -> Said | None:
    """`list[logits[B], 2]`."""
    if stop.kind() == "COMMA" and "SEMICOLON" in stop.accepts and _in_type(stop):
        help = Advice("write `;` before it: `list[logits[B]; 2]`", ";")
        return Said("E111", "a `,` does not lead to a list's length", stop.place(), help)
    return None


def _size(stop: Stop) -> Said | None:
    """Sizes that are none: `1.5`, `-1`, `2H`, `*`."""
    if not _in_type(stop):
        return None
    match stop.kind(-1), stop.kind():
        case _, "NUMBER" if "INTEGER" in stop.accepts:
            return Said("E111", f"`{stop.word()}` is not a whole number", stop.place())
        case _, "SIGN" if "INTEGER" in stop.accepts:
            return Said("E111", "a size has no sign", stop.place(), "write `_` for any size")
        case "INTEGER", "NAME":
            wanted = f"{stop.word(-1)}*{stop.word()}"
            fix = stop.behind(-1, "*")
            return Said("E111", "`*` is missing", stop.place(), f"write `{wanted}`", fix)
        case "STAR", _ if "NAME" in stop.accepts:
            return Said(
                "E111",
                "a name is missing behind `*`",
                stop.place(-1),
                "write `*S`, or `...` for axes that need no name",
            )
        case _, "POWER":
            return Said("E111", "a type has no `**`", stop.place(), "axes are collected by `*S`")
        case _, "NAME" if stop.kind(-1) == "NAME" and "COMMA" in stop.accepts:
            return Said("E111", f"a `,` is missing before `{stop.word()}`", stop.place())
    return None


def _type(stop: Stop) -> Said | None:
    if not _in_type(stop):
        return None
    help = "a type is a kind and a shape: `logits[B, 1, H, W]`"
    if "ARROW" in stop.accepts and "COMMA" not in stop.accepts:
        where = stop.place(-1) if stop.ended else stop.place()
        return Said(
            "E111",
            "`->` and the result are missing",
            where,
            "write `module(image[B, 3]) -> score[B]`",
        )
    if stop.ended:
        return Said("E111", f"a type is missing behind `{stop.word(-1)}`", stop.place(), help)
    return Said("E111", f"`{stop.word()}` does not fit into a type here", stop.place(), help)


TYPE_MISTAKES: tuple[Mistake, ...] = (_length, _size, _type)
