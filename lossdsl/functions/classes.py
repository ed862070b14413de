"""Functions along the class axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.axes import one_axis, whole_number
from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, Rule, axis_of, function
from lossdsl.functions.rules import drop, floating
from lossdsl.types.dims import Dim
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def class_axis(site: CallSite, tensor: TensorType) -> int:
    """The axis that the function works along: `over=`, the type's class axis, or axis 1."""
    if site.literals.get("over") is not None:
        return one_axis(site, tensor.shape)
    if tensor.axis is not None:
        return axis_of(site, tensor.shape, tensor.axis)
    if tensor.shape.rank == 1:
        site.refuse(
            "E306",
            f"`{site.name}` works along the classes, and {tensor.shape} has one axis: that may be "
            "the batch",
            0,
            "say that it holds the classes: `over=0`",
        )
    return axis_of(site, tensor.shape, 1)


def _along(x: Tensor, axis: int) -> int:
    """The axis; of a vector, which may come where axis 1 was expected, its only one."""
    return min(axis, x.dim() - 1)


def _softmax(kind: str) -> Rule:
    def rule(site: CallSite) -> Type:
        tensor = floating(site, 0)
        if tensor.kind not in ("real", "class_logits"):
            already = tensor.kind in ("prob", "class_prob", "class_log_prob", "one_hot")
            site.refuse(
                "E303" if already else "E301",
                f"`{site.name}` takes class scores, and this is already `{tensor.kind}`"
                if already
                else f"`{site.name}` takes `class_logits`, and this is `{tensor.kind}`",
                0,
                drop(site, "class_logits")
                if already
                else "`sigmoid` is the activation of element-wise logits"
                if tensor.kind == "logits"
                else None,
            )
        axis = class_axis(site, tensor)
        size = tensor.shape.axis(axis)
        if size is not None and size.number == 1:
            site.refuse(
                "E304",
                f"`{site.name}` over one class is constant",
                0,
                "one score an element is `logits`: use `sigmoid`, or a loss that takes logits",
            )
        site.literals["over"] = axis
        return TensorType(kind, tensor.shape, axis)

    return rule


@function(
    "softmax",
    _softmax("class_prob"),
    literals=("over",),
    prefers=("class_logits",),
    latex=r"\operatorname{softmax}",
)
def softmax(x: Tensor, over: Any = None) -> Tensor:
    """Class scores to probabilities that sum to 1 over the class axis (or the axis `over`)."""
    return torch.softmax(x, dim=_along(x, over))


@function(
    "log_softmax",
    _softmax("class_log_prob"),
    literals=("over",),
    prefers=("class_logits",),
    latex=r"\log\operatorname{softmax}",
)
def log_softmax(x: Tensor, over: Any = None) -> Tensor:
    """log(softmax(x)), finite for every x."""
    return torch.log_softmax(x, dim=_along(x, over))


def _argmax(site: CallSite) -> Type:
    tensor = floating(site, 0)
    axis = class_axis(site, tensor)
    site.literals["over"] = axis
    if tensor.shape.axis(axis) is None:
        return TensorType("labels", site.solver.any_shape())
    return TensorType("labels", tensor.shape.without(axis))


@function("argmax", _argmax, literals=("over",), prefers=("class_logits",))
def argmax(x: Tensor, over: Any = None) -> Tensor:
    """Index of the largest value along the class axis. Without gradient."""
    return torch.argmax(x, dim=_along(x, over))


def _count_of_classes(site: CallSite) -> Dim:
    """A number, or a size by name: then the number is an operand."""
    if isinstance(site.literals["classes"], Dim):
        named: Dim = site.literals.pop("classes")
        return named
    return Dim.of(whole_number(site, "classes", None, 1))


def _one_hot(site: CallSite) -> Type:
    tensor = site.tensor(0)
    if tensor.kind not in ("labels", "count"):
        site.refuse("E301", f"`one_hot` takes `labels`, and this is `{tensor.kind}`", 0)
    size = _count_of_classes(site)
    shape = tensor.shape
    axis = min(1, shape.rank) if shape.rank is not None else 1
    if not shape.before and shape.rest is not None:
        return TensorType("one_hot", site.solver.any_shape(), 1)
    return TensorType(
        "one_hot",
        Shape((*shape.before[:axis], size, *shape.before[axis:]), shape.rest, shape.after),
        axis,
    )


@function("one_hot", _one_hot, literals=("classes",), prefers=("labels",))
def one_hot(y: Tensor, classes: int) -> Tensor:
    """Class indices as 0/1 per class, the class axis at 1; an index outside gives zeros."""
    axis = min(1, y.dim())
    numbers = torch.arange(classes, device=y.device)
    shape = [1] * (y.dim() + 1)
    shape[axis] = classes
    return (y.unsqueeze(axis) == numbers.view(shape)).to(torch.get_default_dtype())


def _normalize(site: CallSite) -> Type:
    tensor = floating(site, 0)
    axis = _vector_axis(site, tensor)
    last = axis in (-1, (tensor.shape.rank or 0) - 1)
    return TensorType("unit" if last else "real", tensor.shape)


def _vector_axis(site: CallSite, tensor: TensorType) -> int:
    """The axis of the vectors: `over=`, or the last."""
    if site.literals.get("over") is None:
        site.literals["over"] = -1
    return one_axis(site, tensor.shape)


@function("normalize", _normalize, literals=("over",), prefers=("embedding", "real"))
def normalize(x: Tensor, over: int = -1) -> Tensor:
    """The vector divided by its length; a zero vector stays zero, with a finite gradient."""
    return unit_vectors(x, over)


def unit_vectors(x: Tensor, over: int = -1) -> Tensor:
    """Vectors of length 1 along an axis. Below 1e-12 the length is taken as 1e-12."""
    exact = wide(x)
    square = (exact * exact).sum(dim=over, keepdim=True)
    return (exact * torch.rsqrt(square.clamp_min(1e-24))).to(x.dtype)


def _cosine(site: CallSite) -> Type:
    left, right = floating(site, 0), floating(site, 1)
    site.unify(left.shape, right.shape)
    shape = site.solver.shape(left.shape)
    axis = _vector_axis(site, left.with_shape(shape))
    if shape.axis(axis) is None:
        return TensorType("real", site.solver.any_shape())
    return TensorType("real", shape.without(axis))


@function("cosine_similarity", _cosine, literals=("over",), prefers=("embedding", "real"))
def cosine_similarity(x: Tensor, y: Tensor, over: int = -1) -> Tensor:
    """Cosine of the angle between vectors along the last axis (or `over`), in [-1, 1]."""
    return (unit_vectors(x, over) * unit_vectors(y, over)).sum(dim=over)
