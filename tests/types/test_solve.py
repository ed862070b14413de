"""What the solver learns, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sizes import LAWS, at, flat_dims, shapes, symbol, values

from lossdsl.types.dims import ONE, Dim, Symbol
from lossdsl.types.shapes import RowSymbol, Shape
from lossdsl.types.solve import Mismatch, Solver

B, C, H, W = map(symbol, "BCHW")


# --- sizes ---


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (H, H, True),
        (H, W, False),
        (H, Dim.of(3), False),
        (Dim.of(3), Dim.of(4), False),
        (H - ONE, H, False),
        (H // 2, H // 2, True),
        (H // 2, W // 2, None),
        (H // 2, H // 2 + ONE, False),
        (H // 2, Dim.of(4), None),
    ],
)
def test_declared_sizes_are_rigid(left: Dim, right: Dim, equal: bool | None) -> None:
    solver = Solver()
    assert solver.equal(left, right) is equal
    assert solver.equal(right, left) is equal
    assert solver.unify(left, right) is (equal is not False)


def test_an_unknown_is_learnt_once() -> None:
    solver = Solver()
    n = solver.unknown()
    assert solver.equal(n, H) is None
    assert solver.unify(n, H)
    assert solver.dim(n) == H
    assert solver.equal(n, H) is True
    assert not solver.unify(n, W)


@LAWS
@given(flat_dims, flat_dims, st.booleans())
def test_an_unknown_is_solved_for_in_any_sum(a: Dim, b: Dim, flipped: bool) -> None:
    """`n - a = b` gives `n = a + b`."""
    solver = Solver()
    n = solver.unknown()
    left, right = (b, n - a) if flipped else (n - a, b)
    assert solver.unify(left, right)
    assert solver.dim(n) == a + b
    assert solver.dim(n * n + a) == (a + b) * (a + b) + a


def test_unknowns_that_are_equal_become_one() -> None:
    solver = Solver()
    a, b, c = solver.unknown(), solver.unknown(), solver.unknown()
    assert solver.unify(a, b)
    assert solver.unify(b, c)
    assert solver.equal(a, c) is True
    assert solver.unify(c, H)
    assert solver.dim(a) == solver.dim(b) == H


def test_what_only_the_call_can_decide_is_left_open() -> None:
    solver = Solver()
    n = solver.unknown()
    assert solver.unify(Dim.of(2) * n, H)
    assert solver.unify(n // 2, H)
    assert solver.equal(n // 2, H) is None
    assert not solver.dims


def test_a_size_does_not_contain_itself() -> None:
    solver = Solver()
    n = solver.unknown()
    assert solver.unify(n, n // 2 + ONE)
    assert not solver.dims


def test_an_unknown_inside_a_floor_is_put_in() -> None:
    solver = Solver()
    n = solver.unknown()
    half = n // 2
    assert solver.unify(n, Dim.of(2) * H)
    assert solver.dim(half) == H


@LAWS
@given(values, flat_dims, flat_dims)
def test_at_a_call_values_decide(v: dict[str, int], a: Dim, b: Dim) -> None:
    """Names are kept in shapes, but numbers are compared."""
    solver = Solver(values={Symbol(name): value for name, value in v.items()})
    assert solver.equal(a, b) is (at(a, v) == at(b, v))
    assert solver.unify(a // 2, b // 2) is (at(a, v) // 2 == at(b, v) // 2)
    assert solver.dim(a) == a


# --- shapes ---


@LAWS
@given(shapes, shapes)
def test_known_shapes_agree_where_they_are_equal(left: Shape, right: Shape) -> None:
    found = Solver().unify_shapes(left, right)
    assert (found is None) is (left == right)
    if found is not None:
        assert found.what == ("rank" if left.rank != right.rank else "size")


@LAWS
@given(shapes, st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_a_rest_takes_what_is_left(shape: Shape, front: int, back: int, flipped: bool) -> None:
    """`[a, *R, b]` against a known shape, in both orders."""
    solver = Solver()
    before = tuple(solver.unknown() for _ in range(front))
    after = tuple(solver.unknown() for _ in range(back))
    open_shape = Shape(before, solver.row(), after)
    pair = (shape, open_shape) if flipped else (open_shape, shape)
    found = solver.unify_shapes(*pair)
    if front + back > len(shape.dims):
        assert isinstance(found, Mismatch)
        assert (found.what, found.left, found.right) == ("rank", *pair)
    else:
        assert found is None
        assert solver.shape(open_shape) == shape


@LAWS
@given(shapes, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_two_open_shapes_agree_with_every_shape_that_both_allow(
    shape: Shape, cuts: list[int]
) -> None:
    """Unified first or last, the outcome is the same."""
    dims = shape.dims
    a, b, c, d = cuts
    if max(a, c) + max(b, d) > len(dims):
        # What the front of one and the back of the other say of one axis is left out.
        return
    solver = Solver()
    left = Shape(dims[:a], solver.row(), dims[len(dims) - b :])
    right = Shape(dims[:c], solver.row(), dims[len(dims) - d :])
    assert solver.unify_shapes(left, right) is None
    assert solver.shape(left) == solver.shape(right)
    assert solver.unify_shapes(left, shape) is None
    assert solver.shape(right) == shape


def test_each_ends_the_other() -> None:
    solver = Solver()
    left, right = Shape((B,), solver.row()), Shape((), solver.row(), (W,))
    assert solver.unify_shapes(left, right) is None
    both = solver.shape(left)
    assert (both.before, both.after) == ((B,), (W,))
    assert both == solver.shape(right)


def test_a_declared_rest_is_rigid() -> None:
    solver = Solver()
    declared = Shape((B,), RowSymbol("S"))
    assert solver.unify_shapes(declared, declared) is None
    assert solver.unify_shapes(declared, Shape((B,), RowSymbol("T"))) is not None
    assert solver.unify_shapes(declared, Shape.of(B, C)) is not None
    open_shape = solver.any_shape()
    assert solver.unify_shapes(open_shape, declared) is None
    assert solver.shape(open_shape) == declared


def test_the_mismatch_says_where() -> None:
    found = Solver().unify_shapes(Shape.of(B, C, H), Shape.of(B, C, W))
    assert found == Mismatch("size", Shape.of(B, C, H), Shape.of(B, C, W), 2)
    solver = Solver()
    row = solver.row()
    found = solver.unify_shapes(Shape.of(B, C, H), Shape((B,), row, (W,)))
    assert found is not None
    assert (found.what, found.left, found.axis) == ("size", Shape.of(B, C, H), -1)


def test_unknowns_are_new_each_time() -> None:
    solver = Solver()
    assert solver.unknown("n") != solver.unknown("n")
    assert solver.any_shape() != solver.any_shape()
