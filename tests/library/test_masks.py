"""What a mask leaves out reaches neither value nor gradient, whatever stands there."""

from __future__ import annotations

import math

import pytest
import torch
from arguments import Call, calls, ordinary
from torch import Tensor

import lossdsl

CALLS = {name: call for name, call, _ in calls(space=(4, 7)) if call.record.mask != "none"}
APART = {
    "mase": {"x2"},
    "mahalanobis": {"x2"},
    "center": {"x2"},
    "arcface": {"x2"},
    "cosface": {"x2"},
    "sphereface": {"x2"},
    "proxy_nca": {"x2"},
    "proxy_anchor": {"x2"},
    "min_snr": {"x2"},
    "v_prediction": {"x3"},
    "motion_consistency": {"x1"},
}
"""Inputs with axes of their own, which no mask of the map covers."""


def mask_of(call: Call) -> Tensor:
    """A mask as the record takes it: of the pixels, or of the map."""
    shape = [*call.map_shape]
    if call.record.mask == "inside":
        shape = [call.shapes[0][0], 1, *call.shapes[0][2:]]
    place = torch.arange(math.prod(shape)).reshape(shape)
    return (place % 5 % 2 == 0).double()


def spoilt(x: Tensor, mask: Tensor, bad: float) -> tuple[Tensor, Tensor]:
    """The values with another below the mask, and which those are."""
    dropped = mask == 0
    # Of equal rank, without the class axis (which is 1), or with one value a row of vectors.
    if dropped.dim() < x.dim():
        fits = dropped.shape[1:] == x.shape[2:]
        dropped = dropped.unsqueeze(1) if fits else dropped.view(*dropped.shape, 1)
        dropped = dropped.reshape(*dropped.shape, *[1] * (x.dim() - dropped.dim()))
    dropped = dropped.expand_as(x)
    return torch.where(dropped, bad, x), dropped


@pytest.mark.parametrize("bad", [math.nan, math.inf, -7.0])
@pytest.mark.parametrize("name", CALLS)
def test_what_is_masked_out_does_not_count(name: str, bad: float) -> None:
    call = CALLS[name]
    mask = mask_of(call)
    loss = lossdsl.compile(
        call.text(", mask=m").replace("input x0", "input m: mask\ninput x0", 1), backend="eager"
    )
    given = ordinary(call)
    expected = loss({**given, "m": mask})
    free, dropped = {}, {}
    for key, value in given.items():
        if value.is_floating_point() and key not in APART.get(call.record.name, ()):
            holed, dropped[key] = spoilt(value, mask, bad)
            free[key] = holed.requires_grad_()
        else:
            free[key] = value
    value = loss({**free, "m": mask})
    value.backward()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    for key, where in dropped.items():
        grad = free[key].grad
        if grad is not None:
            assert grad.isfinite().all(), key
            assert not grad[where].any(), key
    assert any(free[key].grad is not None and free[key].grad.any() for key in dropped)


def test_the_class_axis_may_stand_anywhere() -> None:
    torch.manual_seed(0)
    p = torch.randn(2, 5, 3, dtype=torch.float64)
    y, m = torch.randint(0, 3, (2, 5)), torch.tensor([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]])
    holed = torch.where(m[..., None] == 0, torch.nan, p).requires_grad_()
    loss = lossdsl.compile(
        "input p: class_logits[B, T, C]\ninput y: labels[B, T]\ninput m: mask[B, T]\n"
        "ce(p, y, mask=m) + dice(p, y, mask=m)",
        backend="eager",
    )
    value = loss(holed, y, m)
    value.backward()
    torch.testing.assert_close(value, loss(p, y, m), rtol=1e-12, atol=0.0)
    assert holed.grad is not None
    assert (holed.grad.abs().sum(-1) > 0).tolist() == m.bool().tolist()
    assert len([line for line in loss.inspect("ir").splitlines() if "hidden(%" in line]) == 2


def test_a_weight_below_the_mask_does_not_count() -> None:
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    w, m = torch.tensor([3.0, torch.nan]), torch.tensor([1.0, 0.0])
    value = lossdsl.compile("mse(p, 0, weight=w, mask=m)", backend="eager")(p=p, w=w, m=m)
    value.backward()
    assert value.item() == 3
    assert p.grad is not None
    assert p.grad.tolist() == [6.0, 0.0]


@pytest.mark.parametrize("name", ["tv", "ssim", "ms_ssim"])
def test_a_mask_of_one_number_is_for_all_pixels(name: str) -> None:
    torch.manual_seed(0)
    images = [torch.rand(2, 3, 180, 180, dtype=torch.float64) for _ in range(2 - (name == "tv"))]
    arguments = ", ".join("pq"[: len(images)])
    loss = lossdsl.compile(f"{name}({arguments}, mask=m)", backend="eager")
    given = dict(zip("pq", images, strict=False))
    whole = lossdsl.compile(f"{name}({arguments})", backend="eager")(**given)
    torch.testing.assert_close(loss(**given, m=torch.tensor(True)), whole)
    assert loss(**given, m=torch.tensor(False)) == 0
