"""The operators: how kinds behave under arithmetic, comparison and logic.

`1 - prob` is a `prob`, `2*logits` are `logits`, `prob + prob` is just `real`: what a result
means follows from what went in.
"""

from __future__ import annotations

import operator
from typing import Any

import torch

from lossdsl.functions.axes import MIXED
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import (
    broadcast_all,
    elementwise,
    floating,
    in_unit_interval,
    is_mask,
    is_prob,
    keep_details,
    widened,
)
from lossdsl.types.kinds import KINDS, common
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor, Type

Value = Any

_SCORES = ("logits", "class_logits")


def _score(tensors: list[Tensor]) -> str | None:
    """The score kind that survives: of one operand, or of both where they agree."""
    kinds = {t.kind for t in tensors if t.kind in _SCORES}
    others = [t for t in tensors if t.kind not in _SCORES]
    if len(kinds) == 1 and all(t.kind == "real" for t in others):
        return kinds.pop()
    return None


def _sum_kind(site: CallSite, tensors: list[Tensor]) -> str:
    above = [t.kind == "positive" for t in tensors]
    adds = [n is not None and n >= 0 for n in site.numbers]
    if any(above) and all(a or b for a, b in zip(above, adds, strict=True)):
        return "positive"
    return _score(tensors) or "real"


def _difference_kind(site: CallSite, tensors: list[Tensor]) -> str:
    one_minus = site.numbers[0] == 1
    if one_minus and is_mask(tensors[1]):
        return "mask"
    if one_minus and is_prob(tensors[1]):
        return "prob"
    return _score(tensors) or "real"


def _product_kind(site: CallSite, tensors: list[Tensor]) -> str:
    if all(is_mask(t) for t in tensors):
        return "mask"
    if all(is_prob(t) for t in tensors):
        return "prob"
    if all(t.kind == "positive" for t in tensors):
        return "positive"
    for tensor, factor in ((tensors[0], 1), (tensors[1], 0)):
        scalar = tensors[factor].shape.rank == 0
        if is_prob(tensor) and in_unit_interval(site.numbers[factor]):
            return "prob"
        if tensor.kind in _SCORES and scalar:
            return tensor.kind
        if tensor.kind == "positive" and (site.numbers[factor] or 0) > 0:
            return "positive"
    return "real"


def _quotient_kind(site: CallSite, tensors: list[Tensor]) -> str:
    if tensors[0].kind in _SCORES and tensors[1].shape.rank == 0:
        return tensors[0].kind
    if all(t.kind == "positive" for t in tensors):
        return "positive"
    return "real"


def _negated_kind(site: CallSite, tensors: list[Tensor]) -> str:
    return tensors[0].kind if tensors[0].kind in _SCORES else "real"


@function("+", elementwise(_sum_kind), keeps=True)
def add(x: Value, y: Value) -> Value:
    """Sum, element by element."""
    return operator.add(x, y)


@function("-", elementwise(_difference_kind), keeps=True)
def sub(x: Value, y: Value) -> Value:
    """Difference, element by element."""
    return operator.sub(x, y)


@function("*", elementwise(_product_kind), keeps=True)
def mul(x: Value, y: Value) -> Value:
    """Product, element by element."""
    return operator.mul(x, y)


@function("/", elementwise(_quotient_kind), keeps=True)
def truediv(x: Value, y: Value) -> Value:
    """Quotient, element by element."""
    return operator.truediv(x, y)


@function("**", elementwise())
def power(x: Value, y: Value) -> Value:
    """Power, element by element."""
    return operator.pow(x, y)


@function("neg", elementwise(_negated_kind), keeps=True)
def neg(x: Value) -> Value:
    """The value with the other sign."""
    return operator.neg(x)


def _comparable(site: CallSite) -> Type:
    """Comparisons take anything of numbers, class indices too, and give a mask."""
    tensors = [site.tensor(index) for index in range(2)]
    integers = [KINDS[t.kind].integer for t in tensors]
    for index in (0, 1):
        other = tensors[1 - index]
        if integers[index] and not integers[1 - index] and other.shape.rank != 0:
            site.refuse(
                "E301",
                f"`{tensors[index].kind}` are compared with `{other.kind}`",
                index,
                "compare class indices with class indices or with a number",
            )
    return Tensor("mask", broadcast_all(site, tensors))


def _mask_of(result: Value, x: Value, y: Value) -> Value:
    """Comparisons give 0.0 and 1.0, so that masks calculate like any other tensor."""
    if not isinstance(result, torch.Tensor):
        return float(result)
    for value in (x, y):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return result.to(value.dtype)
    return result.to(torch.get_default_dtype())


@function("<", _comparable)
def less(x: Value, y: Value) -> Value:
    """1 where x < y."""
    return _mask_of(operator.lt(x, y), x, y)


@function("<=", _comparable)
def less_equal(x: Value, y: Value) -> Value:
    """1 where x <= y."""
    return _mask_of(operator.le(x, y), x, y)


@function(">", _comparable)
def greater(x: Value, y: Value) -> Value:
    """1 where x > y."""
    return _mask_of(operator.gt(x, y), x, y)


@function(">=", _comparable)
def greater_equal(x: Value, y: Value) -> Value:
    """1 where x >= y."""
    return _mask_of(operator.ge(x, y), x, y)


@function("==", _comparable)
def equal(x: Value, y: Value) -> Value:
    """1 where x equals y."""
    return _mask_of(operator.eq(x, y), x, y)


@function("!=", _comparable)
def not_equal(x: Value, y: Value) -> Value:
    """1 where x differs from y."""
    return _mask_of(operator.ne(x, y), x, y)


def _logical(site: CallSite) -> Type:
    tensors = [floating(site, index) for index in range(len(site.operands))]
    for index, tensor in enumerate(tensors):
        if not is_mask(tensor):
            site.refuse(
                "E301",
                f"`{site.name}` combines masks, and this is `{tensor.kind}`",
                index,
                "compare it first: `x > 0.5`",
            )
    return Tensor("mask", broadcast_all(site, tensors))


@function("and", _logical, prefers=("mask",))
def logical_and(x: Value, y: Value) -> Value:
    """1 where both masks are 1."""
    return x * y


@function("or", _logical, prefers=("mask",))
def logical_or(x: Value, y: Value) -> Value:
    """1 where one of the masks is 1."""
    return x + y - x * y


@function("not", _logical, prefers=("mask",))
def logical_not(x: Value) -> Value:
    """1 where the mask is 0."""
    return 1 - x


def matrix_product(site: CallSite) -> Type:
    """Products of matrices and vectors; leading axes are equal and are batched over."""
    left, right = floating(site, 0), floating(site, 1)
    for index, tensor in enumerate((left, right)):
        if tensor.shape.rank == 0:
            site.refuse("E402", "`@` multiplies matrices and vectors", index, "write `*`")
    inner = site.solver.unknown("k")
    if left.shape.rank is None or right.shape.rank is None:
        return Tensor("real", site.solver.any_shape())
    rows, columns = left.shape.dims, right.shape.dims
    lead = rows[:-2]
    site.unify(Shape((*rows[:-1], inner)), left.shape)
    other = columns[-2] if len(columns) > 1 else columns[-1]
    if not site.solver.unify(inner, other):
        site.refuse(
            "E401",
            f"`@` of {left.shape} and {right.shape}: {rows[-1]} columns meet {other} rows",
            help="transpose one of them: `transpose(x)`",
        )
    if len(columns) > 2 and len(rows) > 2:
        site.unify(Shape(lead), Shape(columns[:-2]))
    elif len(columns) > 2 or len(rows) > 2:
        lead = columns[:-2] if len(columns) > 2 else lead
    tail = (rows[-2:-1] if len(rows) > 1 else ()) + (columns[-1:] if len(columns) > 1 else ())
    return Tensor("real", Shape((*lead, *tail)))


@function("@", matrix_product)
def matmul(x: Value, y: Value) -> Value:
    """Matrix product; of single and double precision in double."""
    return operator.matmul(*promoted(x, y))


def promoted(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """The tensors in one precision, which products of axes need and element-wise ones find."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]


def _where(site: CallSite) -> Type:
    condition = site.tensor(0)
    if not is_mask(condition) and site.numbers[0] is None:
        site.refuse(
            "E301",
            f"the condition is a mask, and this is `{condition.kind}`",
            0,
            "compare it first: `x > 0`",
        )
    left, right = site.tensor(1), site.tensor(2)
    shape = broadcast_all(site, [condition, left, right])
    for tensor, other in ((left, 2), (right, 1)):
        value = site.numbers[other]
        if value is not None and site.numbers[3 - other] is None:
            return tensor.of_kind(_kind_with(site, tensor, value, other)).with_shape(shape)
    if KINDS[left.kind].integer != KINDS[right.kind].integer:
        site.refuse(
            "E301", f"`where` of `{left.kind}` and `{right.kind}`: class indices are not values", 2
        )
    kind = common([left.kind, right.kind])
    whole = left.axis is not None and left.axis == right.axis and _constant(condition, left.axis)
    if not whole:
        kind = MIXED.get(kind, kind)
    return keep_details(kind, shape, [left, right])


def _constant(condition: Tensor, axis: int) -> bool:
    """Whether the condition is the same for all entries of an axis."""
    size = condition.shape.axis(axis)
    return condition.shape.rank == 0 or (size is not None and size.number == 1)


def _kind_with(site: CallSite, tensor: Tensor, value: float, argument: int) -> str:
    """The kind of a tensor of which some elements are replaced by a number."""
    if not KINDS[tensor.kind].integer:
        return widened(tensor.kind, value)
    if value != int(value):
        site.refuse("E301", f"{value:g} is no value of `{tensor.kind}`", argument)
    return tensor.kind


@function("where", _where, keeps=True)
def where(condition: Value, x: Value, y: Value) -> Value:
    """`x` where the condition is 1, else `y`."""
    if not isinstance(x, torch.Tensor) and not isinstance(y, torch.Tensor):
        # Two numbers have the condition's precision, not the default one.
        x = torch.full((), x, dtype=condition.dtype, device=condition.device)
    return torch.where(condition != 0, x, y)
