"""What a mask leaves out reaches neither value nor gradient, whatever stands there."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from arguments import Call, calls
from exceptions import law, reason
from legal_values import ordinary
from torch import Tensor

import lossdsl

CALLS = calls(space=(4, 7), rows=6)
MASKED = {name: call for name, call in CALLS.items() if call.record.mask != "none"}
LABELLED = {name: call for name, call in CALLS.items() if "labels" in call.kinds}
LAW = "what is masked is not read"


def masked(call: Call) -> Any:
    """The loss with a mask `m`."""
    kind = call.declared(call.mask_axes, "mask")
    text = f"{call.inputs()}\ninput m: {kind}\n{call.expression(', mask=m')}"
    loss = lossdsl.compile(text, backend="eager")
    # What comes out is judged here, whatever the loss itself would say.
    loss.checks = "never"
    return loss


def covered(call: Call) -> list[str]:
    """The inputs of which a mask leaves something out: not those with axes of their own."""
    kept = [axis for axis in call.mask_axes if axis != "1"]

    def lies_below(axes: tuple[str, ...]) -> bool:
        without = [axes[:1] + axes[2:]] if len(axes) > 1 else []
        if call.record.mask == "inside":
            return kept in ([*axes], *map(list, without))
        return [*axes[: len(kept)]] == kept or kept in map(list, without)

    return [n for n in call.differentiable if lies_below(call.axes[int(n[1:])])]


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


@pytest.mark.parametrize("name", MASKED)
def test_what_is_masked_out_does_not_count(name: str) -> None:
    call = MASKED[name]
    loss, given = masked(call), {**ordinary(call), "m": call.mask()}
    names = covered(call)
    assert names
    free = [key for key in names if not reason(LAW, call, key)]
    for spoiled in filter(None, (free, *([key] for key in names if key not in free))):
        with law(LAW, call, spoiled[0]):
            for bad in (math.nan, math.inf, -7.0):
                is_left_out(loss, given, spoiled, bad)


def is_left_out(loss: Any, given: dict[str, Tensor], names: list[str], bad: float) -> None:
    """Nothing changes when another number stands below the mask, and nothing goes back there."""
    inputs, dropped = dict(given), {}
    for key in names:
        holed, dropped[key] = spoilt(given[key], given["m"], bad)
        inputs[key] = holed.requires_grad_()
    value = loss(inputs)
    torch.testing.assert_close(value.detach(), loss(given), rtol=1e-12, atol=1e-12)
    value.backward()
    grads = {key: x.grad for key, x in inputs.items() if x.grad is not None}
    for key, grad in grads.items():
        assert grad.isfinite().all(), (key, bad)
        assert not grad[dropped[key]].any(), (key, bad)
    assert any(grad.any() for grad in grads.values())


@pytest.mark.parametrize("name", MASKED)
def test_all_masked_is_zero(name: str) -> None:
    call = MASKED[name]
    zero = torch.zeros(call.lengths(call.mask_axes), dtype=torch.float64)
    gives_nothing(call, masked(call), {**ordinary(call), "m": zero})


@pytest.mark.parametrize("name", LABELLED)
def test_all_ignored_is_zero(name: str) -> None:
    call = LABELLED[name]
    given = ordinary(call)
    for key, kind in zip(call.names, call.kinds, strict=True):
        if kind == "labels":
            given[key] = torch.full_like(given[key], -100)
    gives_nothing(call, lossdsl.compile(call.text(), backend="eager"), given)


def gives_nothing(call: Call, loss: Any, given: dict[str, Tensor]) -> None:
    """The value and all gradients are exactly 0."""
    inputs = {n: x.requires_grad_(n in call.differentiable) for n, x in given.items()}
    value = loss(inputs)
    value.backward()
    assert value == 0
    for key, x in inputs.items():
        assert x.grad is None or not x.grad.any(), key


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
