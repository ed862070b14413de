"""Arithmetic of literals, done at compile time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lossdsl.checker.nodes import Constant, Node, literal
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.functions.record import FunctionRecord
from lossdsl.source import Span

_FAMILIES = ("operators", "pointwise", "schedules")

_NOT_FOLDED = frozenset({"detach", "@", "matmul"})
"""Functions of these families that make no number of numbers: their rules judge the call."""

_EXACT = 2**53
"""Up to here a float is exactly the whole number; beyond it, whole numbers become floats."""


def calculates(function: FunctionRecord) -> bool:
    """Whether a function makes a number of numbers."""
    return function.family in _FAMILIES and function.name not in _NOT_FOLDED


def fold(
    function: FunctionRecord,
    operands: tuple[Node, ...],
    literals: dict[str, Any],
    keywords: tuple[str | None, ...],
    span: Span,
    found: Diagnostics,
) -> Constant | None:
    """The result as a literal, where every operand is one; None otherwise."""
    if not calculates(function):
        return None
    known = [literal(operand) for operand in operands]
    absent = [constant is not None and constant.value is None for constant in known]
    if function.name in ("==", "!=") and any(absent):
        # What is there, a tensor too, is not `none`.
        return Constant(all(absent) == (function.name == "=="), span)
    values = [constant.value for constant in known if constant is not None]
    if len(values) != len(operands) or not values:
        return None
    if function.name in ("==", "!=") and all(isinstance(v, str | bool) for v in values):
        return Constant((values[0] == values[1]) == (function.name == "=="), span)
    if function.name in ("and", "or", "not") and all(isinstance(v, bool) for v in values):
        logic = {"and": all(values), "or": any(values), "not": not values[0]}
        return Constant(logic[function.name], span)
    if function.name in ("and", "or", "not") and not all(v in (0, 1) for v in values):
        return None
    if function.name == "where" and isinstance(values[0], bool):
        values[0] = int(values[0])
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return None
    if function.name == "where":
        return Constant(values[1] if values[0] else values[2], span)
    result = evaluate(function, values, literals, keywords)
    if result is None or not math.isfinite(result):
        found.add(
            "E310",
            f"`{span.text}` is not a finite number",
            span,
            help="change the numbers so that the result exists",
        )
        return Constant(1.0, span)
    if function.name in ("<", "<=", ">", ">=", "==", "!="):
        return Constant(bool(result), span)
    return Constant(result, span)


def evaluate(
    function: FunctionRecord,
    values: Sequence[float],
    literals: Mapping[str, Any],
    keywords: Sequence[str | None] = (),
) -> int | float | None:
    """The function's value on plain numbers; None where there is none. `keywords` says which of
    them are passed by name."""
    try:
        if function.family == "operators":
            return _operated(function, values)
        tensors = [torch.tensor(float(value), dtype=torch.float64) for value in values]
        names = keywords or (None,) * len(tensors)
        plain = [x for x, name in zip(tensors, names, strict=True) if name is None]
        named = {name: x for x, name in zip(tensors, names, strict=True) if name is not None}
        return float(function.run(*plain, **named, **literals))
    except (ArithmeticError, ValueError, RuntimeError, TypeError):
        return None


def _operated(function: FunctionRecord, values: Sequence[float]) -> int | float | None:
    """An operator's value. Floats come first, so that the digits of `9**9**9` are never made."""
    result = function.run(*map(float, values))
    if not isinstance(result, int | float):
        return None
    if isinstance(result, bool) or not abs(result) <= _EXACT:
        return result
    exact = function.run(*values)
    if function.name == "/" and all(isinstance(x, int) for x in values) and exact == int(exact):
        return int(exact)  # Half of a whole number may be one, and a window's reach is.
    return exact if isinstance(exact, int | float) else None


def overflows(value: Any) -> bool:
    """Whether a number, or one of a list, is beyond float32. torch multiplies by it, which gives
    infinity, and refuses to make a tensor of it."""
    if isinstance(value, tuple):
        return any(map(overflows, value))
    return isinstance(value, int | float) and abs(value) > torch.finfo(torch.float32).max


def plain(value: int | float) -> int | float:
    """A written number as it enters a graph: torch takes whole numbers of 64 bits."""
    return value if abs(value) < 2**63 else float(value)
