"""Policy losses: the papers' formulas in NumPy, and which side of a clip has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from laws import examples_hold, normal, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.policy import cispo, grpo, policy_gradient, ppo

CLIPS: list[dict[str, Any]] = [{}, {"clip": 0.1}, {"clip": 0.2, "clip_high": 0.28}]


def tokens() -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of two policies whose ratios lie on all sides of the clips."""
    logp = -normal(6, 7).abs()
    return logp, logp - 0.3 * normal(6, 7, seed=1), normal(6, 7, seed=2)


def clipped(ratio: Any, advantage: Any, clip: float = 0.2, clip_high: float | None = None) -> Any:
    high = clip if clip_high is None else clip_high
    return -np.minimum(ratio * advantage, np.clip(ratio, 1 - clip, 1 + high) * advantage)


def flat(ratio: Any, advantage: Any, clip: float = 0.2, clip_high: float | None = None) -> Any:
    """Where the pessimistic surrogate does not depend on the ratio."""
    high = clip if clip_high is None else clip_high
    return np.where(advantage > 0, ratio > 1 + high, ratio < 1 - clip)


@pytest.mark.parametrize("name", ["policy_gradient", "ppo", "grpo", "cispo"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


def test_the_policy_gradient_is_that_of_the_expected_reward() -> None:
    scores, reward = normal(5).requires_grad_(), normal(5, seed=1)
    chance = scores.softmax(0)
    (expected,) = torch.autograd.grad((chance * reward).sum(), scores, retain_graph=True)
    # Each action as often as the policy takes it.
    cost = policy_gradient(scores.log_softmax(0), reward)
    same(cost, -(reward * scores.log_softmax(0)).detach())
    (slope,) = torch.autograd.grad((chance.detach() * cost).sum(), scores)
    same(-slope, expected)


@pytest.mark.parametrize("clip", CLIPS)
def test_ppo_is_the_papers(clip: dict[str, Any]) -> None:
    logp, old, advantage = tokens()
    ratio = np.exp((logp - old).numpy())
    logp.requires_grad_()
    cost = ppo(logp, old, advantage, **clip)
    same(cost, clipped(ratio, advantage.numpy(), **clip))
    (slope,) = torch.autograd.grad(cost.sum(), logp)
    still = flat(ratio, advantage.numpy(), **clip)
    assert still.any()
    assert not still.all()
    same(slope, np.where(still, 0.0, -ratio * advantage.numpy()))


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("beta", [0.0, 0.04, 1.0])
def test_grpo_is_the_papers(clip: dict[str, Any], beta: float) -> None:
    logp, old, _ = tokens()
    advantage, reference = normal(6, seed=3), logp - 0.5 * normal(6, 7, seed=4)
    ratio, own = np.exp((logp - old).numpy()), advantage.numpy()[:, None]
    apart = (reference - logp).numpy()
    logp.requires_grad_()
    cost = grpo(logp, old, advantage, reference, beta=beta, **clip)
    same(cost, clipped(ratio, own, **clip) + beta * (np.exp(apart) - apart - 1), rtol=1e-11)
    (slope,) = torch.autograd.grad(cost.sum(), logp)
    pull = beta * (1 - np.exp(apart))
    same(slope, np.where(flat(ratio, own, **clip), 0.0, -ratio * own) + pull, rtol=1e-11)
    same(grpo(logp, old, advantage, **clip), clipped(ratio, own, **clip))


def test_the_papers_means() -> None:
    """Of a batch with answers of different lengths: GRPO's, DAPO's and Dr. GRPO's."""
    logp, old, _ = tokens()
    advantage, lengths = normal(6, seed=3), torch.tensor([7, 1, 3, 5, 2, 7])
    mask = (torch.arange(7) < lengths[:, None]).double()
    declared = "input p: real[B, T]\ninput o: real[B, T]\ninput a: real[B]\ninput m: mask[B, T]\n"
    cost = clipped(np.exp((logp - old).numpy()), advantage.numpy()[:, None]) * mask.numpy()
    expected = {
        "mean(grpo(p, o, a, mask=m, reduction='batch'))": (cost.sum(1) / lengths.numpy()).mean(),
        "grpo(p, o, a, mask=m)": cost.sum() / lengths.sum().item(),
        "grpo(p, o, a, mask=m, per=100)": cost.sum() / 100,
    }
    for text, value in expected.items():
        loss = lossdsl.compile(declared + text, backend="eager")
        same(loss(p=logp, o=old, a=advantage, m=mask), value)


def test_one_ratio_an_answer() -> None:
    """GSPO, as the page of ppo has it."""
    logp, old, _ = tokens()
    logp, old = 0.01 * logp, 0.01 * old
    advantage = normal(6, seed=3)
    mask = (torch.arange(7) < torch.tensor([7, 1, 3, 5, 2, 7])[:, None]).double()
    loss = lossdsl.compile(
        "input logp: real[B, T]\ninput old: real[B, T]\ninput a: real[B]\ninput m: mask[B, T]\n"
        "ppo(mean(logp, over=[T], where=m), mean(old, over=[T], where=m), a, clip=3e-4, "
        "clip_high=4e-4)",
        backend="eager",
    )
    change = ((logp - old) * mask).sum(1) / mask.sum(1)
    expected = clipped(np.exp(change.numpy()), advantage.numpy(), 3e-4, 4e-4).mean()
    same(loss(logp=logp, old=old, a=advantage, m=mask), expected)


@pytest.mark.parametrize("most", [1.05, 5.0])
def test_cispo_is_the_papers(most: float) -> None:
    logp, old, _ = tokens()
    advantage = normal(6, seed=3)
    weight = np.minimum(np.exp((logp - old).numpy()), most) * advantage.numpy()[:, None]
    logp.requires_grad_()
    cost = cispo(logp, old, advantage, most=most)
    same(cost, -weight * logp.detach().numpy())
    (slope,) = torch.autograd.grad(cost.sum(), logp)
    same(slope, -weight)


def test_at_the_old_policy_all_are_the_policy_gradient() -> None:
    logp, _, _ = tokens()
    logp.requires_grad_()
    advantage = normal(6, seed=3)
    expected = -advantage[:, None].expand(6, 7)
    for cost in (
        ppo(logp, logp, advantage[:, None].expand(6, 7)),
        grpo(logp, logp, advantage),
        cispo(logp, logp, advantage),
    ):
        (slope,) = torch.autograd.grad(cost.sum(), logp)
        same(slope, expected)


def test_parameters_may_move() -> None:
    logp, old, advantage = tokens()
    takes_tensor(ppo, "clip", 0.1, logp, old, advantage)
    takes_tensor(ppo, "clip_high", 0.1, logp, old, advantage)
    takes_tensor(grpo, "beta", 0.1, logp, old, advantage[:, 0], old)
    takes_tensor(cispo, "most", 1.1, logp, old, advantage[:, 0])


def test_a_policy_that_changed_its_mind_is_finite() -> None:
    logp = torch.tensor([[0.0, -2e4]], requires_grad=True)
    old, advantage = torch.tensor([[-2e4, 0.0]]), torch.tensor([[-1.0, 1.0]])
    cost = ppo(logp, old, advantage)
    (slope,) = torch.autograd.grad(cost.sum(), logp)
    assert cost.isfinite().all()
    assert slope.isfinite().all()
    assert slope[0, 0] > 0
