"""Self-supervised learning, written out in plain torch from the papers' pseudo-code."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal
from torch import Tensor


def byol_pair(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    def apart(p: Tensor, z: Tensor) -> Tensor:
        return ((F.normalize(p, dim=1) - F.normalize(z.detach(), dim=1)) ** 2).sum(1).mean()

    return apart(p1, z2) + apart(p2, z1)


def moco(query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
    q, k = F.normalize(query, dim=1), F.normalize(key.detach(), dim=1)
    others = F.normalize(queue.detach(), dim=1)
    scores = torch.cat([(q * k).sum(1, keepdim=True), q @ others.T], 1) / 0.07
    return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long))


def moco_v3(q1: Tensor, q2: Tensor, k1: Tensor, k2: Tensor) -> Tensor:
    def ctr(q: Tensor, k: Tensor) -> Tensor:
        scores = F.normalize(q, dim=1) @ F.normalize(k.detach(), dim=1).T
        return 2 * 0.2 * F.cross_entropy(scores / 0.2, torch.arange(len(q)))

    return ctr(q1, k2) + ctr(q2, k1)


def swav(s1: Tensor, s2: Tensor, c1: Tensor, c2: Tensor) -> Tensor:
    first = (c2.detach() * F.log_softmax(s1 / 0.1, 1)).sum(1)
    second = (c1.detach() * F.log_softmax(s2 / 0.1, 1)).sum(1)
    return -0.5 * (first + second).mean()


def sinkhorn(scores: Tensor) -> Tensor:
    """The paper's algorithm, as its pseudo-code has it."""
    share = torch.exp(scores.detach() / 0.05).T
    share = share / share.sum()
    for _ in range(3):
        share = share / share.sum(1, keepdim=True) / share.shape[0]
        share = share / share.sum(0, keepdim=True) / share.shape[1]
    return (share * share.shape[1]).T


def masked_autoencoder(p: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    target = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6) ** 0.5
    each = ((p - target) ** 2).mean(-1)
    return (each * hidden).sum() / hidden.sum()


def simmim(p: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    return ((p - x).abs() * hidden).sum() / hidden.sum() / x.shape[1]


def data2vec(p: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    return F.smooth_l1_loss(p[hidden], x.detach()[hidden], beta=2.0)


def ibot(**x: Any) -> Tensor:
    def apart(s: Tensor, t: Tensor) -> Tensor:
        target = F.softmax(t.detach() / 0.04, 1)
        return -(target * F.log_softmax(s / 0.1, 1)).sum(1).mean()

    return apart(x["s"], x["t"]) + apart(x["ps"], x["pt"])


def rows(g: torch.Generator) -> Tensor:
    return torch.softmax(torch.randn(5, 6, generator=g, dtype=torch.float64), 1)


VECTOR = ("embedding[N, D]", normal(5, 4))
SCORES = ("real[N, K]", normal(5, 6, scale=0.3))
PATCHES = {
    "p": ("real[B, L, D]", normal(2, 5, 6)),
    "x": ("real[B, L, D]", normal(2, 5, 6)),
    "hidden": ("mask[B, L]", choice(2, 5)),
}

CASES = [
    Case("byol_pair(p1, p2, z1, z2)", dict.fromkeys(("p1", "p2", "z1", "z2"), VECTOR), byol_pair),
    Case(
        "moco(query, key, queue)",
        {"query": VECTOR, "key": VECTOR, "queue": ("embedding[M, D]", normal(7, 4))},
        moco,
    ),
    Case("moco_v3(q1, q2, k1, k2)", dict.fromkeys(("q1", "q2", "k1", "k2"), VECTOR), moco_v3),
    Case(
        "swav(s1, s2, c1, c2)",
        {"s1": SCORES, "s2": SCORES, "c1": ("real[N, K]", rows), "c2": ("real[N, K]", rows)},
        swav,
    ),
    Case(
        "swav(s1, s2, swav_codes(s1), swav_codes(s2))",
        {"s1": SCORES, "s2": SCORES},
        lambda s1, s2: swav(s1, s2, sinkhorn(s1), sinkhorn(s2)),
    ),
    Case("masked_autoencoder(p, x, hidden)", PATCHES, masked_autoencoder),
    Case(
        "simmim(p, x, hidden)",
        {
            "p": ("real[B, C, H, W]", normal(2, 3, 4, 4)),
            "x": ("real[B, C, H, W]", normal(2, 3, 4, 4)),
            "hidden": ("mask[B, 1, H, W]", choice(2, 1, 4, 4)),
        },
        simmim,
    ),
    Case(
        "beit(scores, tokens, hidden)",
        {
            "scores": ("class_logits(V)[B, L, V]", normal(2, 5, 6)),
            "tokens": ("labels[B, L]", lambda g: torch.randint(6, (2, 5), generator=g)),
            "hidden": ("mask[B, L]", choice(2, 5)),
        },
        lambda scores, tokens, hidden: F.cross_entropy(scores[hidden], tokens[hidden]),
    ),
    Case("data2vec(p, x, hidden)", PATCHES, data2vec),
    Case(
        "ibot(s, t, ps, pt)",
        dict.fromkeys(("s", "t", "ps", "pt"), SCORES),
        ibot,
    ),
]
