"""From a loss's map to its number: nothing selected is 0, whatever the reduction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lossdsl
from lossdsl.functions.loss_map import REDUCTIONS

EMPTY = [(0,), (2, 0), (0, 3), (2, 0, 3), (0, 0)]


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("keyword", ["nothing", "weight", "mask", "class_weight"])
def test_a_map_without_elements_is_zero(shape: tuple[int, ...], name: str, keyword: str) -> None:
    x = torch.zeros(shape, requires_grad=True)
    more: dict[str, Any] = {} if keyword == "nothing" else {keyword: torch.ones(shape)}
    result = REDUCTIONS[name].run(x, **more)
    assert not result.any()  # NaN is true
    result.sum().backward()
    assert x.grad is not None
    rows = {"none": shape, "batch": shape[:1]}
    assert tuple(result.shape) == rows.get(name, ())


@pytest.mark.parametrize("text", ["mean(x)", "max(x)", "min(x)", "sum(x)", "norm(x)"])
@pytest.mark.parametrize("over", ["", "over=1", "over=[0, 1], keepdim=true"])
@pytest.mark.parametrize("shape", [(2, 0), (0, 0)])
def test_reductions_by_hand_of_nothing(text: str, over: str, shape: tuple[int, ...]) -> None:
    call = f"sum({text[:-1]}, {over}))" if over else text
    loss = lossdsl.compile(f"input x: real[N, D]\n{call}", backend="eager")
    x = torch.zeros(shape, requires_grad=True)
    value = loss(x)
    value.backward()
    assert value.item() == 0


def test_a_row_of_a_map_counts_by_its_own_elements() -> None:
    x = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    assert REDUCTIONS["batch"].run(x).tolist() == [2.0, 6.0]
    assert REDUCTIONS["batch"].run(x, mask=torch.tensor([[1, 0], [0, 0]])).tolist() == [1.0, 0.0]
