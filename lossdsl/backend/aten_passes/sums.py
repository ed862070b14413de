"""Sums of everything, in one step where no other sum goes over the same regions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import fx

from lossdsl.backend.aten_passes.patterns import aten, calls, made


def sum_at_once(graph: fx.Graph) -> None:
    """A mean adds up each region first, so that it is one loop with the sums of overlap losses over
    regions. Where there are none, one sum over everything is one loop with the gradient."""
    regions: dict[Any, list[Any]] = defaultdict(list)
    for node in calls(graph):
        if node.target is aten.sum.dim_IntList and len(node.args) == 2 and node.args[1]:
            regions[str(node.args[0].meta["val"].shape), tuple(node.args[1])].append(node)
    for sums in regions.values():
        if all(map(_summed_again, sums)):
            for node in sums:
                (whole,) = node.users
                with graph.inserting_before(whole):
                    once = made(graph, whole, aten.sum.default, node.args[0])
                whole.replace_all_uses_with(once)
    graph.eliminate_dead_code()


def _summed_again(node: Any) -> bool:
    users = list(node.users)
    return len(users) == 1 and users[0].target is aten.sum.default
