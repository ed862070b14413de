"""A loss inside a larger compiled region or a `torch.func` transform: as right as outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.exc import Unsupported
from torch._dynamo.testing import CompileCounter
from torch.func import grad, vmap

import lossdsl
from lossdsl import LossInputError

LIST = "input o: list[logits[B]]\ninput y: prob[B]\nsum(bce(x, y) for x in o)"


def make(text: str) -> Any:
    return lossdsl.compile(text, backend="eager")


def compiled(function: Any, **options: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(function, backend="eager", **options)


def test_an_open_list_has_its_length_in_a_compiled_region() -> None:
    loss = make(LIST)
    outputs, target = [torch.zeros(3)] * 4, torch.ones(3)
    step = compiled(lambda o, y: loss(o, y))
    expected = 4 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(step(outputs, target), expected)
    torch.testing.assert_close(step(outputs[:2], target), expected / 2)


def test_a_list_that_was_seen_is_traced_without_a_break() -> None:
    loss = make(LIST)
    outputs, target = [torch.zeros(3)] * 4, torch.ones(3)
    loss(outputs, target)
    step = compiled(lambda o, y: loss(o, y), fullgraph=True)
    torch.testing.assert_close(step(outputs, target), loss(outputs, target))


def test_a_list_that_was_not_seen_is_refused_where_no_break_is_allowed() -> None:
    loss = make(LIST)
    step = compiled(lambda o, y: loss(o, y), fullgraph=True)
    with pytest.raises(Unsupported, match="call it once before, outside"):
        step([torch.zeros(3)] * 4, torch.ones(3))


def test_an_absent_input_is_absent_in_a_compiled_region() -> None:
    text = "input p: real[B]\ninput y: real[B]\ninput z?: real[B]\nmse(p, y) + mse(p, z)"
    loss = make(text)
    p, y = torch.zeros(3), torch.ones(3)
    step = compiled(lambda **batch: loss(**batch))
    assert step(p=p, y=y).item() == 1.0
    assert step(p=p, y=y, z=2 * y).item() == 5.0


def test_sizes_that_differ_are_told_from_a_compiled_region() -> None:
    loss = make("mse(a, b)")
    with pytest.raises(LossInputError, match=r"needs \[4, 1\]"):
        compiled(lambda a, b: loss(a, b))(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(
        Unsupported, match=r"`b` is real\[\*S\], and \[4\] came where \*S = \(4, 1\)"
    ):
        compiled(lambda a, b: loss(a, b), fullgraph=True)(torch.zeros(4, 1), torch.zeros(4))


def test_sizes_are_compared_inside_containers() -> None:
    loss = make("input out: {a: list[logits[B]; 2]}\ninput y: prob[B]\nbce(out.a[0], y)")
    loss({"a": [torch.zeros(3), torch.zeros(3)]}, torch.ones(3))
    step = compiled(lambda out, y: loss(out, y), fullgraph=True)
    good = SimpleNamespace(a=[torch.zeros(3), torch.zeros(3)])
    torch.testing.assert_close(step(good, torch.ones(3)), torch.tensor(2.0).log())
    bad = SimpleNamespace(a=[torch.zeros(1), torch.zeros(3)])
    with pytest.raises(Unsupported, match="came"):
        step(bad, torch.ones(3))


def test_comparing_sizes_costs_no_graphs() -> None:
    loss = make("mse(a, b)")
    counter = CompileCounter()
    torch._dynamo.reset()
    step = torch.compile(lambda a, b: loss(a, b), backend=counter, fullgraph=True)
    for size in (8, 8, 5, 7, 9):
        assert step(torch.zeros(size), torch.ones(size)).item() == 1.0
    assert counter.frame_count <= 2


@pytest.mark.parametrize("where", ["plain", "compiled", "vmap"])
def test_autocast_does_not_reach_in(where: str) -> None:
    loss = make("mean(matmul(a, a))")
    x = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    ways = {
        "plain": loss,
        "compiled": compiled(lambda a: loss(a), fullgraph=True),
        "vmap": lambda a: vmap(loss)(a[None])[0],
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = ways[where](x)
    torch.testing.assert_close(value.double(), (x.double() @ x.double()).mean(), atol=1e-6, rtol=0)


def test_vmap_sees_lists_and_sizes() -> None:
    loss = make(LIST)
    target = torch.ones(2, 3)
    three = vmap(lambda x, y: loss([x, x, x], y))(torch.zeros(2, 3), target)
    torch.testing.assert_close(three, 3 * torch.full((2,), 2.0).log())
    plain = make("mse(a, b)")
    with pytest.raises(LossInputError, match=r"needs \[4, 1\]"):
        vmap(plain)(torch.zeros(2, 4, 1), torch.zeros(2, 4))


def test_grad_sees_sizes() -> None:
    loss = make("mse(a, b)")
    torch.testing.assert_close(grad(loss)(torch.zeros(4), torch.ones(4)), torch.full((4,), -0.5))
    with pytest.raises(LossInputError, match=r"needs \[4, 1\]"):
        grad(loss)(torch.zeros(4, 1), torch.zeros(4))


def test_networks_are_held_against_sizes_under_a_transform() -> None:
    net = torch.nn.Linear(3, 1)
    loss = lossdsl.compile("mse(f(x), y)", modules={"f": net}, backend="eager")

    def value(x: Tensor, y: Tensor) -> Tensor:
        return loss(x, y)

    with pytest.raises(LossInputError, match=r"\[4, 1\]"):
        grad(value)(torch.zeros(4, 3), torch.zeros(4))
