"""Broadcasting: scalars, equal shapes and explicit axes of size 1, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sizes import LAWS, shapes, symbol

from lossdsl.types.broadcast import broadcast
from lossdsl.types.dims import ONE, Dim
from lossdsl.types.shapes import SCALAR, Shape
from lossdsl.types.solve import Mismatch, Solver

B, C, H = map(symbol, "BCH")


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (SCALAR, SCALAR, SCALAR),
        (SCALAR, Shape.of(B, C), Shape.of(B, C)),
        (Shape.of(B, C), Shape.of(B, C), Shape.of(B, C)),
        (Shape.of(B, ONE), Shape.of(ONE, C), Shape.of(B, C)),
        (Shape.of(B, C), Shape.of(B, ONE), Shape.of(B, C)),
        (Shape.of(B, C // 2), Shape.of(B, C // 2), Shape.of(B, C // 2)),
        (Shape.of(B, C // 2), Shape.of(B, H), Shape.of(B, H)),
        (Shape.of(B), Shape.of(C), "size"),
        (Shape.of(B), Shape.of(Dim.of(2)), "size"),
        (Shape.of(B, C), Shape.of(C), "rank"),
        (Shape.of(B, ONE), Shape.of(B), "rank"),
        (Shape.of(ONE), Shape.of(B, C), "rank"),
    ],
)
def test_table(left: Shape, right: Shape, result: Shape | str) -> None:
    for pair in ((left, right), (right, left)):
        found = broadcast(Solver(), *pair)
        assert (found.what if isinstance(found, Mismatch) else found) == result


@LAWS
@given(st.lists(st.integers(1, 3), max_size=3), st.lists(st.integers(1, 3), max_size=3))
def test_it_is_numpy_s_for_equal_ranks(left: list[int], right: list[int]) -> None:
    found = broadcast(Solver(), Shape.numbers(tuple(left)), Shape.numbers(tuple(right)))
    if len(left) != len(right):
        scalar = not left or not right
        assert isinstance(found, Mismatch) is not scalar
        return
    try:
        expected = np.broadcast_shapes(tuple(left), tuple(right))
    except ValueError:
        assert isinstance(found, Mismatch)
    else:
        assert found == Shape.numbers(expected)


@LAWS
@given(shapes, shapes)
def test_the_order_does_not_matter(left: Shape, right: Shape) -> None:
    there, back = broadcast(Solver(), left, right), broadcast(Solver(), right, left)
    assert isinstance(there, Mismatch) is isinstance(back, Mismatch)
    assert isinstance(there, Mismatch) or there == back


@LAWS
@given(shapes)
def test_a_shape_with_itself_is_itself(shape: Shape) -> None:
    assert broadcast(Solver(), shape, shape) == shape


def test_a_symbol_is_not_repeated_though_it_may_be_1_at_the_call() -> None:
    solver = Solver()
    assert isinstance(broadcast(solver, Shape.of(B), Shape.of(C)), Mismatch)


def test_an_open_operand_leaves_a_rigid_shape_as_it_is() -> None:
    solver = Solver()
    assert broadcast(solver, solver.any_shape(), Shape.of(B, C)) == Shape.of(B, C)
    result = broadcast(solver, Shape.of(B, ONE), solver.any_shape())
    assert isinstance(result, Shape)
    assert result.rank is None


def test_an_unknown_size_is_not_assumed_to_be_equal() -> None:
    """It may be 1, so the other size wins; of two unknown ones neither is known to."""
    solver = Solver()
    n, m = solver.unknown(), solver.unknown()
    assert broadcast(solver, Shape.of(n), Shape.of(B)) == Shape.of(B)
    assert solver.dim(n) == n
    found = broadcast(solver, Shape.of(n), Shape.of(m))
    assert isinstance(found, Shape)
    assert found.dims[0] not in (n, m)
