"""Sizes that a loss's parameters decide: the least that a window needs, the length of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lossdsl.checker import nodes
from lossdsl.library.record import Overload
from lossdsl.source import Span
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.signature import Instance

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


def check_least(
    typing: Typing, node: nodes.LossCall, instance: Instance, parameters: Mapping[str, Any]
) -> None:
    """Refuse sizes below the least that the formula can take (a window, a scale)."""
    if node.record.least is None:
        return
    for name, least in node.record.least(parameters).items():
        dim = instance.reader.names.get(name)
        size = None if dim is None else typing.solver.valued(typing.solver.dim(dim)).number
        if size is not None and size < least:
            typing.refuse(
                "E401",
                f"`{node.name}` needs {name} of at least {least}, and here it is {size}",
                _first(node),
                help="use a smaller window or fewer scales, or leave the term out for small inputs",
            )


def check_lengths(
    typing: Typing,
    node: nodes.LossCall,
    overload: Overload,
    instance: Instance,
    parameters: Mapping[str, Any],
) -> None:
    """A list has one number for each entry of an axis."""
    for name, parameter in overload.lengths.items():
        given, dim = parameters.get(parameter), instance.reader.names.get(name)
        if not isinstance(given, list | tuple) or dim is None:
            continue
        size = typing.solver.valued(typing.solver.dim(dim))
        # Against a symbol only the call can judge a list that has a length of its own.
        if isinstance(size.atom, Symbol) or typing.solver.unify(size, Dim.of(len(given))):
            continue
        count = len(given)
        typing.refuse(
            "E401",
            f"`{parameter}` of `{node.name}` has {count} numbers, and the axis {name} of "
            f"`{_first(node).text}` has {size} entries",
            node.places[parameter],
            labels=[(_first(node), f"{size} along the axis {name}")],
            help=f"give {size} numbers, or {count} entries",
        )


def _first(node: nodes.LossCall) -> Span:
    return next(argument for argument in node.arguments if argument is not None).span
