"""Value and gradients of a loss in one compiled graph.

A loss is one number, so its gradients can be calculated with it, up to one factor that is 1 in
nearly every backward. The graph then reads each input once, and shares between value and gradient
what both need. `backward` finds the gradients ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from lossdsl.backend import torch_private
from lossdsl.backend.arguments import tensors_of
from lossdsl.types.values import Type

Results = tuple[Tensor, Any, Tensor | None]
"""The loss, the values of its terms, the weights that move."""

Grads = Sequence[Tensor | None]

USED_UP = (
    "the gradients of this loss were handed out by an earlier backward: for a second one say "
    "retain_graph=True in the first, or call the loss again"
)


CHANGED = (
    "an input of this loss was changed in place after the call, and a derivative of its gradient "
    "needs what it was"
)


def with_state(graph: fx.Graph, names: Sequence[str]) -> fx.Graph:
    """The graph with parameters as further arguments, so that derivatives by them can be taken."""
    made = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            copies[node] = made.node_copy(node)
    arguments = {name: made.placeholder(f"state_{name}") for name in names}
    for node in graph.nodes:
        if node.op == "get_attr" and node.target in arguments:
            copies[node] = arguments[node.target]
        elif node.op != "placeholder":
            copies[node] = made.node_copy(node, copies.__getitem__)
    return made


def joint(
    loss: Callable[..., Results], learnt: Sequence[int]
) -> Callable[..., tuple[Grads, Results]]:
    """The function of a factor and of the loss's tensors that gives the gradients by some of them,
    times the factor, and the results."""

    def gradients_and_results(factor: Tensor, *tensors: Tensor) -> tuple[Grads, Results]:
        with torch.enable_grad():
            given = list(tensors)
            for place in learnt:
                # Half precision would lose what a gradient scaler is there to keep.
                tensor = tensors[place].detach()
                exact = tensor.float() if tensor.dtype == torch.float16 else tensor
                given[place] = exact.requires_grad_()
            value, raws, weights = loss(*given)
            grads: Grads = [None] * len(learnt)
            if value.requires_grad:
                grads = torch.autograd.grad(
                    value,
                    [given[place] for place in learnt],
                    factor[0].to(value.dtype),
                    allow_unused=True,
                )
        return grads, (value.detach(), raws, weights)

    return gradients_and_results


@dataclass(frozen=True, slots=True)
class Opened:
    """From the values of a call to all tensors that the loss depends on: those that it reads of
    them, and those of its own `parameters` that have the `names`. They are looked up at each call:
    `torch.func.functional_call` puts others in their place."""

    types: tuple[Type | None, ...]
    parameters: Mapping[str, Any]
    names: tuple[str, ...]

    def __call__(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        if not all(isinstance(value, Tensor) for value in values):
            values = tensors_of(values, self.types)
        return (*values, *[self.parameters[name] for name in self.names])


@dataclass(frozen=True, slots=True)
class OnePass:
    """A compiled joint function, for the tensors `learnt` among its own.

    `plain` is the loss itself as a function of the same tensors: derivatives of derivatives are
    taken through it.
    """

    run: Callable[..., tuple[Grads, Results]]
    plain: Callable[..., Results]
    learnt: tuple[int, ...]
    opened: Opened
    narrow: bool
    """Whether an input is of less precision than the gradient that is calculated for it."""

    def __call__(self, factor: Tensor | None, values: Sequence[Any]) -> Results:
        """The results; the loss has its gradients ready. With a factor, they are those of the
        loss times it, and its own backward must come with 1."""
        tensors = self.opened(values)
        call = _Call(self, tensors, factor)
        value: Tensor = _Loss.apply(call, *[tensors[i] for i in self.learnt])  # type: ignore[no-untyped-call]
        if not call.needed:
            value = value.detach()
        return value, call.raws, call.weights


class _Call:
    """What one call leaves for its backward."""

    __slots__ = ("by", "factor", "grads", "needed", "raws", "tensors", "versions", "weights")

    def __init__(self, by: OnePass, tensors: Sequence[Tensor], factor: Tensor | None) -> None:
        self.by = by
        self.tensors: Sequence[Tensor] | None = tensors
        self.factor = factor
        self.versions = _versions(tensors)

    def forward(self) -> Tensor:
        assert self.tensors is not None
        device = self.tensors[0].device
        factor = _one(device) if self.factor is None else self.factor.to(device)
        grads, (value, self.raws, self.weights) = self.by.run(factor, *self.tensors)
        self.grads = _each_its_own(grads, factor)
        self.needed = any(grad is not None for grad in self.grads)
        return value

    def backward(self, upstream: Tensor) -> Grads:
        tensors, grads = self.tensors, self.grads
        if tensors is None:
            raise RuntimeError(USED_UP)
        if torch_private.keeps_graph():
            grads = [None if grad is None else grad.clone() for grad in grads]
        else:
            # Without a second owner, a tensor's gradient is taken over instead of copied.
            self.grads, self.tensors = (), None
        if self.factor is None and (torch.compiler.is_compiling() or upstream.item() != 1):
            for grad in grads:
                if grad is not None:
                    grad.mul_(upstream)
        if not self.by.narrow:
            return grads
        return [
            None if grad is None else grad.to(tensors[place].dtype)
            for grad, place in zip(grads, self.by.learnt, strict=True)
        ]

    def differentiable(self, upstream: Tensor) -> Grads:
        """The gradients as functions of the inputs and of what came from above."""
        if self.tensors is None:
            raise RuntimeError(USED_UP)
        learnt = [self.tensors[i] for i in self.by.learnt]
        if _versions(self.tensors) != self.versions:
            raise RuntimeError(CHANGED)
        with torch.autocast(learnt[0].device.type, enabled=False):
            value, _, _ = self.by.plain(*self.tensors)
        return torch.autograd.grad(value, learnt, upstream, create_graph=True, allow_unused=True)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *learnt: Tensor) -> Tensor:
        ctx.call = call
        return call.forward()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        call: _Call = ctx.call
        if torch.is_grad_enabled():
            return None, *call.differentiable(upstream)
        return None, *call.backward(upstream)


def _each_its_own(grads: Grads, factor: Tensor) -> Grads:
    """The gradients, each in memory that nothing else is in: those of a sum of two inputs are one
    tensor, that of a mean is one number for all, and each will be added to in place."""
    taken = {factor.untyped_storage().data_ptr()}
    own: list[Tensor | None] = []
    for grad in grads:
        if grad is not None:
            place = grad.untyped_storage().data_ptr()
            if place in taken or 0 in grad.stride():
                grad = grad.clone()
            taken.add(place)
        own.append(grad)
    return own


def _versions(tensors: Sequence[Tensor]) -> list[int]:
    """How often each tensor was changed in place. Those of inference mode do not count."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors]


_ones: dict[torch.device, Tensor] = {}


def _one(device: torch.device) -> Tensor:
    if device not in _ones:
        # With an axis: Dynamo takes a 0-dim float64 for a Python number first.
        _ones[device] = torch.ones(1, dtype=torch.float64, device=device)
    return _ones[device]
