"""No loss gives NaN or infinity, neither value nor gradient, on legal input however extreme."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from arguments import Call, calls, sweep
from exceptions import law
from legal_values import alike, extreme, nothing, ordinary
from torch import Tensor

import lossdsl
from lossdsl.backend.module import LossModule

Values = Callable[[Call, torch.dtype], dict[str, Tensor]]
VALUES: dict[str, Values] = {
    "ordinary": ordinary,
    "extreme": extreme,
    "alike": alike,
    "nothing": nothing,
}
# Of the inputs, and what the loss is calculated in: float32 is the default, and half precision as
# it comes is tried in the one whose range is float32's.
PRECISIONS = [
    (torch.float64, "float32"),
    (torch.float32, "float32"),
    (torch.bfloat16, "input"),
]
SHAPES = {
    "usual": calls(variants=True),
    "a batch of one": calls(space=(1,), rows=1, variants=True),
    "no batch": calls(rows=0, variants=True),
    "no positions": calls(space=(0,), sizes={"N": 0}, variants=True),
}


def value_and_slopes(
    loss: LossModule, call: Call, given: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The value, and the gradients of the inputs that have one."""
    inputs = {name: x.clone().requires_grad_(x.is_floating_point()) for name, x in given.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = loss(inputs)
        if value.requires_grad:
            value.backward()
    return value.detach(), {n: x.grad for n, x in inputs.items() if x.grad is not None}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sweep(SHAPES["usual"], calls()))
def test_values_and_gradients_are_finite(name: str, shape: str) -> None:
    call = SHAPES[shape][name]
    for dtype, compute_dtype in PRECISIONS:
        loss = lossdsl.compile(call.text(), backend="eager", compute_dtype=compute_dtype)
        for kind, values in VALUES.items():
            value, slopes = value_and_slopes(loss, call, values(call, dtype))
            assert value.isfinite(), (kind, dtype)
            for key, slope in slopes.items():
                assert slope.isfinite().all(), (kind, dtype, key)
            if 0 in call.shapes[0]:
                with law("nothing costs nothing", call, shape):
                    assert value == 0


@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("name", sweep(SHAPES["usual"], calls(kinds=False)))
def test_half_precision_is_calculated_in_single(name: str, dtype: torch.dtype) -> None:
    """Of half precision that comes in, the value is that of the same numbers in float32, and the
    gradient is rounded from there: infinite only where half precision has no such number."""
    call = SHAPES["usual"][name]
    loss = lossdsl.compile(call.text(), backend="eager")
    apart = []
    for kind, values in VALUES.items():
        given = values(call, dtype)
        single = {n: x.float() if x.is_floating_point() else x for n, x in given.items()}
        value, slopes = value_and_slopes(loss, call, given)
        expected, exact = value_and_slopes(loss, call, single)
        assert value.dtype == torch.float32
        assert value.isfinite(), kind
        assert all(slope.isfinite().all() for slope in exact.values()), kind
        assert slopes.keys() == exact.keys()
        rounded = {key: slope.to(dtype) for key, slope in exact.items()}
        if value != expected or not all(torch.equal(rounded[key], slopes[key]) for key in slopes):
            apart.append(kind)
    with law("half precision is calculated in single", call):
        assert not apart


def test_many_classes() -> None:
    x = torch.randn(2, 70_000).to(torch.bfloat16).requires_grad_()
    y = torch.tensor([3, 69_999])
    for text in ("ce(x, y, label_smoothing=0.1)", "softmax_focal(x, y)", "poly1(x, y)"):
        x.grad = None
        value = lossdsl.compile(text, backend="eager", compute_dtype="input")(x=x, y=y)
        value.backward()
        assert value.isfinite()
        assert x.grad is not None
        assert x.grad.isfinite().all()
