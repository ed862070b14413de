"""Classification into a vocabulary: scores that are too many to be held."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.projection import exact, projected_ce
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

LN2 = math.log(2)

ROWS = "input x: embedding[B, D]; input y: labels[B]; input w: embedding[C, D]"


@loss(
    "linear_ce",
    signature="embedding[*S, D], labels[*S], embedding[C, D], real[C]? -> loss[*S]",
    family="classification",
    values="[0, inf)",
    aliases=("linear_cross_entropy",),
    latex=(
        r"\log \sum_c e^{z_c} - z_y + \lambda \left(\log \sum_c e^{z_c}\right)^2,"
        r"\quad z = W x + b"
    ),
    reference=Reference(
        "E. Wijmans, B. Huval, A. Hertzberg, V. Koltun, P. Krähenbühl",
        "Cut Your Losses in Large-Vocabulary Language Models",
        2024,
        "2411.09009",
    ),
    ranges={"label_smoothing": "[0, 1)", "softcap": "(0, inf)", "z_loss": "[0, inf)"},
    class_weight="labels",
    conventions=(
        "The scores are x @ transpose(head) + bias; the head is laid out as the weights of"
        " torch's Linear.",
        "softcap=c bounds the scores as c tanh(score / c), before everything else.",
        "z_loss adds that much of the square of log-sum-exp, which class weights do not weigh.",
        "label_smoothing and class weights act as in ce; class weights are constants.",
        "The parameters are fixed numbers: none of them moves during training.",
        "First derivatives only: a derivative of a derivative is refused, and so is torch.func.",
        "The gradients are taken with the value, a block of tokens at a time. Tokens whose part in"
        " the mean is not that of most others (weight=, a mean a sample, labels that are ignored)"
        " are scored once more; what `mask=` leaves out is not.",
        "On a GPU the backward pass reads once which these are.",
    ),
    pitfalls=(
        "The head must be the layer's own weight, not a copy: `linear_ce(x, y, head)` with"
        " head=model.lm_head.weight. Its layer is then not called.",
    ),
    use="The last layer of a language model and its loss in one, where the scores of all tokens"
    " would be the largest array of the step: of 4096 tokens and 32 000 classes it takes a sixth"
    " of their memory, at the speed of `ce`.",
    avoid="Few classes or few tokens, whose scores `ce` takes as fast; scores that are needed for"
    " something else, or second derivatives: `ce` again.",
    checked="`torch.nn.functional.cross_entropy` of the scores in float64, with all gradients, and"
    " `torch.nn.functional.linear_cross_entropy`",
    related={
        "ce": "takes the scores themselves",
        "z_loss": "the penalty on its own",
        "arcface": "takes class vectors too, with a margin between directions",
    },
    identities=(
        ("linear_ce(x, y, w)", "ce(x @ transpose(w), y)"),
        (
            "linear_ce(x, y, w, b, label_smoothing=0.1)",
            "ce(x @ transpose(w) + b[none], y, label_smoothing=0.1)",
        ),
        (
            f"{ROWS}; linear_ce(x, y, w, z_loss=0.5)",
            f"{ROWS}; linear_ce(x, y, w) + 0.5*z_loss(x @ transpose(w))",
        ),
        (
            f"{ROWS}; linear_ce(x, y, w, softcap=2)",
            f"{ROWS}; ce(2*tanh(0.5*(x @ transpose(w))), y)",
        ),
    ),
    examples=(
        Example(
            "linear_ce(x, y, w)",
            LN2,
            {"x": [[1.0, 2.0]], "y": [1], "w": [[2.0, 0.5], [1.0, 1.0]]},
        ),
        Example(
            "linear_ce(x, y, w, b)",
            math.log(4),
            {"x": [[0.0]], "y": [0], "w": [[1.0], [1.0]], "b": [0.0, math.log(3)]},
        ),
    ),
)
def linear_ce(
    x: Tensor,
    y: Tensor,
    head: Tensor,
    bias: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of a projection to a vocabulary, whose scores are never all in memory.

    Args:
        label_smoothing: the share of the target that is spread over all classes.
        softcap: the size that no score exceeds, or none.
        z_loss: the weight of the squared log-sum-exp, which keeps scores from drifting.

    Shape:
        x has vectors of D along its last axis, y is labels without it, head is [C, D], bias
        [C]; one value a label.

    Example:
        `linear_ce(hidden[:, :-1], tokens[:, 1:], head, z_loss=1e-4)`
    """
    dtype = torch.promote_types(x.dtype, head.dtype)
    vectors = x.reshape(y.numel(), x.shape[-1]).to(dtype)
    head = head.to(dtype)
    bias = None if bias is None else bias.to(dtype)
    parts = (vectors, head, bias)
    graded = torch.is_grad_enabled()
    wanted = [graded and part is not None and part.requires_grad for part in parts]
    cost = projected_ce(
        vectors,
        y.flatten(),
        head,
        bias,
        None if class_weight is None else class_weight.detach().to(exact(dtype)),
        label_smoothing,
        softcap,
        z_loss,
        wanted,
    )[0]
    shaped: Tensor = cost.reshape(y.shape)
    return shaped


@loss(
    "z_loss",
    signature="class_logits[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"\left(\log \sum_c e^{p_c}\right)^2",
    reference=Reference(
        "A. Chowdhery et al.", "PaLM: Scaling Language Modeling with Pathways", 2022, "2204.02311"
    ),
    conventions=(
        "The whole square, without a half. PaLM adds 1e-4 of it to the cross entropy, ST-MoE 1e-3"
        " of it, of a router's scores.",
    ),
    pitfalls=("It is not 0 for scores of 0: those have a log-sum-exp of log C.",),
    use="Beside `ce` of a large vocabulary or of a router of experts: scores may drift together"
    " without any change in `ce`, until half precision cannot tell them apart.",
    avoid="Overconfidence, which it does not see: `confidence_penalty`. A vocabulary whose scores"
    " do not fit: `linear_ce` has it as a parameter.",
    checked="`scipy.special.logsumexp`",
    related={
        "linear_ce": "has it as a parameter, without the scores in memory",
        "ce": "what it goes beside: a shift of all scores changes nothing there",
        "confidence_penalty": "bounds how far scores lie apart, not where",
    },
    identities=(("z_loss(p)", "mean(logsumexp(p, over=[1])**2)"),),
    examples=(
        Example("z_loss(p)", math.log(4) ** 2, {"p": [[0.0, math.log(3)]]}),
        Example("z_loss(p)", 0.0, {"p": [[-LN2, -LN2]]}),
    ),
)
def z_loss(p: Tensor) -> Tensor:
    """The square of log-sum-exp: keeps scores from drifting where a softmax does not see it.

    Shape:
        p has the class axis; one value a position.

    Example:
        `ce(p, y) + 1e-4*z_loss(p)`
    """
    partition = wide(p).logsumexp(1)
    return partition * partition
