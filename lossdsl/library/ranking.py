"""Learning to rank by pairs of scores."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

PAIRS = "score|real[*S], score|real[*S] -> loss[*S]"


@loss(
    "margin_ranking",
    signature="score|real[*S], score|real[*S], sign[*S] -> loss[*S]",
    family="ranking",
    values="[0, inf)",
    latex=r"\max\left(0,\ -t (a - b) + m\right)",
    reference=Reference(
        "R. Herbrich, T. Graepel and K. Obermayer",
        "Large Margin Rank Boundaries for Ordinal Regression",
        2000,
    ),
    ranges={"margin": "[0, inf)"},
    conventions=(
        "t = 1 says that the first score is to be the larger one, -1 the second.",
        "margin is 0, as in PyTorch; the gradient at a tie is then 0.",
    ),
    pitfalls=("With margin 0 equal scores cost nothing: a constant network is perfect.",),
    use=(
        "Two scores of which one is to be higher by a margin: comparisons, search results,"
        " quality of images."
    ),
    avoid=(
        "Choices with chance in them: `bpr` or `bradley_terry` are smooth and have no margin to"
        " tune. Whole lists: `pairwise_hinge`, `lambdarank`."
    ),
    checked="`torch.nn.functional.margin_ranking_loss`",
    related={
        "bpr": "smooth, without a margin",
        "pairwise_hinge": "all pairs of a list",
        "hinge": "the same of the difference",
        "triplet": "of two distances",
    },
    identities=(
        (
            "margin_ranking(a, b, t, margin=1)",
            "input a: score[*S]; input b: score[*S]; input t: sign[*S]; hinge(a - b, t)",
        ),
        (
            "margin_ranking(a, b, t)",
            "input a: score[*S]; input b: score[*S]; input t: sign[*S]; perceptron(a - b, t)",
        ),
    ),
    examples=(
        Example("margin_ranking(a, b, t, margin=1)", 3.0, {"a": [0.0], "b": [2.0], "t": [1.0]}),
    ),
)
def margin_ranking(a: Tensor, b: Tensor, t: Tensor, *, margin: Number = 0.0) -> Tensor:
    """Asks the better of two scores to exceed the other by a margin.

    Args:
        margin: by how much.

    Shape:
        a, b and t alike, any shape, t -1 or 1; one value a pair.

    Example:
        `margin_ranking(score_a, score_b, better, margin=1)`
    """
    return (margin - t * (a - b)).relu()


@loss(
    "bpr",
    signature=PAIRS,
    family="ranking",
    values="[0, inf)",
    latex=r"-\log \sigma(p - n)",
    reference=Reference(
        "S. Rendle, C. Freudenthaler, Z. Gantner and L. Schmidt-Thieme",
        "BPR: Bayesian Personalized Ranking from Implicit Feedback",
        2009,
        "1205.2618",
    ),
    conventions=("Without the paper's penalty on the weights, which is the optimiser's.",),
    use=(
        "Recommendation from what was chosen: an item that was taken is to score above one that"
        " was not."
    ),
    avoid=(
        "Graded relevance or whole lists: `ranknet`, `lambdarank`. A fixed margin:"
        " `margin_ranking`. Many negatives for each positive: `n_pairs` or `info_nce`."
    ),
    checked="NumPy's `logaddexp`",
    related={
        "ranknet": "all pairs of a list",
        "bradley_terry": "the same of two answers, with a margin",
        "margin_ranking": "a hinge in place of the logistic function",
        "rpgan_d": "the same formula as a game",
    },
    identities=(
        (
            "input p: score[*S]; input n: score[*S]; bpr(p, n)",
            "input p: score[*S]; input n: score[*S]; logistic(p - n, 1)",
        ),
        ("bpr(p, n)", "rpgan_d(p, n)"),
    ),
    examples=(Example("bpr(p, n)", 0.6931471805599453, {"p": [1.0], "n": [1.0]}),),
)
def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Logistic loss of the difference of two scores: what was chosen against what was not.

    Shape:
        positive and negative alike, any shape; one value a pair.

    Example:
        `bpr(score(user, bought), score(user, other))` with a network `score`
    """
    return -functional.logsigmoid(positive - negative)
