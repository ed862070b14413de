"""Penalties on the derivative of a critic by what it judges: second derivatives train it.

The record's function takes the scores and the points that they are scores of. A call names the
network instead and the checker writes the scores out: `r1(D, x)` is `r1(D(x), x)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.differential import slopes
from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

SIGNATURE = "real[*T], real[B, *S] -> loss[B]"
SLOPES = (
    "The derivative is that of the sum of all scores, so a score must depend on its own sample"
    " alone: a batch normalisation in training mode mixes them."
)
WEIGHT_OUTSIDE = "The weight is written in front, `10*{}(…)` in the paper."
CRITIC = (
    "`{0}(D, …)` takes a bound network; `{0}(D(x, c), x)` says where the derivative is taken, and"
    " may give the network more than the samples."
)
NORM_AT_ZERO = "Where the derivative is 0 its norm has the gradient 0."
LINE = {"x": [[3.0, 4.0]]}


@loss(
    "gradient_penalty",
    signature=SIGNATURE,
    family="adversarial",
    aliases=("wgan_gp",),
    values="[0, inf)",
    critic="between",
    latex=r"\left(\lVert \nabla_{\hat x} D(\hat x) \rVert_2 - t\right)^2",
    reference=Reference(
        "I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville",
        "Improved Training of Wasserstein GANs",
        2017,
        "1704.00028",
    ),
    conventions=(
        "`gradient_penalty(D, real, fake)` takes the derivative at a random point between each"
        " pair of a real and a fake sample, one share a pair, from torch's generator.",
        CRITIC.format("gradient_penalty"),
        WEIGHT_OUTSIDE.format("gradient_penalty"),
        NORM_AT_ZERO,
    ),
    pitfalls=(SLOPES, "The generator learns nothing from it: it belongs to the critic's loss."),
    examples=(Example("gradient_penalty(sum(x**2), x)", 81.0, LINE),),
    use="Keeps a Wasserstein critic near Lipschitz constant 1.",
    avoid="With a critic that normalises over the batch; for logistic GANs `r1` is steadier.",
    checked="a critic with a closed form of its derivative, and PyTorch's double backward.",
    related={
        "r1": "penalises the squared norm at the real samples",
        "dragan": "takes the derivative near the real samples",
        "wgan_d": "is the loss that it is added to",
    },
)
def gradient_penalty(
    scores: Tensor, x: Tensor, *, target: Number = 1.0, one_sided: bool = False
) -> Tensor:
    """Squared distance of the norm of a critic's derivative from 1, for each sample.

    Args:
        target: the norm that is wanted.
        one_sided: whether norms below the target are left alone.

    Shape:
        Real and fake samples `[B, *S]`. The map is `[B]`.

    Example:
        `wgan_d(D(real), D(fake)) + 10*gradient_penalty(D, real, fake)`
    """
    return _from_target(slopes(scores, x), target, one_sided)


@loss(
    "r1",
    signature=SIGNATURE,
    family="adversarial",
    aliases=("r2",),
    values="[0, inf)",
    critic="at",
    ranges={"gamma": "[0, inf)"},
    latex=r"\frac{\gamma}{2} \lVert \nabla_x D(x) \rVert_2^2",
    reference=Reference(
        "L. Mescheder, A. Geiger, S. Nowozin",
        "Which Training Methods for GANs do actually Converge?",
        2018,
        "1801.04406",
    ),
    conventions=(
        "`r1` on real samples, `r2` on fake ones: the formula is one.",
        "gamma = 10 as in StyleGAN; the factor 1/2 is part of the formula.",
        CRITIC.format("r1"),
    ),
    pitfalls=(SLOPES, "StyleGAN computes it at every 16th step alone, and then 16 times."),
    examples=(Example("r1(sum(x**2), x, gamma=1)", 50.0, LINE),),
    use="Makes the training of logistic GANs converge near the data.",
    avoid="For Wasserstein critics, whose slope is to be 1 and not 0: `gradient_penalty`.",
    checked="a critic with a closed form of its derivative, and PyTorch's double backward.",
    related={
        "gradient_penalty": "wants the norm 1, between real and fake samples",
        "gan_d": "is the loss that it is added to",
    },
)
def r1(scores: Tensor, x: Tensor, *, gamma: Number = 10.0) -> Tensor:
    """Squared norm of a critic's derivative at each sample, times half of gamma.

    Args:
        gamma: the strength.

    Shape:
        Samples `[B, *S]`. The map is `[B]`.

    Example:
        `gan_d(D(real), D(fake)) + r1(D, real)`
    """
    slope = wide(slopes(scores, x)).flatten(1)
    return 0.5 * gamma * (slope * slope).sum(1)


@loss(
    "dragan",
    signature=SIGNATURE,
    family="adversarial",
    values="[0, inf)",
    critic="around",
    latex=r"\left(\lVert \nabla_x D(x + \delta) \rVert_2 - t\right)^2",
    reference=Reference(
        "N. Kodali, J. Abernethy, J. Hays, Z. Kira",
        "On Convergence and Stability of GANs",
        2017,
        "1705.07215",
    ),
    conventions=(
        "`dragan(D, x)` adds noise to the real samples: uniform from 0 to half of the standard"
        " deviation of all their values.",
        CRITIC.format("dragan"),
        WEIGHT_OUTSIDE.format("dragan"),
        NORM_AT_ZERO,
    ),
    pitfalls=(SLOPES,),
    examples=(Example("dragan(sum(x**2), x)", 81.0, LINE),),
    use="Steadies a GAN by the critic's slope near the data, without fake samples.",
    avoid="For Wasserstein critics `gradient_penalty` covers what lies between data and fakes.",
    checked="a critic with a closed form of its derivative, and PyTorch's double backward.",
    related={
        "gradient_penalty": "takes the derivative between real and fake samples",
        "r1": "takes it at the real samples and wants it 0",
    },
)
def dragan(scores: Tensor, x: Tensor, *, target: Number = 1.0) -> Tensor:
    """Squared distance of the norm of a critic's derivative near real samples from 1.

    Args:
        target: the norm that is wanted.

    Shape:
        Real samples `[B, *S]`. The map is `[B]`.

    Example:
        `gan_d(D(real), D(fake)) + 10*dragan(D, real)`
    """
    return _from_target(slopes(scores, x), target, False)


def _from_target(slope: Tensor, target: Number, one_sided: bool) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(wide(slope).flatten(1), dim=1) - target
    return (distance.clamp(min=0) if one_sided else distance) ** 2
