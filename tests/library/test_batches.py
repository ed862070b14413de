"""A loss does not know the order of its samples, and none of them reads another one; but for the
losses that compare the samples of a batch, whose map has no axis for them."""

from __future__ import annotations

import pytest
import torch
from arguments import SMALL, Call, calls, sweep
from exceptions import law
from legal_values import ordinary
from torch import Tensor

import lossdsl

CALLS = calls(space=(3, 4), rows=4, sizes=SMALL, variants=True)
ORDER = torch.tensor([2, 0, 3, 1])


def batched(call: Call) -> set[str]:
    """Inputs with an axis for the samples."""
    return {n for n, axes in zip(call.names, call.axes, strict=True) if axes[:1] == (call.batch,)}


@pytest.mark.parametrize("name", sweep(CALLS, calls(kinds=False)))
def test_samples_have_no_order_and_no_neighbours(name: str) -> None:
    call = CALLS[name]
    loss = lossdsl.compile(call.map_text(), backend="eager")
    ones = torch.ones(call.map_shape, dtype=torch.float64, requires_grad=True)

    def natural(given: dict[str, Tensor]) -> Tensor:
        (made,) = torch.autograd.grad(loss({**given, "r": ones}), ones)
        return made

    given, others = ordinary(call), ordinary(call, seed=1)
    own = natural(given)
    by_sample = call.map_axes[:1] == (call.batch,)
    moved = natural({n: x[ORDER] if n in batched(call) else x for n, x in given.items()})
    with law("order of samples", call):
        close(moved, own[ORDER] if by_sample else own)
    if by_sample:
        first = {
            n: torch.cat((x[:1], others[n][1:])) if n in batched(call) else x
            for n, x in given.items()
        }
        with law("samples do not read each other", call):
            close(natural(first)[0], own[0])


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
