"""Learning to rank lists of scores with a relevance for each item.

A list is a row `[B, N]`; all that makes sense of it is the order of its scores. Masked items,
such as the padding of short lists, take part in nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lossdsl.functions.precision import wide
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import F, loss

OF_LISTS = "A mask keeps items; a list of which nothing is left costs 0."
OF_PAIRS = (
    "The mean over the pairs of a list whose relevance differs, then over lists; other libraries "
    "sum, or take one mean over the pairs of all lists. A list without such a pair costs 0."
)


def listwise(
    name: str,
    *,
    latex: str,
    reference: Reference,
    examples: Sequence[Example],
    values: str = "[0, inf)",
    aliases: Sequence[str] = (),
    ranges: dict[str, str] | None = None,
    conventions: Sequence[str] = (),
    pitfalls: Sequence[str] = (),
    use: str,
    avoid: str,
    checked: str,
    related: Mapping[str, str],
    identities: Sequence[tuple[str, str]] = (),
) -> Callable[[F], F]:
    """Register a loss of lists."""
    return loss(
        name,
        signature="score|real[B, N], real[B, N] -> loss[B]",
        family="ranking",
        values=values,
        aliases=aliases,
        latex=latex,
        reference=reference,
        ranges=ranges,
        conventions=(*conventions, OF_LISTS),
        pitfalls=pitfalls,
        examples=examples,
        use=use,
        avoid=avoid,
        checked=checked,
        related=related,
        identities=identities,
        mask="inside",
    )


def shown(p: Tensor, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and relevance with 0 where nothing is kept, and what is kept."""
    p, y = wide(p), wide(y)
    if mask is None:
        return p, y, torch.ones_like(p, dtype=torch.bool)
    kept = (mask > 0).expand_as(p)
    return torch.where(kept, p, 0.0), torch.where(kept, y, 0.0), kept


def differences(x: Tensor) -> Tensor:
    """x_i - x_j of each list, `[B, N, N]`."""
    return x.unsqueeze(2) - x.unsqueeze(1)


def ordered(y: Tensor, kept: Tensor) -> Tensor:
    """The pairs (i, j) of which the first is the more relevant one."""
    return (y.unsqueeze(2) > y.unsqueeze(1)) & kept.unsqueeze(2) & kept.unsqueeze(1)


def pair_mean(cost: Tensor, pairs: Tensor) -> Tensor:
    """The mean cost of each list's pairs."""
    total = torch.where(pairs, cost, 0.0).sum((1, 2))
    return share(total, pairs.sum((1, 2)).to(cost.dtype))


@listwise(
    "ranknet",
    latex=r"\frac{1}{\lvert P \rvert} \sum_{y_i > y_j} \log\left(1 + e^{-(p_i - p_j)}\right)",
    reference=Reference("C. Burges et al.", "Learning to Rank using Gradient Descent", 2005),
    conventions=(OF_PAIRS, "By how much the relevance differs does not matter."),
    use="Lists with graded relevance, where every pair should stand in the right order.",
    avoid=(
        "The top of the list counts most: `lambdarank` or `approx_ndcg`. Two items at a time:"
        " `bpr`."
    ),
    checked="loops over pairs in NumPy",
    related={
        "lambdarank": "each pair weighs as it changes NDCG",
        "pairwise_hinge": "a hinge in place of the logistic function",
        "bpr": "one pair",
    },
    identities=(
        (
            "input a: score[B, 1]; input b: score[B, 1]; "
            "ranknet(cat(a, b, over=1), cat(1 + 0*a, 0*b, over=1))",
            "input a: score[B, 1]; input b: score[B, 1]; bpr(a, b)",
        ),
    ),
    examples=(
        Example(
            "ranknet(p, y)", 0.6931471805599453, {"p": [[1.0, 1.0, 1.0]], "y": [[2.0, 0.0, 1.0]]}
        ),
    ),
)
def ranknet(p: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Logistic loss of every pair of a list: the more relevant item is to score higher.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `ranknet(scores, relevance, mask=present)`
    """
    p, y, kept = shown(p, y, mask)
    return pair_mean(-functional.logsigmoid(differences(p)), ordered(y, kept))


@listwise(
    "pairwise_hinge",
    latex=r"\frac{1}{\lvert P \rvert} \sum_{y_i > y_j} \max\left(0,\ m - (p_i - p_j)\right)",
    reference=Reference("T. Joachims", "Optimizing Search Engines using Clickthrough Data", 2002),
    ranges={"margin": "[0, inf)"},
    conventions=(OF_PAIRS, "By how much the relevance differs does not matter."),
    use=(
        "Lists with graded relevance, ranked by a support vector machine's hinge: pairs in order"
        " by a margin are left alone."
    ),
    avoid=(
        "The top of the list counts most: `lambdarank`. Wrong labels, whose cost grows without"
        " end: `approx_ndcg` is bounded."
    ),
    checked="loops over pairs in NumPy",
    related={
        "ranknet": "smooth, never quite at rest",
        "margin_ranking": "one pair, given",
        "lambdarank": "pairs weigh as they change NDCG",
    },
    examples=(Example("pairwise_hinge(p, y)", 0.5, {"p": [[1.0, 0.5]], "y": [[1.0, 0.0]]}),),
)
def pairwise_hinge(
    p: Tensor, y: Tensor, *, margin: Number = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Hinge loss of every pair of a list, as ranking support vector machines have it.

    Args:
        margin: by how much the more relevant item is to score higher.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `pairwise_hinge(scores, relevance)`
    """
    p, y, kept = shown(p, y, mask)
    return pair_mean((margin - differences(p)).relu(), ordered(y, kept))


@listwise(
    "listnet",
    latex=r"-\sum_i \frac{e^{y_i}}{\sum_j e^{y_j}} \log \frac{e^{p_i}}{\sum_j e^{p_j}}",
    reference=Reference(
        "Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai and H. Li",
        "Learning to Rank: From Pairwise Approach to Listwise Approach",
        2007,
    ),
    conventions=(
        "Relevance goes through a softmax too, as in the paper; rax and optax multiply by it as "
        "it is.",
    ),
    pitfalls=("Its minimum is the entropy of the relevance's softmax, not 0.",),
    use=(
        "Lists in which about one item matters, with relevance on the scale of scores: one"
        " softmax against another, cheap for long lists."
    ),
    avoid=(
        "Graded relevance of which the exponential is too sharp: `approx_ndcg` or `lambdarank`."
        " A full order: `listmle`."
    ),
    checked="`scipy.special.softmax` and `log_softmax`",
    related={
        "ce": "the same with the softmax of the relevance as target",
        "listmle": "the likelihood of a whole order",
        "dino": "the same of networks' scores, with temperatures",
    },
    identities=(
        ("listnet(p, y)", "input p: real[B, N]; input y: real[B, N]; ce(p, softmax(y, over=[1]))"),
    ),
    examples=(
        Example("listnet(p, y)", 0.6931471805599453, {"p": [[1.0, 1.0]], "y": [[3.0, 1.0]]}),
    ),
)
def listnet(p: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Cross entropy between two distributions of which item comes first.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `listnet(scores, relevance)`
    """
    p, y, kept = shown(p, y, mask)
    # Far below every score rather than -inf, of which a list of nothing has no softmax.
    lowest = torch.finfo(p.dtype).min / 4
    share_of = torch.where(kept, y, lowest).softmax(1)
    cost = -torch.where(kept, p, lowest).log_softmax(1)
    return torch.where(kept, share_of * torch.where(kept, cost, 0.0), 0.0).sum(1)


@listwise(
    "listmle",
    latex=(
        r"\sum_i \left(\log \sum_{j \ge i} e^{p_{\pi(j)}} - p_{\pi(i)}\right),"
        r"\quad y_{\pi(1)} \ge y_{\pi(2)} \ge \dots"
    ),
    reference=Reference(
        "F. Xia, T.-Y. Liu, J. Wang, W. Zhang and H. Li",
        "Listwise Approach to Learning to Rank: Theory and Algorithm",
        2008,
    ),
    conventions=(
        "Equally relevant items come in the order of the list; allRank shuffles them first.",
        "The sum over the items, not their mean.",
    ),
    pitfalls=("With many ties it learns the order in which they happen to stand.",),
    use=(
        "Lists with a full order, such as rankings by people: the likelihood of drawing them in"
        " that order."
    ),
    avoid=(
        "Many ties, whose order in the list it would learn: `ranknet` leaves them out. The top"
        " counts most: `lambdarank`."
    ),
    checked="the probabilities of all orders of four items, enumerated",
    related={
        "listnet": "the first place alone",
        "ranknet": "pairs in place of orders",
        "bradley_terry": "the same of two items",
    },
    examples=(
        Example("listmle(p, y)", 0.6931471805599453, {"p": [[1.0, 1.0]], "y": [[3.0, 1.0]]}),
    ),
)
def listmle(p: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Likelihood of the right order when items are drawn one by one, by the softmax of their
    scores.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `listmle(scores, relevance)`
    """
    p, y, kept = shown(p, y, mask)
    rest = follows(y, kept)
    own = torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    left = torch.where(rest | own, p.unsqueeze(1), -torch.inf)
    return torch.where(kept, left.logsumexp(2) - p, 0.0).sum(1)


def follows(x: Tensor, kept: Tensor) -> Tensor:
    """Whether j comes after i in descending order, ties by place: `[B, N, N]` of (i, j)."""
    place = torch.arange(x.shape[1], device=x.device)
    first, second = x.unsqueeze(2), x.unsqueeze(1)
    after = (first > second) | ((first == second) & (place[:, None] < place))
    return after & kept.unsqueeze(2) & kept.unsqueeze(1)


def ranks(x: Tensor, kept: Tensor) -> Tensor:
    """The place of each item in descending order, from 1."""
    return 1 + follows(x, kept).sum(1).to(x.dtype)


def ideal_gains(y: Tensor, kept: Tensor) -> Tensor:
    """2^y - 1, as a fraction of the best discounted sum that the list allows; 0 for irrelevant
    items. Counted in units of the largest, which may be too large for the dtype."""
    y = torch.where(kept, y, 0.0).clamp(min=0)
    top = y.amax(1, keepdim=True) if y.shape[1] else y
    gain = torch.exp2(y - top) * -torch.expm1(-y * math.log(2))
    best = (gain / torch.log2(1 + ranks(y, kept))).sum(1, keepdim=True)
    return share(gain, best.expand_as(gain))


@listwise(
    "lambdarank",
    latex=(
        r"\sum_{y_i > y_j} \lvert G_i - G_j \rvert"
        r" \left\lvert \frac{1}{D_i} - \frac{1}{D_j} \right\rvert"
        r" \log\left(1 + e^{-\sigma (p_i - p_j)}\right)"
    ),
    reference=Reference(
        "C. J. C. Burges", "From RankNet to LambdaRank to LambdaMART: An Overview", 2010
    ),
    ranges={"sigma": "(0, inf)"},
    conventions=(
        "G is 2^y - 1 over the best DCG, D is log2(1 + rank): each pair weighs as much as "
        "swapping it changes NDCG. The weights carry no gradient.",
        "The sum over pairs, with the natural logarithm; allRank's lambdaLoss has log2.",
        "Relevance below 0 counts as 0. Of equal scores the earlier one ranks higher.",
    ),
    pitfalls=("Its value jumps when two scores change places: watch NDCG, not the loss.",),
    use=(
        "Search and recommendation that are scored by NDCG: pairs near the top, and pairs of"
        " very different relevance, weigh most."
    ),
    avoid=(
        "A value that is to be compared between steps, as it jumps when ranks change:"
        " `approx_ndcg`. Few graded labels: `ranknet`."
    ),
    checked="`sklearn.metrics.ndcg_score` of the list with each pair swapped",
    related={
        "ranknet": "all pairs alike",
        "approx_ndcg": "NDCG itself, with soft ranks",
        "pairwise_hinge": "all pairs alike, by a hinge",
    },
    identities=(("lambdarank(p, y, sigma=2)", "lambdarank(2*p, y)"),),
    examples=(
        Example("lambdarank(p, y)", 0.2558200007405084, {"p": [[1.0, 1.0]], "y": [[1.0, 0.0]]}),
    ),
)
def lambdarank(p: Tensor, y: Tensor, *, sigma: Number = 1.0, mask: Tensor | None = None) -> Tensor:
    """RankNet with every pair weighted by what swapping it would change in NDCG.

    Args:
        sigma: the steepness of the logistic function.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `lambdarank(scores, relevance, mask=present)`
    """
    p, y, kept = shown(p, y, mask)
    gain = ideal_gains(y.detach(), kept)
    discount = 1 / torch.log2(1 + ranks(p.detach(), kept))
    weight = (differences(gain) * differences(discount)).abs()
    cost = weight * -functional.logsigmoid(sigma * differences(p))
    return torch.where(ordered(y, kept), cost, 0.0).sum((1, 2))


@listwise(
    "approx_ndcg",
    values="[0, 1]",
    latex=(
        r"1 - \sum_i \frac{G_i}{\log_2(1 + r_i)},\quad"
        r" r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{p_j - p_i}{\tau}\right)"
    ),
    reference=Reference(
        "T. Qin, T.-Y. Liu and H. Li",
        "A general approximation framework for direct optimization of information retrieval "
        "measures",
        2010,
    ),
    ranges={"temperature": "(0, inf)"},
    conventions=(
        "One minus NDCG; allRank returns minus NDCG.",
        "G is 2^y - 1 over the best DCG, relevance below 0 counting as 0; a list without a "
        "relevant item costs 0.",
    ),
    use=(
        "NDCG itself as the loss, bounded in [0, 1]: lists with graded relevance whose labels"
        " may be wrong."
    ),
    avoid=(
        "A start from random scores on long lists, where soft ranks hardly move: `lambdarank` or"
        " `listnet` first."
    ),
    checked="`sklearn.metrics.ndcg_score` when cold, and the paper's formula in loops",
    related={
        "lambdarank": "pairs, weighted by NDCG",
        "listnet": "a softmax, without ranks",
        "ranknet": "pairs, without ranks",
    },
    identities=(("approx_ndcg(p, y, temperature=0.5)", "approx_ndcg(2*p, y)"),),
    examples=(
        Example("approx_ndcg(p, y)", 0.24352920263397004, {"p": [[1.0, 1.0]], "y": [[1.0, 0.0]]}),
    ),
)
def approx_ndcg(
    p: Tensor, y: Tensor, *, temperature: Number = 1.0, mask: Tensor | None = None
) -> Tensor:
    """One minus NDCG with ranks that are counted by sigmoids.

    Args:
        temperature: towards 0 the ranks become the true ones, and gradients vanish.

    Shape:
        p and y [B, N], a list a row; one value a list.

    Example:
        `approx_ndcg(scores, relevance, temperature=0.1)`
    """
    p, y, kept = shown(p, y, mask)
    other = kept.unsqueeze(2) & kept.unsqueeze(1)
    other = other & ~torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    ahead = torch.sigmoid(differences(p) / temperature)
    rank = 1 + torch.where(other, ahead, 0.0).sum(1)
    gain = ideal_gains(y, kept)
    some = gain.detach().sum(1) > 0
    return torch.where(some, 1 - (gain / torch.log2(1 + rank)).sum(1), 0.0)
