"""No loss gives NaN or infinity, neither value nor gradient, on legal input however extreme."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from arguments import Call, alike, calls, extreme, ordinary
from torch import Tensor

import lossdsl

Values = Callable[[Call, torch.dtype], dict[str, Tensor]]
VALUES: dict[str, Values] = {"ordinary": ordinary, "extreme": extreme, "alike": alike}
# The default; half precision that is calculated as it comes, in the one whose range is float32's.
PRECISIONS = [
    (torch.float64, "float32"),
    (torch.float32, "float32"),
    (torch.bfloat16, "input"),
]
SHAPES = {
    "usual": {n: c for n, c, _ in calls()},
    "a batch of one": {n: c for n, c, _ in calls(space=(1,), rows=1)},
    "no batch": {n: c for n, c, _ in calls(rows=0)},
    "no positions": {n: c for n, c, _ in calls(space=(0,))},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SHAPES["usual"])
def test_values_and_gradients_are_finite(name: str, shape: str) -> None:
    call = SHAPES[shape][name]
    for dtype, compute_dtype in PRECISIONS:
        loss = lossdsl.compile(call.text(), backend="eager", compute_dtype=compute_dtype)
        for kind, values in VALUES.items():
            inputs = values(call, dtype)
            for value in inputs.values():
                value.requires_grad_(value.is_floating_point())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = loss(inputs)
                if result.requires_grad:
                    result.backward()
            assert result.isfinite(), (kind, dtype)
            for key, value in inputs.items():
                assert value.grad is None or value.grad.isfinite().all(), (kind, dtype, key)
            if 0 in call.shapes[0]:
                assert result == 0


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
