"""Running means: what they are, when they move, and that they live on."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor

import lossdsl

TEXT = "mean((x - ema(mean(x, over=[0], keepdim=true), decay=0.5))**2)"


def batch(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_mean_begins_with_the_first_batch_and_follows(backend: str) -> None:
    loss = lossdsl.compile(TEXT, backend=backend)
    average: Tensor | None = None
    for seed, rows in enumerate((4, 4, 3, 1, 4)):
        x = batch(rows, seed)
        mean = x.mean(0, keepdim=True)
        average = mean if average is None else 0.5 * average + 0.5 * mean
        torch.testing.assert_close(loss(x), ((x - average) ** 2).mean())
    torch.testing.assert_close(loss.ema_1, average)


def test_with_lag_it_is_that_of_the_calls_before() -> None:
    loss = lossdsl.compile("sum(x)*0 + ema(sum(x), decay=0.9, lag=true)", backend="eager")
    average = 0.0
    for seed in range(4):
        x = batch(2, seed)
        assert loss(x).item() == pytest.approx(average, rel=1e-5, abs=1e-6)
        average = 0.9 * average + 0.1 * x.sum().item()


def test_it_has_no_gradient() -> None:
    loss = lossdsl.compile("sum(x*ema(x, decay=0.5))", backend="eager")
    x = batch(2, 0).requires_grad_()
    loss(x).backward()
    torch.testing.assert_close(x.grad, x.detach())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_stands_still_in_evaluation(backend: str) -> None:
    loss = lossdsl.compile(TEXT, backend=backend)
    loss(batch(4, 0))
    loss.eval()
    before = loss.ema_1.clone()
    x = batch(4, 1)
    torch.testing.assert_close(loss(x), ((x - before) ** 2).mean())
    torch.testing.assert_close(loss.ema_1, before)
    loss.train()
    loss(x)
    assert not torch.equal(loss.ema_1, before)


def test_a_resumed_run_goes_on() -> None:
    loss = lossdsl.compile(TEXT, backend="eager")
    assert not any(name.startswith("ema") for name in loss.state_dict())
    for seed in range(3):
        loss(batch(4, seed))
    fresh = lossdsl.compile(TEXT, backend="eager")
    fresh.load_state_dict(loss.state_dict())
    copies = [fresh, copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))]
    x = batch(4, 9)
    expected = loss(x)
    for other in copies:
        assert other(x) == expected
        assert other.ema_1_calls == 4


def test_each_place_has_its_own() -> None:
    text = "def centred(x) = mean((x - ema(mean(x), decay=0))**2)\ncentred(a) + centred(b)"
    loss = lossdsl.compile(text, backend="eager")
    loss(a=torch.tensor([1.0, 3.0]), b=torch.tensor([10.0, 30.0]))
    assert loss.ema_1.item() == 2.0
    assert loss.ema_1_2.item() == 20.0


def test_under_a_transform_nothing_moves() -> None:
    loss = lossdsl.compile(TEXT, backend="eager")
    loss(batch(4, 0))
    before = loss.ema_1.clone()
    torch.func.vmap(loss)(torch.ones(2, 4, 3))
    torch.testing.assert_close(loss.ema_1, before)


def test_its_shape_does_not_change() -> None:
    loss = lossdsl.compile("sum(ema(x))", backend="eager")
    loss(torch.ones(4))
    with pytest.raises(lossdsl.LossInputError, match=r"a mean of shape \[4\], and \[3\] came"):
        loss(torch.ones(3))
    torch.testing.assert_close(loss.ema_1, torch.ones(4))


def test_a_decay_outside_its_range_is_refused() -> None:
    with pytest.raises(lossdsl.LossError, match=r"`decay` lies in \[0, 1\)"):
        lossdsl.compile("mean(x)*0 + ema(mean(x), decay=1)")
