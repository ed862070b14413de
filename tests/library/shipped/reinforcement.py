"""Policies and values, written out in plain torch, one action at a time."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, choice, normal, whole
from torch import Tensor


def ppo(**x: Any) -> Tensor:
    rows = []
    for new, old, gain in zip(x["log_prob"], x["old"], x["advantage"].detach(), strict=True):
        ratio = (new - old).exp()
        rows.append(torch.minimum(ratio * gain, ratio.clamp(0.8, 1.2) * gain))
    critic = ((x["value"] - x["returns"].detach()) ** 2).mean()
    return -torch.stack(rows).mean() + 0.5 * critic - 0.01 * x["entropy"].mean()


def a2c(**x: Any) -> Tensor:
    critic = ((x["value"] - x["returns"].detach()) ** 2).mean()
    actor = (x["log_prob"] * x["advantage"].detach()).mean()
    return -actor + 0.5 * critic - 0.01 * x["entropy"].mean()


def temporal(values: Tensor, actions: Tensor, target: Tensor) -> Tensor:
    rows = []
    for v, a, t in zip(values, actions, target, strict=True):
        d = (v[a] - t).abs()
        rows.append(d**2 / 2 if d <= 1 else d - 0.5)
    return torch.stack(rows).mean()


def dqn(**x: Any) -> Tensor:
    best = x["next"].detach().max(1).values
    target = x["reward"] + 0.99 * best * (1 - x["done"].double())
    return temporal(x["values"], x["actions"], target)


def double_dqn(**x: Any) -> Tensor:
    best = x["next"].detach()[torch.arange(8), x["ahead"].argmax(1)]
    target = x["reward"] + 0.99 * best * (1 - x["done"].double())
    return temporal(x["values"], x["actions"], target)


STEP = ("real[B]", normal(8, scale=0.5))
POLICY = dict.fromkeys(("log_prob", "old", "advantage", "value", "returns", "entropy"), STEP)
VALUES: dict[str, Any] = {
    "values": ("real[B, A]", normal(8, 3)),
    "actions": ("labels[B]", whole(8, below=3)),
    "reward": STEP,
    "next": ("real[B, A]", normal(8, 3)),
    "done": ("mask[B]", choice(8)),
}

CASES = [
    Case("ppo_actor_critic(log_prob, old, advantage, value, returns, entropy)", POLICY, ppo),
    Case(
        "a2c(log_prob, advantage, value, returns, entropy)",
        {k: v for k, v in POLICY.items() if k != "old"},
        a2c,
    ),
    Case("dqn(values, actions, reward, next, done)", VALUES, dqn),
    Case(
        "double_dqn(values, actions, reward, ahead, next, done)",
        {**VALUES, "ahead": ("real[B, A]", normal(8, 3))},
        double_dqn,
    ),
]
