"""Learnable tensors: drawn as torch draws them, trained, kept in the state dict."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lossdsl


def make(text: str, **options: Any) -> Any:
    return lossdsl.compile(text, backend="eager", **options)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("normal(5, 8)", lambda w: nn.init.normal_(w)),
        ("normal(5, 8, mean=1, std=0.1)", lambda w: nn.init.normal_(w, 1, 0.1)),
        ("uniform(5, 8, a=-2, b=3)", lambda w: nn.init.uniform_(w, -2, 3)),
        ("xavier_normal(5, 8)", nn.init.xavier_normal_),
        ("xavier_uniform(5, 8, gain=2)", lambda w: nn.init.xavier_uniform_(w, 2)),
        ("orthogonal(5, 8)", nn.init.orthogonal_),
        ("zeros(5, 8)", nn.init.zeros_),
        ("ones(5, 8)", nn.init.ones_),
    ],
)
def test_it_is_drawn_by_torch(text: str, drawn: Any) -> None:
    torch.manual_seed(3)
    loss = make(f"param w = learnable({text})\nmse(x @ w, y)")
    torch.manual_seed(3)
    assert torch.equal(loss.w, drawn(torch.empty(5, 8)))
    assert isinstance(loss.w, nn.Parameter)


def test_it_trains_and_is_resumed() -> None:
    text = "param w = learnable(xavier_normal(3, 4))\narcface(x, y, w, scale=1)"
    loss = make(text)
    x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    optimiser = torch.optim.SGD(loss.parameters(), lr=1.0)
    before = loss(x, y).item()
    for _ in range(20):
        optimiser.zero_grad()
        loss(x, y).backward()
        optimiser.step()
    assert loss(x, y).item() < before
    fresh = make(text)
    fresh.load_state_dict(loss.state_dict())
    assert fresh(x, y) == loss(x, y)


def test_the_gradient_is_torchs() -> None:
    loss = make("param w = learnable(normal(3, 4))\nmse(x @ w, y)")
    x, y = torch.randn(5, 3), torch.randn(5, 4)
    loss(x=x, y=y).backward()
    w = loss.w.detach().clone().requires_grad_()
    nn.functional.mse_loss(x @ w, y).backward()
    torch.testing.assert_close(loss.w.grad, w.grad)


def test_in_a_loss_file() -> None:
    config = {"params": {"w": "learnable(zeros(2, 3))"}, "loss": "mse(x @ w, y)"}
    loss = lossdsl.from_config(config, backend="eager")
    assert loss(x=torch.ones(4, 2), y=torch.full((4, 3), 2.0)).item() == 4.0


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("xavier(3, 4)", "E202", "no initialiser `xavier`"),
        ("xavier_normal(3)", "E204", "2 or more whole numbers"),
        ("normal(3.5, 4)", "E204", "1 or more whole numbers"),
        ("normal(0, 4)", "E204", "1 or more whole numbers"),
        ("normal(B, 4)", "E204", "1 or more whole numbers"),
        ("normal(3, 4, sd=1)", "E205", "no option `sd`"),
        ("normal(3, 4, std='x')", "E209", "is a number"),
        ("normal(3, 4), min=0", "E205", "no bounds"),
    ],
)
def test_what_is_refused(value: str, code: str, said: str) -> None:
    with pytest.raises(lossdsl.LossError, match=said) as raised:
        make(f"param w = learnable({value})\nmse(x @ w, y)")
    assert raised.value.diagnostics[0].code == code


def test_it_is_a_tensor_and_no_number() -> None:
    loss = make("param w = learnable(normal(3, 4))\nmse(x @ w, y)")
    with pytest.raises(lossdsl.LossConfigError, match="a learnable tensor"):
        loss.set(w=1)
    with pytest.raises(lossdsl.LossShapeError, match="a loss is one number"):
        make("param w = learnable(normal(3, 4))\nw*mse(x, y)")
    with pytest.raises(lossdsl.LossConfigError, match="takes no value here"):
        make("param w = learnable(normal(3, 4))\nmse(x @ w, y)", params={"w": 1})
