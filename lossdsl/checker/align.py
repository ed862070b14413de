"""Which axes a mask or weight may lack. Nothing is aligned from the right."""

from __future__ import annotations

from lossdsl.types.dims import ONE
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Solver


def fits_map(solver: Solver, mask: Shape, target: Shape, axis: int | None) -> bool:
    """Whether a mask goes with a map: equal rank with sizes equal or 1, the class or channel
    axis missing, or one value a sample. Unknown ranks are left to the call."""
    mask, target = solver.shape(mask), solver.shape(target)
    if mask.rank is None or target.rank is None or mask.rank == 0:
        return True
    if mask.rank == target.rank:
        return _equal_or_one(solver, mask, target)
    if mask.rank == target.rank - 1:
        lacking = 1 if axis is None else axis % target.rank
        dims = list(mask.dims)
        dims.insert(lacking, ONE)
        if _equal_or_one(solver, Shape(tuple(dims)), target):
            return True
    return (
        mask.rank == 1
        and target.rank > 0
        and solver.equal(mask.dims[0], target.dims[0]) is not False
    )


def _equal_or_one(solver: Solver, mask: Shape, target: Shape) -> bool:
    return all(
        m.number == 1 or solver.equal(m, t) is not False
        for m, t in zip(mask.dims, target.dims, strict=True)
    )
