"""Type rules that many functions share."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from lossdsl.functions.record import CallSite, Rule
from lossdsl.types.broadcast import broadcast
from lossdsl.types.kinds import CLASS_KINDS, KINDS, common, is_sub
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Mismatch
from lossdsl.types.values import NUMBER, Tensor, Type

_SCALES = frozenset({"*", "/", "**"})
"""Operators that make one value the measure of another."""

KindRule = Callable[[CallSite, list[Tensor]], str]


def floating(site: CallSite, index: int) -> Tensor:
    """An operand that arithmetic may touch: not class indices."""
    tensor = site.tensor(index)
    if KINDS[tensor.kind].integer:
        site.refuse(
            "E301",
            f"`{site.name}` calculates with values, and `{tensor.kind}` are not values",
            index,
            f"compare them, index with them, or say that you mean it: `real({site.texts[index]})`",
        )
    return tensor


def _one_form(site: CallSite, tensors: list[Tensor]) -> None:
    """Refuse two box formats or image ranges: their numbers do not mean the same."""
    for kind in ("boxes", "image"):
        alike = [(index, tensor) for index, tensor in enumerate(tensors) if tensor.kind == kind]
        for index, tensor in alike[1:]:
            first = alike[0][1]
            if (tensor.format, tensor.range) != (first.format, first.range):
                site.refuse(
                    "E307",
                    f"`{site.name}` of {first} and {tensor}",
                    index,
                    "bring them to one format or range where they are made, or say that you mean "
                    f"the numbers: `real({site.texts[index]})`",
                )


def broadcast_all(site: CallSite, tensors: list[Tensor]) -> Shape:
    """The common shape of element-wise operands."""
    if site.name not in _SCALES:
        _one_form(site, tensors)

    def merge(left: Shape, right: Shape) -> Shape:
        merged = broadcast(site.solver, left, right)
        if isinstance(merged, Mismatch):
            left, right = site.solver.told(left), site.solver.told(right)
            if merged.what == "rank":
                site.refuse(
                    "E403",
                    f"`{site.name}` of {left} and {right}: axes are not added silently",
                    None,
                    _make_axes_equal(left, right),
                )
            site.refuse(
                "E401",
                f"`{site.name}` of {left} and {right}: the sizes differ",
                None,
                "only axes of size 1 are repeated: `keepdim=true` on a reduction makes them",
            )
        return merged

    return reduce(merge, (tensor.shape for tensor in tensors))


def _make_axes_equal(left: Shape, right: Shape) -> str:
    short, long = sorted((left, right), key=lambda shape: shape.least_rank)
    if len(long.dims) == len(short.dims) + 1:
        if long.dims[-1].number == 1 and long.dims[:-1] == short.dims:
            return (
                f"index the last axis away (`x[..., 0]` is {short}) or add one to the other "
                f"(`x[..., none]` is {long})"
            )
        return "add the missing axis where it belongs: `x[:, none]`, `x[..., none]`"
    return "make the number of axes equal: `x[:, none]` adds an axis, `x[:, 0]` removes one"


def elementwise(kind: KindRule | str = "real") -> Rule:
    """One value out for each in, operands broadcast; the kind by a rule or always the same."""

    def rule(site: CallSite) -> Type:
        tensors = [floating(site, index) for index in range(len(site.operands))]
        shape = broadcast_all(site, tensors)
        name = kind if isinstance(kind, str) else kind(site, tensors)
        return keep_details(name, shape, tensors)

    return rule


def keep_details(kind: str, shape: Shape, tensors: list[Tensor]) -> Tensor:
    """A tensor of this kind; class axis and ranges come from the operand that has them."""
    for tensor in tensors:
        if tensor.kind == kind or (
            kind in CLASS_KINDS and tensor.kind in CLASS_KINDS and tensor.axis is not None
        ):
            return tensor.of_kind(kind).with_shape(shape)
    axis = next((t.axis for t in tensors if t.axis is not None), None)
    return Tensor(kind, shape, axis if kind in CLASS_KINDS else None)


def same(site: CallSite) -> Type:
    """The result is what the first operand is."""
    return site.tensor(0)


def same_kind(site: CallSite, tensors: list[Tensor]) -> str:
    """The closest kind of all operands that are not plain numbers."""
    kinds = [t.kind for t, n in zip(tensors, site.numbers, strict=True) if n is None]
    return common(kinds) if kinds else "real"


def number(site: CallSite) -> Type:
    """A schedule or a size: one number, made of numbers."""
    for index in range(len(site.operands)):
        if site.tensor(index).shape.rank != 0:
            site.refuse("E402", f"`{site.name}` takes numbers", index)
    return NUMBER


def in_unit_interval(value: float | int | None) -> bool:
    return value is not None and 0 <= value <= 1


def admits(kind: str, value: float) -> bool:
    """Whether a number may be a value of this kind."""
    bounds = KINDS[kind].number
    if bounds is None:
        return False
    return value in bounds if KINDS[kind].only_ends else bounds[0] <= value <= bounds[1]


def widened(kind: str, value: float) -> str:
    """The closest kind that both the values of `kind` and the number are of."""
    queue = [kind]
    while queue:
        candidate = queue.pop(0)
        if admits(candidate, value):
            return candidate
        queue += KINDS[candidate].parents
    return "real"


def is_mask(tensor: Tensor) -> bool:
    return is_sub(tensor.kind, "mask")


def is_prob(tensor: Tensor) -> bool:
    return is_sub(tensor.kind, "prob")


_ACTIVATIONS = frozenset({"sigmoid", "logsigmoid", "softmax", "log_softmax"})


def drop(site: CallSite, scores: str) -> str:
    """The way out of an activation of what has one already."""
    text = site.texts[0]
    inner = text.partition("(")[0]
    if inner == site.name:
        return f"drop one `{site.name}`"
    if inner in _ACTIVATIONS:
        return f"keep one of the two, `{site.name}` or `{inner}`"
    way = f"leave `{site.name}` out"
    return f"{way}, or declare `{text}` as `{scores}`" if text.isidentifier() else way
