"""Functions that make one tensor of several."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.axes import MIXED, carried, one_axis, regrouped, untracked
from lossdsl.functions.numbers import is_whole
from lossdsl.functions.record import CallSite, function
from lossdsl.types.dims import Dim
from lossdsl.types.kinds import CLASS_KINDS, KINDS, common
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _joint(site: CallSite) -> TensorType:
    """What tensors side by side have in common; the first one's class axis is that of all."""
    tensors = [site.tensor(index) for index in range(len(site.operands))]
    first = tensors[0]
    for index, tensor in enumerate(tensors):
        if site.numbers[index] is not None:
            site.refuse("E402", f"`{site.name}` joins tensors, not numbers", index)
        if KINDS[tensor.kind].integer != KINDS[first.kind].integer:
            site.refuse(
                "E301",
                f"`{site.name}` of `{first.kind}` and `{tensor.kind}`: class indices and values "
                "do not mix",
                index,
            )
        for what in ("format", "range", "ignore"):
            if tensor.kind == first.kind and getattr(tensor, what) != getattr(first, what):
                site.refuse("E307", f"`{site.name}` of {first} and {tensor}", index)
    kind = common([tensor.kind for tensor in tensors])
    if kind in CLASS_KINDS and any(tensor.axis != first.axis for tensor in tensors):
        site.refuse("E306", f"`{site.name}` of different class axes", None)
    return first.of_kind(kind)


def _cat(site: CallSite) -> Type:
    joint = _joint(site)
    shapes = [site.tensor(index).shape for index in range(len(site.operands))]
    known = next((shape for shape in shapes if shape.rank is not None), shapes[0])
    axis = one_axis(site, known, default=0)
    kind = MIXED.get(joint.kind, joint.kind) if axis == joint.axis else joint.kind
    if known.rank is None:
        joint = joint.of_kind(kind).with_shape(site.solver.any_shape())
        return regrouped(joint, (axis,), joint.shape)
    sizes = []
    for index, shape in enumerate(shapes):
        size = site.solver.unknown()
        site.unify(known.replaced(axis, size), shape, index)
        sizes.append(site.solver.dim(size))
    total = sizes[0]
    for size in sizes[1:]:
        total = total + size
    whole = site.solver.shape(known.replaced(axis, total))
    if kind == "unit" and axis == len(known.dims) - 1:
        kind = "embedding"
    return regrouped(joint.of_kind(kind).with_shape(whole), (axis,), whole)


@function("cat", _cat, literals=("over",), keeps=True)
def cat(*xs: Tensor, over: int = 0) -> Tensor:
    """Tensors joined along an axis that they have: `cat(x, y, over=1)`."""
    return torch.cat(xs, dim=over)


def _stack(site: CallSite) -> Type:
    joint = _joint(site)
    first = site.tensor(0).shape
    for index in range(1, len(site.operands)):
        site.unify(first, site.tensor(index).shape, index)
    shape = site.solver.shape(first)
    over = site.literals.get("over", 0)
    room = None if shape.rank is None else shape.rank + 1
    if not is_whole(over):
        site.refuse("E404", "the place of a new axis is a number", "over")
    if room is not None and not -room <= over < room:
        site.refuse("E404", f"{shape} has no place {over} for an axis", "over")
    joint = joint.with_shape(shape)
    if room is None:
        return untracked(site, joint, site.solver.any_shape())
    over %= room
    site.literals["over"] = over
    dims = list(shape.dims)
    dims.insert(over, Dim.of(len(site.operands)))
    sources: list[int | None] = list(range(room - 1))
    sources.insert(over, None)
    return carried(joint, Shape(tuple(dims)), sources)


@function("stack", _stack, literals=("over",), keeps=True)
def stack(*xs: Tensor, over: int = 0) -> Tensor:
    """Tensors of equal shape joined along a new axis, which stands at `over`."""
    return torch.stack(xs, dim=over)
