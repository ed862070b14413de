"""Shapes with and without a rest, axis by axis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sizes import LAWS, shapes, symbol

from lossdsl.types.dims import ONE
from lossdsl.types.shapes import SCALAR, RowSymbol, RowUnknown, Shape

B, C, H, W = map(symbol, "BCHW")
OPEN = Shape((B, C), RowSymbol("S"), (H, W))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (SCALAR, "[]"),
        (Shape.of(B, C), "[B, C]"),
        (OPEN, "[B, C, *S, H, W]"),
        (Shape((), RowUnknown(7, "R"), ()), "[*R]"),
        (Shape.numbers((2, 3)), "[2, 3]"),
    ],
)
def test_text(shape: Shape, text: str) -> None:
    assert str(shape) == text


def test_rank() -> None:
    assert SCALAR.rank == 0
    assert Shape.of(B, C).rank == 2
    assert OPEN.rank is None
    assert OPEN.least_rank == 4


@pytest.mark.parametrize(("axis", "dim"), [(0, B), (1, C), (2, None), (-1, W), (-2, H), (-3, None)])
def test_axes_around_a_rest(axis: int, dim: object) -> None:
    assert OPEN.axis(axis) == dim


@LAWS
@given(shapes, st.integers(-6, 6))
def test_axes_of_a_known_rank_are_those_of_a_list(shape: Shape, axis: int) -> None:
    dims = list(shape.dims)
    if not -len(dims) <= axis < len(dims):
        assert shape.axis(axis) is None
        return
    assert shape.axis(axis) == dims[axis]
    swapped = [*dims]
    swapped[axis] = ONE
    assert shape.replaced(axis, ONE) == Shape(tuple(swapped))
    del dims[axis]
    assert shape.without(axis) == Shape(tuple(dims))


def test_changes_around_a_rest() -> None:
    rest = RowSymbol("S")
    assert OPEN.without(0) == Shape((C,), rest, (H, W))
    assert OPEN.without(-1) == Shape((B, C), rest, (H,))
    assert OPEN.without(-2) == Shape((B, C), rest, (W,))
    assert OPEN.replaced(1, ONE) == Shape((B, ONE), rest, (H, W))
    assert OPEN.replaced(-2, ONE) == Shape((B, C), rest, (ONE, W))
