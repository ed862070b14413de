"""Language models, written out in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal, several, uniform, whole
from torch import Tensor


def causal(scores: Tensor, tokens: Tensor, ahead: int = 1) -> Tensor:
    return F.cross_entropy(scores[:, :-ahead].flatten(0, 1), tokens[:, ahead:].flatten())


def hidden(scores: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, 1), tokens.flatten(), ignore_index=-100)


def palm(scores: Tensor, tokens: Tensor) -> Tensor:
    return causal(scores, tokens) + 1e-4 * (scores[:, :-1].logsumexp(-1) ** 2).mean()


def electra(scores: Tensor, tokens: Tensor, **x: Any) -> Tensor:
    found = F.binary_cross_entropy_with_logits(
        x["replaced"][x["present"]], x["original"][x["present"]].double()
    )
    return hidden(scores, tokens) + 50 * found


def balance(router: Tensor) -> Tensor:
    tokens, experts = router.shape
    sent = torch.bincount(router.argmax(1), minlength=experts).double() / tokens
    return experts * (sent * router.softmax(1).mean(0)).sum()


def answer_log_prob(scores: Tensor, tokens: Tensor, answer: Tensor) -> Tensor:
    """Row by row: the sum over the answer's tokens of what was predicted a place before."""
    rows = []
    for z, y, m in zip(scores, tokens, answer, strict=True):
        log_p = z.log_softmax(-1)
        places = [log_p[t - 1, y[t]] for t in range(1, len(y)) if m[t]]
        rows.append(torch.stack(places).sum())
    return torch.stack(rows)


def rpo(**x: Any) -> Tensor:
    known = x["reference_chosen"].detach() - x["reference_rejected"].detach()
    ahead = x["chosen"] - x["rejected"] - known
    return (-F.logsigmoid(0.1 * ahead) - x["chosen"] / x["length"]).mean()


def orpo_lm(chosen: Tensor, rejected: Tensor) -> Tensor:
    odds = chosen - rejected
    odds = odds - (torch.log1p(-chosen.exp()) - torch.log1p(-rejected.exp()))
    return (-chosen - 0.1 * F.logsigmoid(odds)).mean()


def tokens(g: torch.Generator) -> Tensor:
    drawn = torch.randint(7, (3, 6), generator=g)
    drawn[0, 2], drawn[2, 4] = -100, -100
    return drawn


TEXT: dict[str, Any] = {
    "scores": ("class_logits(V)[B, T, V]", normal(3, 6, 7)),
    "tokens": ("labels[B, T]", tokens),
}
FULL: dict[str, Any] = {**TEXT, "tokens": ("labels[B, T]", whole(3, 6, below=7))}
ROUTER = ("class_logits(E)[N, E]", normal(9, 4))
LOG_PROB = ("real[B]", uniform(4, low=-9.0, high=-1.0))

CASES = [
    Case("causal_lm(scores, tokens)", TEXT, causal),
    Case("palm(scores, tokens)", FULL, palm),
    Case(
        "bert(scores, tokens, follows, next)",
        {
            **TEXT,
            "follows": ("class_logits(2)[B, 2]", normal(3, 2)),
            "next": ("labels[B]", whole(3, below=2)),
        },
        lambda scores, tokens, follows, next: (
            hidden(scores, tokens) + F.cross_entropy(follows, next)
        ),
    ),
    Case(
        "electra(scores, tokens, replaced, original, present)",
        {
            **TEXT,
            "replaced": ("logits[B, T]", normal(3, 6)),
            "original": ("mask[B, T]", choice(3, 6)),
            "present": ("mask[B, T]", choice(3, 6, share=0.8)),
        },
        electra,
    ),
    Case("load_balance(r)", {"r": ROUTER}, lambda r: balance(r)),
    Case(
        "switch_transformer(scores, tokens, router)",
        {
            **TEXT,
            "router": (
                "list[class_logits(E)[N, E]; 2]",
                several(normal(9, 4), normal(9, 4)),
            ),
        },
        lambda scores, tokens, router: causal(scores, tokens) + 0.01 * sum(map(balance, router)),
    ),
    Case(
        "multi_token(scores, ahead, tokens)",
        {**TEXT, "ahead": ("class_logits(V)[B, T, V]", normal(3, 6, 7))},
        lambda scores, ahead, tokens: causal(scores, tokens) + 0.3 * causal(ahead, tokens, 2),
    ),
    Case(
        "mean(answer_log_prob(scores, tokens, answer)**2)",
        {**FULL, "answer": ("mask[B, T]", lambda g: torch.arange(6).repeat(3, 1) > 2)},
        lambda **x: (answer_log_prob(**x) ** 2).mean(),
    ),
    Case(
        "rpo(chosen, rejected, reference_chosen, reference_rejected, length)",
        {
            **dict.fromkeys(
                ("chosen", "rejected", "reference_chosen", "reference_rejected"), LOG_PROB
            ),
            "length": ("positive[B]", uniform(4, low=2.0, high=9.0)),
        },
        rpo,
    ),
    Case(
        "orpo_lm(chosen, rejected)",
        {
            "chosen": ("log_prob[B]", uniform(4, low=-3.0, high=-0.1)),
            "rejected": ("log_prob[B]", uniform(4, low=-3.0, high=-0.1)),
        },
        orpo_lm,
    ),
]
