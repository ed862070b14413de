"""The gradient of every loss is the derivative of its value, by each input that may carry one."""

from __future__ import annotations

import pytest
import torch
from arguments import SMALL, Call, calls, sweep
from exceptions import law, reason
from legal_values import ordinary

import lossdsl

CALLS = calls(space=(2, 3), sizes=SMALL, variants=True)


def keeps(call: Call, fast: bool) -> None:
    loss = lossdsl.compile(call.map_text(), backend="eager")
    given = {**ordinary(call), "r": call.shares()}
    for name in call.differentiable:
        x = given[name].clone().requires_grad_()
        value = loss({**given, name: x})
        if reason("gets a gradient", call, name):
            assert not value.requires_grad, name
            continue
        (slope,) = torch.autograd.grad(value, x)
        assert slope.any(), name
        with law("gradient is derivative", call, name):
            assert torch.autograd.gradcheck(
                lambda x, name=name: loss({**given, name: x}),
                x,
                fast_mode=fast,
                raise_exception=False,
            ), name


@pytest.mark.parametrize("name", sweep(CALLS, calls()))
def test_gradients_are_derivatives(name: str) -> None:
    """Along random directions."""
    keeps(CALLS[name], fast=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_derivatives_by_each_element(name: str) -> None:
    keeps(CALLS[name], fast=False)
