"""Class indices as floats, for the comparison of each position's class with all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from lossdsl.backend.aten_passes.patterns import aten, calls, counts, made, stored

EXACT = 2**24
"""Up to here float32 has every whole number."""


def labels_as_floats(graph: fx.Graph) -> None:
    """Compare classes in float32, and keep what is found out about labels in it.

    A vector register holds half as many int64 as floats, a comparison of them has to be widened
    for what it selects, and all that would be done again for each class.
    """
    compared = [node for node in calls(graph) if _compares_classes(node)]
    if not compared:
        return
    with_labels = {operand for node in compared for operand in node.args}
    for node in compared:
        with graph.inserting_before(node):
            sides = [stored(graph, _converted(graph, operand)) for operand in node.args]
        node.args = tuple(sides)
    for node in calls(graph):
        if _is_conversion(node) and node not in with_labels and _of_comparison(node.args[0]):
            _keep(graph, node)


def _compares_classes(node: Any) -> bool:
    if node.target is not aten.eq.Tensor:
        return False
    values = [operand.meta["val"] for operand in node.args]
    if any(v.dtype != torch.int64 or v.device.type != "cpu" for v in values):
        return False
    return any(
        isinstance(size, int) and size < EXACT and counts(operand, axis - value.dim())
        for operand, value in zip(node.args, values, strict=True)
        for axis, size in enumerate(value.shape)
    )


def _is_conversion(node: Any) -> bool:
    if node.target is not torch.ops.prims.convert_element_type.default:
        return False
    return bool(node.args[1] == torch.float32)


def _of_comparison(node: Any) -> bool:
    """Whether a label is compared with a number, such as the one that is ignored."""
    if node.target not in (aten.ne.Scalar, aten.eq.Scalar):
        return False
    value = node.args[0].meta["val"]
    return bool(value.dtype == torch.int64 and value.device.type == "cpu")


def _converted(graph: fx.Graph, node: Any) -> Any:
    convert = torch.ops.prims.convert_element_type.default
    result = made(graph, node, convert, node, torch.float32)
    result.meta["val"] = node.meta["val"].to(torch.float32)
    return result


def _keep(graph: fx.Graph, node: Any) -> None:
    with graph.inserting_after(node):
        kept = stored(graph, node)
    node.replace_all_uses_with(kept, delete_user_cb=lambda user: user is not kept)
