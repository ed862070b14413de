"""Arithmetic of literals, done at compile time."""

from __future__ import annotations

import math
from typing import Any

import torch

from lossdsl.checker.nodes import Constant, Node
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.functions.record import FunctionRecord
from lossdsl.source import Span

_FAMILIES = ("operators", "pointwise", "schedules")


def fold(
    function: FunctionRecord,
    operands: tuple[Node, ...],
    literals: dict[str, Any],
    span: Span,
    found: Diagnostics,
) -> Constant | None:
    """The result as a literal, where every operand is one; None otherwise."""
    if function.family not in _FAMILIES or function.name in ("detach", "@"):
        return None
    values = [operand.value for operand in operands if isinstance(operand, Constant)]
    if len(values) != len(operands) or not values:
        return None
    if function.name in ("==", "!=") and all(isinstance(v, str | bool) for v in values):
        return Constant((values[0] == values[1]) == (function.name == "=="), span)
    if function.name in ("and", "or", "not") and all(isinstance(v, bool) for v in values):
        logic = {"and": all(values), "or": any(values), "not": not values[0]}
        return Constant(logic[function.name], span)
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return None
    result = evaluate(function, values, literals)
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
    function: FunctionRecord, values: list[Any], literals: dict[str, Any]
) -> int | float | None:
    """The function's value on plain numbers; None where there is none."""
    try:
        if function.family == "operators":
            result = function.run(*values)
            return result if isinstance(result, int | float) else None
        tensors = [torch.tensor(float(value), dtype=torch.float64) for value in values]
        return float(function.run(*tensors, **literals))
    except (ArithmeticError, ValueError, RuntimeError, TypeError):
        return None
