"""Params, schedules and learnable weights move without compiling again."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounterWithBackend

import lossdsl


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_twenty_values_of_params_and_a_schedule(backend: str) -> None:
    counter = CompileCounterWithBackend(backend)
    text = "param w = 0.3\nparam d = 1.0\nwarmup(step, 10)*huber(x, y, delta=d) + w*mse(x, y)"
    loss = lossdsl.compile(text, backend=counter)
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    for i in range(20):
        w, d = 0.1 * i - 0.7, 0.2 + 0.3 * i
        loss.set(w=w, d=d)
        expected = min(1.0, i / 10) * F.huber_loss(x, y, delta=d) + w * F.mse_loss(x, y)
        torch.testing.assert_close(loss(x, y), expected)
        report = {row.name: row.weight for row in loss.report()}
        assert report == pytest.approx({"huber": min(1.0, i / 10), "mse": w}, abs=1e-6)
        loss.step()
    assert counter.frame_count == 1


def schedule_values(text: str, steps: range) -> list[float]:
    loss = lossdsl.compile(f"{text}*mean(x)", backend="eager")
    x = torch.ones(2, dtype=torch.float64)
    values = []
    for _ in steps:
        values.append(float(loss(x)))
        loss.step()
    return values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("warmup(step, 4)", lambda t: min(1, t / 4)),
        ("linear(step, 1, 0.2, 2, 6)", lambda t: 1 - 0.8 * min(max((t - 2) / 4, 0), 1)),
        (
            "cosine(step, 1, 0, 2, 8)",
            lambda t: 0.5 * (1 + math.cos(math.pi * min(max((t - 2) / 6, 0), 1))),
        ),
        ("exp_decay(step, 2, 0.5, 3)", lambda t: 2 * 0.5 ** (t / 3)),
        ("piecewise(step, [2, 5], [1, 0.5, 0.1])", lambda t: 1 if t < 2 else 0.5 if t < 5 else 0.1),
        ("cyclic(step, 0, 1, 4)", lambda t: 1 - abs(2 * ((t / 4) % 1) - 1)),
        ("(1 - warmup(step, 4))**2", lambda t: (1 - min(1, t / 4)) ** 2),
    ],
)
def test_schedules(text: str, expected: object) -> None:
    assert callable(expected)
    values = schedule_values(text, range(10))
    assert values == pytest.approx([expected(t) for t in range(10)], abs=1e-12)


def test_epoch_is_set_and_leaves_step_alone() -> None:
    loss = lossdsl.compile("warmup(epoch, 4)*mean(x) + 0.001*step*mean(x)", backend="eager")
    x = torch.ones(2, dtype=torch.float64)
    loss.step()
    loss.step(epoch=2)
    assert float(loss(x)) == pytest.approx(0.5 + 0.001)


def test_learnable_weights_are_parameters_and_learn() -> None:
    loss = lossdsl.compile("param s = learnable(0.5)\nexp(-s)*mse(x, y) + s", backend="eager")
    ((name, weight),) = loss.named_parameters()
    assert (name, weight.shape) == ("s", (1,))
    x, y = torch.randn(8), torch.randn(8)
    loss(x, y).backward()
    expected = 1 - math.exp(-0.5) * float(F.mse_loss(x, y))
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(expected, rel=1e-5)
    assert list(loss.terms) == ["mse", "term"]


def test_bounds_of_learnable_weights() -> None:
    text = "param s = learnable(0.0, min=-1, max=1)\ns*mean(x)"
    loss = lossdsl.compile(text, backend="eager")
    with torch.no_grad():
        loss.get_parameter("s").fill_(3.0)
    x = torch.ones(2)
    value = loss(x)
    value.backward()
    assert float(value.detach()) == pytest.approx(1.0)
    gradient = loss.get_parameter("s").grad
    assert gradient is not None
    assert float(gradient) == pytest.approx(1.0)


def moving_loss() -> lossdsl.Loss:
    text = "param w = 0.3\nparam s = learnable(0.5)\nexp(-s)*mse(x, y) + warmup(step, 4)*w*l1(x, y)"
    return lossdsl.compile(text, backend="eager")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(copied: object) -> None:
    assert callable(copied)
    loss = moving_loss()
    loss.set(w=0.7)
    loss.step()
    x, y = torch.randn(4), torch.randn(4)
    before = loss(x, y)
    twin = copied(loss)
    assert torch.equal(twin(x, y), before)
    twin.set(w=5.0)
    assert not torch.equal(twin(x, y), before)
    assert torch.equal(loss(x, y), before)


def test_a_state_dict_continues_where_it_was() -> None:
    loss, other = moving_loss(), moving_loss()
    loss.set(w=0.7)
    loss.step()
    with torch.no_grad():
        loss.get_parameter("s").fill_(-0.3)
    other.load_state_dict(loss.state_dict())
    x, y = torch.randn(4), torch.randn(4)
    assert torch.equal(loss(x, y), other(x, y))


def test_moves_keep_the_state_together() -> None:
    loss = moving_loss().double()
    loss.set(w=0.7)
    x, y = torch.randn(4).double(), torch.randn(4).double()
    loss.step()
    expected = math.exp(-0.5) * F.mse_loss(x, y) + 0.25 * 0.7 * F.l1_loss(x, y)
    torch.testing.assert_close(loss(x, y), expected)
    loss.half()
    assert loss.get_buffer("w").dtype == torch.float64
    assert float(loss.get_buffer("w")) == 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": 1.0}, "no param `q`"),
        ({"w": "a"}, "a finite number"),
        ({"w": math.nan}, "a finite number"),
        ({"w": [1.0, 2.0]}, "a finite number"),
        ({"mode": "l1"}, "fixed at compile time"),
    ],
)
def test_set_refuses(change: dict[str, object], message: str) -> None:
    text = "param w = 0.3\nparam mode = 'l2'\nw*mse(x, y) if mode == 'l2' else w*l1(x, y)"
    loss = lossdsl.compile(text, backend="eager")
    with pytest.raises(lossdsl.LossConfigError, match=message):
        loss.set(**change)
    assert float(loss.get_buffer("w")) == 0.3
