"""Random shapes, class axes and arguments: what moving axes does to a class kind.

The check is by value: class probabilities sum to 1 over the class axis and nowhere else, so a
rule that loses the axis, or that still promises one that is gone, is found out.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from calling import call, holds, record, sample
from hypothesis import given, settings
from hypothesis import strategies as st

import lossdsl
from lossdsl.functions.record import Refused
from lossdsl.types.kinds import CLASS_KINDS
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor

LAWS = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def types(draw: st.DrawFn, *kinds: str, least: int = 1) -> Tensor:
    """A tensor of a kind that speaks of more than single elements."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=least, max_size=4))
    kind = draw(st.sampled_from(kinds or ("class_prob", "class_log_prob", "one_hot", "unit")))
    axis = draw(st.integers(0, len(sizes) - 1)) if kind in CLASS_KINDS else None
    return Tensor(kind, Shape.numbers(tuple(sizes)), axis)


def axes(draw: st.DrawFn, rank: int) -> int:
    return draw(st.integers(-rank, rank - 1))


def check(name: str, operands: list[Tensor], **literals: Any) -> Tensor:
    """The rule against the tensor: shape and kind. Gives the type."""
    outcome = call(name, *operands, **literals)
    generator = torch.Generator().manual_seed(0)
    tensors = []
    for type in operands:
        sizes = tuple(dim.number or 0 for dim in type.shape.dims)
        tensors.append(sample(type, sizes, generator))
    value = record(name).run(*tensors, **outcome.literals)
    assert outcome.tensor.shape == Shape.numbers(tuple(value.shape))
    assert holds(outcome.tensor, value)
    return outcome.tensor


@LAWS
@given(st.data())
def test_a_permutation_keeps_class_kinds(data: st.DataObject) -> None:
    type = data.draw(types("class_prob", "class_log_prob", "one_hot"))
    rank = len(type.shape.dims)
    order = data.draw(st.permutations(range(rank)))
    signs = data.draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
    given_axes = tuple(a - rank if back else a for a, back in zip(order, signs, strict=True))
    result = check("permute", [type], axes=given_axes)
    assert result.kind == type.kind
    assert result.axis == order.index(type.axis)
    a, b = axes(data.draw, rank), axes(data.draw, rank)
    for name, literals in (
        ("movedim", {"source": a, "destination": b}),
        ("transpose", {"a": a, "b": b}),
    ):
        assert rank < 2 or check(name, [type], **literals).kind == type.kind


@LAWS
@given(st.data())
def test_two_permutations_are_one(data: st.DataObject) -> None:
    type = data.draw(types("class_prob"))
    order = data.draw(st.permutations(range(len(type.shape.dims))))
    back = tuple(order.index(axis) for axis in range(len(order)))
    there = call("permute", type, axes=tuple(order)).tensor
    assert call("permute", there, axes=back).tensor == type


@LAWS
@given(st.data())
def test_another_order_keeps_class_kinds(data: st.DataObject) -> None:
    type = data.draw(types("class_prob", "class_log_prob", "one_hot", "unit"))
    axis = axes(data.draw, len(type.shape.dims))
    assert check("flip", [type], over=axis) == type
    assert check("roll", [type], shift=data.draw(st.integers(-5, 5)), over=axis) == type


@LAWS
@given(st.data())
def test_flattening(data: st.DataObject) -> None:
    type = data.draw(types())
    rank = len(type.shape.dims)
    start = data.draw(st.integers(0, rank - 1))
    end = data.draw(st.integers(start, rank - 1))
    result = check("flatten", [type], start=start, end=end)
    if start == end:
        assert result == type
    elif type.axis is not None and not start <= type.axis <= end:
        assert result.kind == type.kind
    elif type.axis is not None:
        assert result.kind not in CLASS_KINDS


@LAWS
@given(st.data())
def test_reshaping(data: st.DataObject) -> None:
    """To any factors of the number of elements, and to -1 for one of them."""
    type = data.draw(types())
    left = 1
    for dim in type.shape.dims:
        left *= dim.number or 0
    target: list[int] = []
    while left > 1:
        factor = data.draw(st.sampled_from([f for f in range(2, left + 1) if left % f == 0]))
        target.append(factor)
        left //= factor
    exact = check("reshape", [type], shape=tuple(target))
    hole = data.draw(st.integers(0, len(target) - 1))
    target[hole] = -1
    assert check("reshape", [type], shape=tuple(target)) == exact


@LAWS
@given(st.data())
def test_reshaping_merges_and_splits_around_the_class_axis(data: st.DataObject) -> None:
    type = data.draw(types("class_prob", least=3))
    sizes = [dim.number or 0 for dim in type.shape.dims]
    assert type.axis is not None
    before, classes, after = sizes[: type.axis], sizes[type.axis], sizes[type.axis + 1 :]
    count = 1
    for size in before:
        count *= size
    result = check("reshape", [type], shape=(count, classes, *after))
    assert (result.kind, result.axis) == ("class_prob", 1)
    result = check("reshape", [type], shape=(*before, 1, classes, -1))
    assert result.kind == "class_prob"


@LAWS
@given(st.data())
def test_joining(data: st.DataObject) -> None:
    type = data.draw(types())
    rank = len(type.shape.dims)
    axis = axes(data.draw, rank)
    count = data.draw(st.integers(1, 3))
    joined = check("cat", [type] * count, over=axis)
    if axis % rank != (rank - 1 if type.axis is None else type.axis):
        assert joined.kind == type.kind
    place = data.draw(st.integers(-rank - 1, rank))
    stacked = check("stack", [type] * count, over=place)
    assert stacked.kind == type.kind or type.kind == "unit"


@LAWS
@given(st.data())
def test_padding(data: st.DataObject) -> None:
    type = data.draw(types("class_prob", "one_hot", "unit", "prob", "mask", "positive", "log_prob"))
    axis = axes(data.draw, len(type.shape.dims))
    value = data.draw(st.sampled_from([0, 1, 0.5, -2, 2]))
    before, after = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))
    check("pad", [type], over=axis, before=before, after=after, value=value)


@LAWS
@given(st.data())
def test_picking(data: st.DataObject) -> None:
    type = data.draw(types("class_prob", "class_log_prob", "one_hot", "unit", "prob", "mask"))
    rank = len(type.shape.dims)
    axis = axes(data.draw, rank)
    check("sort", [type], over=axis, descending=data.draw(st.booleans()))
    check("topk", [type], over=axis, k=data.draw(st.integers(1, 2)))
    index = Tensor("labels", type.shape.without(axis % rank))
    check("gather", [type, index], over=axis)
    check("gather", [type, dataclasses.replace(index, shape=type.shape)], over=axis)


@LAWS
@given(st.data())
def test_space(data: st.DataObject) -> None:
    type = data.draw(
        types("class_prob", "class_log_prob", "one_hot", "prob", "mask", "unit", least=3)
    )
    size = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=1)))
    size *= len(type.shape.dims) - 2
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("interpolate", {"size": size}),
        ("interpolate", {"size": size, "mode": "nearest"}),
        ("interpolate", {"size": size, "mode": "linear"}),
        ("avg_pool", {"size": 2, "stride": data.draw(st.integers(1, 3))}),
        ("gaussian_blur", {"sigma": 1.0, "window": 3}),
    )
    for name, literals in calls:
        if type.axis is not None and type.axis > 1:
            with pytest.raises(Refused, match="would mix the classes"):
                call(name, type, **literals)
        else:
            check(name, [type], **literals)


def letters(shape: tuple[int, ...]) -> str:
    return "".join("abcd"[size - 1] for size in shape)


@LAWS
@given(st.data())
def test_einsum_of_random_equations(data: st.DataObject) -> None:
    """A letter stands for a size here, so any two shapes agree."""
    shapes = [
        tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    used = sorted({size for shape in shapes for size in shape})
    kept = data.draw(st.lists(st.sampled_from(used), unique=True))
    equation = f"{','.join(map(letters, shapes))}->{letters(tuple(kept))}"
    operands = [Tensor("real", Shape.numbers(shape)) for shape in shapes]
    assert check("einsum", operands, equation=equation).shape == Shape.numbers(tuple(kept))


@LAWS
@given(st.data())
def test_matrix_products(data: st.DataObject) -> None:
    n, k, m = (data.draw(st.integers(1, 4)) for _ in range(3))
    lead = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    left = data.draw(st.sampled_from([(k,), (n, k), (*lead, n, k)]))
    right = data.draw(st.sampled_from([(k,), (k, m), (*lead, k, m)]))
    check("@", [Tensor("real", Shape.numbers(left)), Tensor("real", Shape.numbers(right))])


def test_whole_numbers_that_are_resampled_stay_whole() -> None:
    inputs = {"b": "real[B, C, H, W]"}
    with pytest.raises(lossdsl.LossTypeError, match="`count` are not values"):
        lossdsl.compile("mean(interpolate(arange(b, over=2), like=b))", inputs=inputs)
    text = "mean(real(interpolate(arange(b, over=2), like=b)))"
    loss = lossdsl.compile(text, inputs=inputs, backend="eager")
    assert loss(torch.zeros(2, 3, 4, 5)).item() == 1.5
