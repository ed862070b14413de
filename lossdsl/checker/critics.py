"""Penalties on a network's derivative, called with the network: `r1(D, x)` for `r1(D(x), x)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node
from lossdsl.library.record import CRITIC_POINTS, LossRecord
from lossdsl.syntax import tree

if TYPE_CHECKING:
    from lossdsl.checker.resolve import Resolver


def critic_arguments(
    resolver: Resolver, record: LossRecord, node: tree.Call
) -> tuple[Node, ...] | None:
    """The scores and the points of a call that names the network; None for any other call."""
    if record.critic is None or not node.arguments:
        return None
    first, *rest = node.arguments
    name = first.id if isinstance(first, tree.Name) else None
    network = resolver.network(name) if name is not None else None
    wanted = CRITIC_POINTS[record.critic]
    if network is None:
        if name is not None and len(rest) == len(wanted) and not _has_meaning(resolver, name):
            resolver.refuse(
                "E202",
                f"`{record.name}` takes a network first, and there is none called `{name}`",
                first.span,
                help=f"declare it (`input {name}: module(image[B, 3, H, W]) -> score[B]`), or "
                f"compile with `modules={{'{name}': net}}`",
            )
        return None
    if len(rest) != len(wanted):
        resolver.refuse(
            "E204",
            f"`{record.name}({name}, {', '.join(wanted)})` takes {len(wanted) + 1} arguments, not "
            f"{len(node.arguments)}",
            node.span,
            help=f"what else the network takes is written out: `{record.name}({name}(x, c), x)`",
        )
    resolver.used.add(network)
    points = resolver.all(rest)
    kind = record.critic
    place = points[0] if kind == "at" else resolver.apply(kind, points, node.span)
    scores = resolver.make(nodes.ModuleCall(network, (place,), first.span))
    return scores, place


def _has_meaning(resolver: Resolver, name: str) -> bool:
    declared = resolver.declared
    local = resolver.local is not None and name in resolver.local
    return local or name in resolver.bindings or name in declared.inputs or name in declared.params
