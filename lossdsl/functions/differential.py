"""Derivatives as values, and the random points that gradient penalties take them at."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import floating
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _derivative(site: CallSite) -> Type:
    floating(site, 0)
    return TensorType("real", floating(site, 1).shape)


@function("grad", _derivative, differentiates=True, latex=r"\nabla")
def grad(u: Tensor, x: Tensor) -> Tensor:
    """The derivative of `sum(u)` with respect to `x`, which can itself be differentiated.

    `x` is what `u` is calculated from: an input, or a value made of inputs. Where each row of `u`
    depends on its own row of `x`, as a network in evaluation mode has it, these are the
    derivatives of each row.
    """
    return wide(slopes(u, x))


def slopes(u: Tensor, x: Tensor) -> Tensor:
    """The derivative of the sum of `u`, kept in the graph of autograd for another derivative."""
    if not (u.requires_grad and x.requires_grad):
        # 0 would be an answer too, and nobody would find out.
        raise ValueError(
            "a derivative is taken where no gradient comes through: a network on the way detaches "
            "its result, or gradients are off"
        )
    (slope,) = torch.autograd.grad(
        u.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True
    )
    return slope


def _between(site: CallSite) -> Type:
    left, right = floating(site, 0), floating(site, 1)
    site.unify(left.shape, right.shape)
    if left.shape.rank == 0:
        site.refuse("E402", f"`{site.name}` draws one share a row, and this is one number", 0)
    return TensorType(left.kind if left.kind == right.kind else "real", left.shape, left.axis)


@function("between", _between, random=True, keeps=True)
def between(a: Tensor, b: Tensor) -> Tensor:
    """A random point on the line from each row of `a` to that row of `b`, uniformly drawn."""
    share = torch.rand((a.shape[0], *(1 for _ in a.shape[1:])), dtype=a.dtype, device=a.device)
    return share * a + (1 - share) * b


def _around(site: CallSite) -> Type:
    return TensorType("real", floating(site, 0).shape)


@function("around", _around, random=True)
def around(x: Tensor, scale: float = 0.5) -> Tensor:
    """`x` with uniform noise from 0 to `scale` standard deviations of all of `x` added."""
    return x + scale * x.std(correction=0).detach() * torch.rand_like(x)
