"""Sizes that change: one graph for all batches, right values and gradients for every shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

import lossdsl

PAIR = ("p", "y")
CASES: dict[str, list[tuple[int, ...]]] = {
    "bce(p, y)": [(20, 22), (24, 26), (30, 16)],
    "bce(p, y) + dice(p, y)": [(8, 1, 16, 16), (8, 1, 16, 16), (5, 1, 16, 16), (1, 1, 16, 16)],
    "clip(p, y)": [(4, 8), (1, 8), (6, 8)],
    "info_nce(p, y)": [(4, 8), (1, 8), (6, 8)],
    "tv(p) + mse(p, y)": [(2, 3, 20, 20), (3, 3, 20, 20), (1, 3, 24, 22)],
}


def tensors(shape: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    p = torch.randn(shape, generator=generator, requires_grad=True)
    return {"p": p, "y": torch.rand(shape, generator=generator)}


def value_and_slope(loss: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    batch = tensors(shape)
    value = loss(**batch)
    value.backward()
    assert batch["p"].grad is not None
    return value.detach(), batch["p"].grad


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_every_shape_is_right_in_at_most_two_graphs(text: str, backend: str) -> None:
    counter = CompileCounterWithBackend(backend)
    compiled = lossdsl.compile(text, backend=counter)
    eager = lossdsl.compile(text, backend="eager")
    for shape in CASES[text]:
        value, slope = value_and_slope(compiled, shape)
        expected, expected_slope = value_and_slope(eager, shape)
        torch.testing.assert_close(value, expected, rtol=2e-6, atol=1e-7)
        torch.testing.assert_close(slope, expected_slope, rtol=2e-5, atol=1e-7)
    assert counter.frame_count <= 2


@pytest.mark.slow
def test_a_last_batch_of_one_through_a_network_in_inductor() -> None:
    """Inductor takes a product with one row apart; the sizes must still be those of the call."""
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 4)
    text = "sum(D(tanh(x))) + sum(D(x*mean(x, over=[1], keepdim=true)))"
    compiled, eager = (
        lossdsl.compile(text, modules={"D": network}, backend=backend)
        for backend in ("inductor", "eager")
    )
    for rows in (5, 1, 2, 1):
        x = torch.randn(rows, 3)
        torch.testing.assert_close(compiled(x), eager(x))
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), eager(x))
