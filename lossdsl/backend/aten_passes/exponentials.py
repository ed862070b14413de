"""A softmax over a few classes from the exponentials that its sum is made of."""

from __future__ import annotations

from typing import Any

from torch import fx

from lossdsl.backend.aten_passes.patterns import aten, calls, made

FEW = 32
"""For so many classes the exponentials are kept. Of a vocabulary they take more memory traffic
than to calculate them again, row by row in the cache."""


def share_exponentials(graph: fx.Graph) -> None:
    """exp(a - log(s)) is exp(a) / s where s is the sum of exp(a) over the classes."""
    for node in calls(graph):
        found = _softmax(node)
        if found is None:
            continue
        exponential, total = found
        with graph.inserting_before(node):
            share = made(graph, total, aten.reciprocal.default, total)
            scaled = made(graph, node, aten.mul.Tensor, exponential, share)
        node.replace_all_uses_with(scaled)
    graph.eliminate_dead_code()


def _softmax(node: Any) -> tuple[Any, Any] | None:
    """The exponentials below a softmax that is written as that of its logarithm, and their sum."""
    if node.target is not aten.exp.default or node.args[0].target is not aten.sub.Tensor:
        return None
    shifted, logarithm = node.args[0].args
    if getattr(logarithm, "target", None) is not aten.log.default:
        return None
    (total,) = logarithm.args
    if total.target is not aten.sum.dim_IntList or total.args[2:] != (True,):
        return None
    if len(total.args[1] or ()) != 1:
        return None
    exponential, (axis,) = total.args[0], total.args[1]
    if exponential.target is not aten.exp.default or exponential.args[0] is not shifted:
        return None
    value = exponential.meta["val"]
    classes = value.shape[axis]
    few = isinstance(classes, int) and classes <= FEW and axis != value.dim() - 1
    return (exponential, total) if few and value.device.type == "cpu" else None
