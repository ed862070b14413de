"""Distances between vectors: row by row, and of all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import floating
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _row_by_row(site: CallSite) -> Type:
    left, right = floating(site, 0), floating(site, 1)
    site.unify(left.shape, right.shape)
    shape = site.solver.shape(left.shape)
    _order(site)
    if shape.rank is None:
        return TensorType("real", site.solver.any_shape())
    if shape.rank == 0:
        site.refuse("E402", "`pairwise_distance` takes vectors, and these are numbers", 0)
    return TensorType("real", shape.without(shape.rank - 1))


def _all_pairs(site: CallSite) -> Type:
    left, right = floating(site, 0), floating(site, 1)
    _order(site)
    if left.shape.rank is None or right.shape.rank is None:
        return TensorType("real", site.solver.any_shape())
    if left.shape.rank < 2 or left.shape.rank != right.shape.rank:
        site.refuse(
            "E402",
            f"`cdist` of {left.shape} and {right.shape}: both are [N, D], or [B, N, D]",
            1,
        )
    *batch, rows, size = left.shape.dims
    *others, columns, _ = right.shape.dims
    site.unify(Shape((*others, size)), Shape((*others, right.shape.dims[-1])), 1)
    site.unify(Shape(tuple(batch)), Shape(tuple(others)), 1)
    return TensorType("real", Shape((*batch, rows, columns)))


def _order(site: CallSite) -> None:
    order = site.literals.get("p", 2.0)
    if not order > 0:
        site.refuse("E206", f"the order of a norm is above 0, and this is {order:g}", "p")


@function("pairwise_distance", _row_by_row, literals=("p",), prefers=("embedding", "real"))
def pairwise_distance(x: Tensor, y: Tensor, p: float = 2.0) -> Tensor:
    """Distance of each vector to its partner, along the last axis; the gradient at 0 is 0. For all
    pairs there is `cdist`."""
    return _norm(wide(x) - wide(y), p)


@function("cdist", _all_pairs, literals=("p",), prefers=("embedding", "real"))
def cdist(x: Tensor, y: Tensor, p: float = 2.0) -> Tensor:
    """Distances of all pairs, [N, D] and [M, D] to [N, M]; the gradient at 0 is 0."""
    return _norm(wide(x)[..., :, None, :] - wide(y)[..., None, :, :], p)


def _norm(difference: Tensor, p: float) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(difference, ord=float(p), dim=-1)
    return length
