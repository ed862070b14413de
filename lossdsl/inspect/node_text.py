"""One operation in a word or two, and a number as an expression: for trees and for edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossdsl.functions import convert
from lossdsl.functions.op import Op
from lossdsl.ir.graph import Node

PRECISION = frozenset({convert.as_float, convert.as_floating, convert.as_index, convert.as_scalar})
"""What changes neither values nor meaning, only the dtype."""

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}


def is_inserted(op: Op | str) -> bool:
    """Whether the compiler put the operation there, and not the user."""
    return not isinstance(op, str) and op.group in ("convert", "reduce")


def title(op: Op | str, literals: Mapping[str, Any]) -> str:
    """The operation with what is fixed in it: `focal gamma=2`, `input p`, `index [:, 0]`."""
    match op:
        case "input" | "param" | "clock":
            return f"{op} {literals['name']}"
        case "number":
            return f"number {literal(literals['value'])}"
        case "item":
            return f"item {part(literals['key'])}"
        case "index":
            return f"index [{', '.join(map(literal, literals['items']))}]"
    name = op if isinstance(op, str) else op.name
    fixed = (f"{key}={literal(x)}" for key, x in literals.items() if x is not None)
    return " ".join([name, *fixed])


def part(key: str | int) -> str:
    """`.aux` or `[0]`."""
    return f".{key}" if isinstance(key, str) else f"[{key}]"


def literal(value: Any) -> str:
    """A literal as the language writes it."""
    match value:
        case bool() | None:
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e6 else f"{value:.10g}"
        case str():
            return f"'{value}'"
        case slice():
            bounds = [value.start, value.stop] + ([value.step] if value.step is not None else [])
            return ":".join("" if bound is None else str(bound) for bound in bounds)
        case tuple() | list():
            return f"[{', '.join(map(literal, value))}]"
    return "..." if value is ... else str(value)


def expression(node: Node) -> str:
    """A weight as it would be written: `exp(-s)`, `0.5*w_tv`."""
    return _written(node)[1]


def _written(node: Node) -> tuple[int, str]:
    """How tightly the outermost operation binds, and the text."""
    if node.run in PRECISION:
        return _written(node.operands[0])
    if node.op in ("param", "clock", "input"):
        return 5, str(node.literals["name"])
    if node.op == "number":
        text = literal(node.literals["value"])
        return (3 if text.startswith("-") else 5), text
    binds = _BINDS.get(node.name)
    if binds is None:
        inside = [expression(operand) for operand in node.operands]
        inside += [f"{key}={literal(value)}" for key, value in node.literals.items()]
        return 5, f"{node.name}({', '.join(inside)})"
    if node.name == "neg":
        return binds, f"-{_bound(node.operands[0], binds)}"
    # Powers join from the right, all else from the left.
    left, right = (binds + 1, binds) if node.name == "**" else (binds, binds + 1)
    sign = f" {node.name} " if binds == 1 else node.name
    return binds, f"{_bound(node.operands[0], left)}{sign}{_bound(node.operands[1], right)}"


def _bound(node: Node, least: int) -> str:
    binds, text = _written(node)
    return text if binds >= least else f"({text})"
