"""Losses to look at: one for each thing that a drawing or a stage may get wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import lossdsl
from lossdsl import Loss

REFERENCE = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"

DEEP = """
input aux: list[class_logits[B, C, H, W]; 3]
input y:   labels(ignore=255)[B, H, W]
sum(w*ce(o, y) for o, w in zip(aux, [1, 0.4, 0.2]))
"""

FUNCTION = """
input p:   logits[B, 1, H, W]
input y:   mask[B, 1, H, W]
input img: image[B, 3, H, W]
param w_tv = 0.1
param s    = learnable(0.0)
def focal_dice(p, y, a=0.5) = a*focal(p, y) + (1 - a)*dice(p, y)
smooth = warmup(step, 1000)*w_tv*tv(img)
0.5*bce(p, y) as fg + exp(-s)*focal_dice(p, y) + s + smooth
"""

LABELS = "ce(p, y) + 0.5*dice(p, y)"

BOXES = """
input b: boxes(cxcywh)[N, 4]
input t: boxes[N, 4]
input w: mask[N]
5*l1(real(b)[:, :2], real(t)[:, :2]) + 2*giou(b, t, mask=w, per=sum(w))
"""

SCHEDULE = """
input x: real[B, D]
input y: real[B, D]
linear(step, 1, 0, 100, 200)*mse(x, y, reduction='sum') - cosine(epoch, 1, 0.1, 0, 10)*l1(x, y)/2
"""

CONDITIONAL = """
q = sigmoid(p)
mean((q - y)**2 if y > 0.5 and q < 0.9 else abs(q - y)) + 0.1*l1(p[:, 0], 0) as first
"""

REWRITTEN = "bce(sigmoid(p), y) - mean(log(sigmoid(z))) + 0*mse(p, y)"

GAN: dict[str, Any] = {
    "inputs": {
        "real_scores": "score[B]",
        "fake_scores": "score[B]",
        "x": "image[B, 3, H, W]",
        "fake": "image[B, 3, H, W]",
    },
    "params": {"w_rec": 10.0},
    "losses": {
        "generator": {
            "terms": {"adv": "hinge_gan_g(fake_scores)", "rec": "w_rec*l1(fake, x)"},
            "monitor": {"far": "mse(fake, x)"},
        },
        "discriminator": {"loss": "hinge_gan_d(real_scores, fake_scores)"},
    },
}

MODULE = """
input img: image[B, 3, H, W]
input D:   module(image[B, 3, H, W]) -> score[B]
hinge_gan_g(D(img))
"""


class Critic(nn.Module):
    """A network small enough to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) @ self.weight


def _program(text: str, **options: Any) -> Callable[[], Loss]:
    return lambda: lossdsl.compile(text.strip(), backend="eager", **options)


LOSSES: dict[str, Callable[[], Loss]] = {
    "reference": _program(REFERENCE),
    "deep": _program(DEEP),
    "function": _program(FUNCTION, name="seg"),
    "labels": _program(LABELS),
    "boxes": _program(BOXES),
    "schedule": _program(SCHEDULE),
    "conditional": _program(CONDITIONAL),
    "rewritten": _program(REWRITTEN),
    "generator": lambda: lossdsl.from_config(GAN, "generator", backend="eager"),
    "discriminator": lambda: lossdsl.from_config(GAN, "discriminator", backend="eager"),
    "module": _program(MODULE, modules={"D": Critic()}),
}


@pytest.fixture(params=LOSSES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each loss in turn."""
    return str(request.param)


@pytest.fixture
def loss(name: str) -> Loss:
    """Each loss in turn."""
    return LOSSES[name]()


@pytest.fixture
def make() -> Callable[[str], Loss]:
    """One loss by its name."""
    return lambda wanted: LOSSES[wanted]()
