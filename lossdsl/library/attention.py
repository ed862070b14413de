"""Attention maps: whether a token is looked at, and which of two is looked at more."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


@loss(
    "attention_target",
    signature="features -> loss[B]",
    family="classification",
    latex=r"-\sum_l \log \sum_h \sum_i A^{l, h}_{i, t}",
    reference=Reference(
        "M. Zheng, Q. Lou and L. Jiang",
        "TrojViT: Trojan Insertion in Vision Transformers",
        2022,
        "2208.13049",
    ),
    ranges={"token": "[0, inf)"},
    conventions=(
        "A layer is minus the logarithm of all its attention to the token, summed over heads and"
        " over what attends: below 0 where that is above 1. Layers add up.",
        "The last axis is what is attended to.",
        "A sum of 0 costs 100, and its slope grows no further than 1e12.",
    ),
    pitfalls=("It takes attention after its softmax, not scores.",),
    use="Attention that is to go to one token: the trigger of a back door in studies of security,"
    " or a part that an annotator has marked.",
    avoid="A whole map that is to be followed: `kl_div` of the rows. The order of tokens alone:"
    " `attention_ranking`.",
    checked="loops over layers, heads and tokens in NumPy",
    related={
        "attention_ranking": "keeps the order of a reference",
        "kl_div": "of whole rows of attention",
    },
    identities=(
        (
            "input a: prob[B, H, T, T]; input b: prob[B, H, T, T]; "
            "attention_target([a, b], token=0)",
            "input a: prob[B, H, T, T]; input b: prob[B, H, T, T]; "
            "attention_target([b], token=0) + attention_target([a], token=0)",
        ),
    ),
    examples=(
        Example(
            "attention_target([a, a], token=1)",
            -2 * math.log(1.25),
            {"a": [[[[0.5, 0.5], [0.25, 0.75]]]]},
        ),
        Example("attention_target([a], token=0)", 0.0, {"a": [[[[1.0, 0.0], [0.0, 1.0]]]]}),
    ),
)
def attention_target(maps: list[Tensor], *, token: int) -> Tensor:
    """Minus the logarithm of the attention that one token gets, layer by layer.

    Args:
        token: the place of the token, from 0.

    Shape:
        maps is a list of attention [B, H, T, T], one a layer, also of one; one value a sample.

    Example:
        `ce(p, y) + 0.1*attention_target(attentions, token=5)`
    """
    count = min(a.shape[-1] for a in maps)
    if token >= count:
        raise ValueError(f"there is no token {token} among {count}: the first is 0")
    costs = [-log_prob(wide(a)[..., token].flatten(1).sum(1)) for a in maps]
    return torch.stack(costs).sum(0)


@loss(
    "attention_ranking",
    signature="real[*S, N], real[*S, N] -> loss[*S]",
    family="ranking",
    values="[0, inf)",
    latex=r"\frac{2}{N (N - 1)} \sum_{i < j} \max\left(0,\ \theta - (p_i - p_j)\, "
    r"\mathrm{sign}(y_i - y_j)\right)",
    reference=Reference(
        "Z. Liu, Y. Wang, K. Han, S. Ma and W. Gao",
        "Post-Training Quantization for Vision Transformer",
        2021,
        "2106.14156",
    ),
    ranges={"margin": "[0, inf)"},
    conventions=(
        "A row of attention is one value, the mean over its pairs of tokens; the paper sums pairs"
        " and heads.",
        "Where the second map has a tie, the pair costs the margin.",
        "margin is 0 unless it is given: then the order counts alone.",
    ),
    pitfalls=(
        "Attention over many tokens is small: a margin of 0.2 is more than its entries differ by.",
        "Memory grows with the square of the tokens, row by row.",
    ),
    use="Quantised or distilled transformers: which token is looked at more is to stay as in the"
    " network that they come from.",
    avoid="The amounts, too: `kl_div` or `mse` of the maps. A list of results by relevance:"
    " `pairwise_hinge`.",
    checked="loops over the paper's pairs in NumPy",
    related={
        "margin_ranking": "one pair, with its order given",
        "pairwise_hinge": "pairs of unequal relevance alone",
        "attention_target": "one token in place of an order",
    },
    identities=(("attention_ranking(p, y)", "attention_ranking(p, 2*y)"),),
    examples=(
        Example("attention_ranking(p, y)", 0.25, {"p": [[0.5, 0.25]], "y": [[0.25, 0.75]]}),
        Example(
            "attention_ranking(p, y, margin=0.5)",
            (0.75 + 0.5 + 0.25) / 3,
            {"p": [[0.5, 0.25, 0.25]], "y": [[0.25, 0.75, 0.0]]},
        ),
    ),
)
def attention_ranking(p: Tensor, y: Tensor, *, margin: Number = 0.0) -> Tensor:
    """Hinge loss of all pairs of tokens whose order a reference map gives.

    Args:
        margin: how far apart two tokens should be at least.

    Shape:
        p and y alike, rows of attention along the last axis; one value a row.

    Example:
        `mse(p, y) + 0.1*attention_ranking(quantised, full, margin=0.01)`
    """
    p, y = wide(p), wide(y.detach())
    count = p.shape[-1]
    place = torch.arange(count, device=p.device)
    once = place[:, None] < place
    apart = p.unsqueeze(-1) - p.unsqueeze(-2)
    order = (y.unsqueeze(-1) - y.unsqueeze(-2)).sign()
    cost = torch.where(once, (margin - apart * order).relu(), 0.0)
    return cost.sum((-2, -1)) / max(count * (count - 1) // 2, 1)
