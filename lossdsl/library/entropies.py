"""Cross entropies that a task calls by a name of its own: of distributions, of weighted classes, of
the steps of a sequence, of the pixels of a map."""

from __future__ import annotations

import math

from torch import Tensor

from lossdsl.functions.logistic import log_sigmoids
from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.classification import OF_PROBABILITIES, ce, soft_ce
from lossdsl.library.guarded import log_complement, log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

LN2 = math.log(2)

# What the identities below declare.
CLASSES = "input p: class_logits[B, C]; input y: labels[B]; "
THREE = "input p: class_logits(3)[B, 3, *S]; input y: labels[B, *S]; "
STEPS = "input p: class_logits[B, T, C]; input y: labels[B, T]; "
PIXELS = "input p: class_logits[B, C, H, W]; input y: labels[B, H, W]; "

GOOD = Reference("I. J. Good", "Rational Decisions", 1952)


@loss(
    "categorical_cross_entropy",
    signature="class_logits|class_log_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("cce",),
    latex=r"-\sum_c y_c \log \mathrm{softmax}(p)_c",
    reference=GOOD,
    ranges={"label_smoothing": "[0, 1)"},
    conventions=(
        "Targets are distributions, one-hot or soft, with the class axis of the scores; labels are"
        " refused, as in Keras: they are `ce`'s, or `one_hot(y, C)` makes them targets.",
        "The kind says whether scores or probabilities come: there is no from_logits.",
        "Class weights act on every class's share of the target, and the mean divides by the number"
        " of positions.",
        *OF_PROBABILITIES,
    ),
    pitfalls=(
        "It is not 0 for a prediction that equals a soft target: what is left is its entropy.",
    ),
    class_weight="labels",
    use="Targets that are distributions: several annotators, mixed images, a teacher's"
    " probabilities, codes of a tokeniser.",
    avoid="One class index a position: `ce`, which does not look at the other classes' targets."
    " Classes that occur together: `bce`.",
    checked="`torch.nn.functional.cross_entropy` with distributions, weights and smoothing",
    related={
        "ce": "takes labels too",
        "kl_div": "less the target's own entropy",
        "bce": "each class on its own",
    },
    identities=(
        ("cce(p, y)", "input p: class_logits[B, C]; input y: class_prob[B, C]; ce(p, y)"),
        (f"{CLASSES}cce(p, one_hot(y, C))", f"{CLASSES}ce(p, y)"),
        ("cce(p, y)", "cce(softmax(p), y)"),
    ),
    examples=(
        Example("categorical_cross_entropy(p, y)", LN2, {"p": [[0.0, 0.0]], "y": [[0.25, 0.75]]}),
        Example(
            "cce(class_prob(p), y)",
            0.5 * math.log(4) + 0.5 * math.log(4 / 3),
            {"p": [[0.25, 0.75]], "y": [[0.5, 0.5]]},
        ),
    ),
)
def categorical_cross_entropy(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of a softmax against target distributions.

    Args:
        label_smoothing: the share of the target that is spread over all classes.

    Shape:
        p and y alike, with the class axis; one value a position.

    Example:
        `cce(p, share*one_hot(y, C) + (1 - share)*one_hot(other, C))`
    """
    return soft_ce(p, y, label_smoothing=label_smoothing, class_weight=class_weight)


@overload(
    "categorical_cross_entropy",
    signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
)
def categorical_cross_entropy_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Categorical cross entropy of class probabilities."""
    return soft_ce(log_prob(p), y, label_smoothing=label_smoothing, class_weight=class_weight)


def for_bits_alone(pos_weight: Number | None) -> None:
    """Refuse the weight of positives where there are classes."""
    if pos_weight is not None:
        raise ValueError(
            "pos_weight is for logits, each of which is on its own: declare the prediction as "
            "`logits`, or weigh the classes by class_weight"
        )


def weighted_bits(
    log_p: Tensor,
    log_q: Tensor,
    y: Tensor,
    pos_weight: Number | None,
    class_weight: Tensor | None,
) -> Tensor:
    """Binary cross entropy with a weight for each side, from log p and log(1 - p)."""
    positive, negative = y * log_p, (1 - y) * log_q
    if class_weight is not None:
        positive, negative = class_weight[1] * positive, class_weight[0] * negative
    return -((1.0 if pos_weight is None else pos_weight) * positive + negative)


@loss(
    "weighted_cross_entropy",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("wce",),
    latex=r"-w_y \log \mathrm{softmax}(p)_y \qquad "
    r"-\left[\beta\, y \log \sigma(p) + (1 - y) \log(1 - \sigma(p))\right]",
    reference=Reference(
        "J. Long, E. Shelhamer and T. Darrell",
        "Fully Convolutional Networks for Semantic Segmentation",
        2015,
        "1411.4038",
    ),
    ranges={"pos_weight": "(0, inf)"},
    conventions=(
        "Two losses have this name. Of classes that exclude each other, with labels, class_weight"
        " has a number a class, and the mean is divided by the weights of the labels, as in"
        " PyTorch.",
        "With `logits`, or where pos_weight is given, it is binary: pos_weight multiplies the"
        " positive part, and nothing is divided by it. class_weight=[a, b] are the weights of 0 and"
        " of 1 there.",
        "Without a weight every class weighs 1: that is `ce`, or `bce`.",
        *OF_PROBABILITIES,
    ),
    pitfalls=(
        "An input that is not declared is read as classes, unless pos_weight is a number or a"
        " param.",
    ),
    when=lambda given: given["pos_weight"] is None,
    class_weight="labels",
    use="Classes of uneven size or price: a rare one gets a weight above 1, which raises its recall"
    " at the cost of its precision.",
    avoid="Many classes, whose weights nobody wants to tune: `class_balanced` takes them from"
    " counts. Easy examples that drown the others whatever their class: `softmax_focal`.",
    checked="`torch.nn.functional.cross_entropy` with weights, and"
    " `torch.nn.functional.binary_cross_entropy_with_logits` with pos_weight",
    related={
        "ce": "the same of classes: its class_weight may be left out",
        "bce": "the same of bits: its pos_weight may be left out",
        "class_balanced": "weights from the counts of the classes",
        "balanced_bce": "the weight from the share of positives in the image",
    },
    identities=(
        (f"{THREE}wce(p, y, class_weight=[1, 2, 5])", f"{THREE}ce(p, y, class_weight=[1, 2, 5])"),
        ("wce(p, y)", "ce(p, y)"),
        ("wce(p, y, pos_weight=3)", "bce(p, y, pos_weight=3)"),
    ),
    examples=(
        Example(
            "weighted_cross_entropy(p, y, class_weight=[1, 3])",
            (math.log(4 / 3) + 3 * math.log(2)) / 4,
            {"p": [[math.log(3), 0.0], [0.0, 0.0]], "y": [0, 1]},
        ),
        Example("wce(p, y, pos_weight=3)", 2 * LN2, {"p": [0.0, 0.0], "y": [1.0, 0.0]}),
    ),
)
def weighted_cross_entropy(p: Tensor, y: Tensor, *, pos_weight: Number | None = None) -> Tensor:
    """Cross entropy in which classes, or positives, have a weight.

    Args:
        pos_weight: for logits: what a positive counts; above 1 it raises recall.

    Shape:
        p has the class axis and y is labels without it, or p and y are alike and each element is on
        its own; one value a position.

    Example:
        `wce(p, y, class_weight=[1, 2, 5])`
    """
    for_bits_alone(pos_weight)
    return -at_label(p, y)


@overload(
    "weighted_cross_entropy",
    signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    when=lambda given: given["pos_weight"] is None,
)
def weighted_cross_entropy_of_prob(
    p: Tensor, y: Tensor, *, pos_weight: Number | None = None
) -> Tensor:
    """Weighted cross entropy of class probabilities."""
    for_bits_alone(pos_weight)
    return -log_prob(at_label(p, y))


@overload("weighted_cross_entropy", signature="logits[*S], prob[*S] -> loss[*S]")
def weighted_bce(
    p: Tensor, y: Tensor, *, pos_weight: Number | None = None, class_weight: Tensor | None = None
) -> Tensor:
    """Weighted binary cross entropy."""
    return weighted_bits(*log_sigmoids(p), y, pos_weight, class_weight)


@overload("weighted_cross_entropy", signature="prob[*S], prob[*S] -> loss[*S]")
def weighted_bce_of_prob(
    p: Tensor, y: Tensor, *, pos_weight: Number | None = None, class_weight: Tensor | None = None
) -> Tensor:
    """Weighted binary cross entropy of probabilities."""
    return weighted_bits(log_prob(p), log_complement(p), y, pos_weight, class_weight)


def at_step(log_p: Tensor, y: Tensor) -> Tensor:
    """The entry of each step's own class; the class axis, the last, goes away."""
    return at_label(log_p.movedim(-1, 1), y)


@loss(
    "temporal_cross_entropy",
    signature="score[B, T, C], labels[B, T] -> loss[B, T]",
    family="classification",
    values="[0, inf)",
    aliases=("sequence_ce", "sequence"),
    latex=r"-\log \mathrm{softmax}(p_t)_{y_t}",
    reference="Cross entropy of every step of a sequence, a classic of recurrent networks.",
    conventions=(
        "The class axis is the last one, as recurrent networks and transformers have it, unless p"
        " is declared with another place for it.",
        "A mask keeps the steps that count, and the mean is over them: the sum of what they cost,"
        " divided by their number in the batch, not sequence by sequence.",
        "`sequence` is the loss of a sequence whose steps are classified; of another loss it is"
        " that loss with mask=.",
        *OF_PROBABILITIES,
    ),
    pitfalls=(
        "Short sequences count less than long ones: `mean(temporal_cross_entropy(p, y, mask=m,"
        " reduction='batch'))` weighs sequences alike.",
    ),
    class_weight="labels",
    use="Actions by frame, tags by word, states by time step, where padding is masked out.",
    avoid="Scores with the class axis in second place: `ce`. Steps that are not aligned with the"
    " labels: `ctc`. A vocabulary too large for all its scores: `linear_ce`.",
    checked="`torch.nn.functional.cross_entropy`, step by step",
    related={
        "ce": "the class axis is the second one",
        "ctc": "labels without their times",
        "linear_ce": "scores that are never all in memory",
    },
    identities=((f"{STEPS}temporal_cross_entropy(p, y)", f"{STEPS}ce(p, y)"),),
    examples=(
        Example(
            "temporal_cross_entropy(p, y)",
            0.5 * LN2 + 0.5 * math.log(4),
            {"p": [[[0.0, 0.0], [math.log(3), 0.0]]], "y": [[0, 1]]},
        ),
        Example(
            "sequence(p, y, mask=m)",
            LN2,
            {"p": [[[0.0, 0.0], [math.log(3), 0.0]]], "y": [[0, 1]], "m": [[1.0, 0.0]]},
        ),
    ),
)
def temporal_cross_entropy(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of every step of a sequence, the class axis last.

    Shape:
        p [B, T, C] and y labels [B, T]; one value a step.

    Example:
        `temporal_cross_entropy(p, y, mask=real_steps)`
    """
    return -at_step(p.log_softmax(-1), y)


@overload(
    "temporal_cross_entropy",
    signature="class_logits|class_log_prob[B, T, C], labels[B, T] -> loss[B, T]",
)
def temporal_cross_entropy_of_log_prob(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of steps from log-probabilities."""
    return -at_step(p, y)


@overload("temporal_cross_entropy", signature="class_prob[B, T, C], labels[B, T] -> loss[B, T]")
def temporal_cross_entropy_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of steps from probabilities."""
    return -log_prob(at_step(p, y))


@loss(
    "pixel_softmax_ce",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S], real[B, *S]? -> loss[B, *S]",
    family="classification",
    aliases=("pixel_cross_entropy",),
    latex=r"-w \log \mathrm{softmax}(p)_y",
    reference=Reference(
        "O. Ronneberger, P. Fischer and T. Brox",
        "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        2015,
        "1505.04597",
    ),
    conventions=(
        "The mean is over pixels, not over their weights; the paper sums: reduction='sum'.",
        "U-Net's map is w_c + w0 exp(-(d1 + d2)²/(2 s²)), with w0 = 10 and s = 5 pixels, w_c the"
        " balance of the classes, d1 and d2 the distances to the nearest and the second nearest"
        " cell. It is made beforehand, from the cells; without a map every pixel weighs 1.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Weights below 0 reward mistakes.",),
    class_weight="labels",
    use="Cells and other things that touch each other: the map makes the thin seams between them"
    " dear.",
    avoid="Small structures without neighbours: `dice` or `boundary` beside `ce`. Edges whose"
    " weight should come from the labels themselves: `distance_map_ce`.",
    checked="`torch.nn.functional.cross_entropy` times U-Net's map, made by"
    " `scipy.ndimage.distance_transform_edt`",
    related={
        "ce": "without a map: the same as weight=",
        "distance_map_ce": "makes its map of the labels",
        "boundary": "a signed distance in place of the logarithm",
    },
    identities=(
        (f"{PIXELS}pixel_softmax_ce(p, y)", f"{PIXELS}ce(p, y)"),
        (
            f"{PIXELS}input w: real[B, H, W]; pixel_softmax_ce(p, y, weight_map=w)",
            f"{PIXELS}input w: real[B, H, W]; ce(p, y, weight=w)",
        ),
    ),
    examples=(
        Example("pixel_softmax_ce(p, y)", LN2, {"p": [[[0.0], [0.0]]], "y": [[0]]}),
        Example(
            "pixel_softmax_ce(p, y, weight_map=w)",
            2 * LN2,
            {"p": [[[0.0, 0.0], [0.0, 0.0]]], "y": [[0, 1]], "w": [[1.0, 3.0]]},
        ),
    ),
)
def pixel_softmax_ce(p: Tensor, y: Tensor, weight_map: Tensor | None = None) -> Tensor:
    """Cross entropy of every pixel, times a map of weights.

    Shape:
        p has the class axis, y is labels without it, weight_map is like y; one value a pixel.

    Example:
        `pixel_softmax_ce(p, y, weight_map=w)`
    """
    cost = ce(p, y)
    return cost if weight_map is None else wide(weight_map) * cost


@overload(
    "pixel_softmax_ce",
    signature="class_prob[B, C, *S], labels[B, *S], real[B, *S]? -> loss[B, *S]",
)
def pixel_softmax_ce_of_prob(p: Tensor, y: Tensor, weight_map: Tensor | None = None) -> Tensor:
    """Cross entropy of the pixels' probabilities."""
    return pixel_softmax_ce(log_prob(p), y, weight_map)
