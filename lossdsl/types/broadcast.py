"""Broadcasting as the language allows it: scalars, equal shapes, explicit size-1 axes."""

from __future__ import annotations

from lossdsl.types.dims import Dim, Floor, Unknown
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Mismatch, Solver


def broadcast(solver: Solver, left: Shape, right: Shape) -> Shape | Mismatch:
    """The shape of an element-wise operation, or why there is none.

    Nothing is aligned from the right: `[B, 1]` and `[B]` do not broadcast. Where an undeclared
    input leaves the number of axes open, so does the result, and the call decides.
    """
    left, right = solver.shape(left), solver.shape(right)
    if left == right or right.rank == 0:
        return left
    if left.rank == 0:
        return right
    if left.rank is None or right.rank is None:
        return _open(solver, left, right)
    if left.rank != right.rank:
        return Mismatch("rank", left, right)
    dims = []
    for axis, (a, b) in enumerate(zip(left.dims, right.dims, strict=True)):
        dim = _size(solver, a, b)
        if dim is None:
            return Mismatch("size", left, right, axis)
        dims.append(dim)
    return Shape(tuple(dims))


def _open(solver: Solver, left: Shape, right: Shape) -> Shape:
    """One number of axes is open. A shape without axes of size 1 is the result in every case."""
    for shape in (left, right):
        if shape.rank is not None and all(_rigid(dim) for dim in shape.dims):
            return shape
    return solver.any_shape()


def _rigid(dim: Dim) -> bool:
    return dim.number != 1 and not any(isinstance(a, Unknown | Floor) for a in dim.atoms())


def _size(solver: Solver, left: Dim, right: Dim) -> Dim | None:
    if left.number == 1:
        return right
    if right.number == 1:
        return left
    equal = solver.equal(left, right)
    if equal is True:
        return left
    if equal is False:
        return None
    if _rigid(left):
        return left
    return right if _rigid(right) else solver.unknown()
