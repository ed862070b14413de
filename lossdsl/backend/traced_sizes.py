"""What is held against the contract while torch.compile traces a loss into a larger graph: ranks
and equal sizes. torch guards on what is compared here, so it stays true for later calls.

The plan is made of tuples and strings because Dynamo traces the code that reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lossdsl.backend.arguments import part
from lossdsl.checker.contract import Contract
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.shapes import RowSymbol
from lossdsl.types.values import Listing, Record, Tensor, Type

Axis = str | int | None
"""A size: its symbol, its number, or None where tracing does not judge it."""


def plan_of(contract: Contract) -> tuple[Any, ...]:
    """The axes of each input."""
    return tuple((entry.name, str(entry.type), _plan(entry.type)) for entry in contract)


def disagreement(plan: tuple[Any, ...], values: Sequence[Any]) -> str | None:
    """What contradicts the contract, if anything does."""
    sizes: dict[str, Any] = {}
    for (name, text, axes), value in zip(plan, values, strict=True):
        known = dict(sizes)
        if not _agree(axes, value, sizes):
            came = list(value.shape) if isinstance(value, torch.Tensor) else "another form"
            before = ", ".join([f"{symbol} = {size}" for symbol, size in known.items()])
            return f"the input `{name}` is {text}, and {came} came" + (
                f" where {before}" if before else ""
            )
    return None


def _plan(type: Type | None) -> Any:
    match type:
        case Tensor():
            shape = type.shape
            row = shape.rest.name if isinstance(shape.rest, RowSymbol) else None
            return (
                "tensor",
                tuple(map(_axis, shape.before)),
                shape.rest is not None,
                row,
                tuple(map(_axis, shape.after)),
            )
        case Listing(items, item):
            inner = None if items is None else tuple(map(_plan, items))
            return ("list", inner, _plan(item))
        case Record(fields):
            return ("record", tuple((name, _plan(inner)) for name, inner in fields))
    return None


def _axis(dim: Dim) -> Axis:
    if isinstance(dim.atom, Symbol):
        return dim.atom.name
    return dim.number


def _agree(plan: Any, value: Any, sizes: dict[str, Any]) -> bool:
    if plan is None or value is None:
        return True
    if plan[0] == "tensor":
        return not isinstance(value, torch.Tensor) or _agree_sizes(plan, value.shape, sizes)
    if plan[0] == "record":
        return all(_agree(inner, part(value, name), sizes) for name, inner in plan[1])
    if not isinstance(value, list | tuple):
        return True
    _, known, item = plan
    return all(
        _agree(known[i] if known is not None and i < len(known) else item, x, sizes)
        for i, x in enumerate(value)
    )


def _agree_sizes(plan: Any, shape: Any, sizes: dict[str, Any]) -> bool:
    _, before, open, row, after = plan
    rank = len(before) + len(after)
    if len(shape) < rank or (len(shape) > rank and not open):
        return False
    middle = tuple(shape[len(before) : len(shape) - len(after)])
    if row is not None and sizes.setdefault(f"*{row}", middle) != middle:
        return False
    ends = (*shape[: len(before)], *shape[len(shape) - len(after) :])
    for axis, size in zip((*before, *after), ends, strict=True):
        wanted = sizes.setdefault(axis, size) if isinstance(axis, str) else axis
        if wanted is not None and wanted != size:
            return False
    return True
