"""Losses of adversarial training, of raw critic scores: one value a score.

The discriminator's (`_d`) and the generator's (`_g`) are separate losses, both to be minimised.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

CRITIC = "score[*S], score[*S] -> loss[*S]"
GENERATOR = "score[*S] -> loss[*S]"

RAW = "Scores are raw: no sigmoid before the loss."
NOT_DETACHED = (
    "Nothing is detached inside: score detached images (`D(detach(fake))`) to train D alone."
)

GAN = Reference("I. Goodfellow et al.", "Generative Adversarial Networks", 2014, "1406.2661")
LSGAN = Reference(
    "X. Mao, Q. Li, H. Xie, R. Y. K. Lau, Z. Wang, S. P. Smolley",
    "Least Squares Generative Adversarial Networks",
    2016,
    "1611.04076",
)
WGAN = Reference("M. Arjovsky, S. Chintala, L. Bottou", "Wasserstein GAN", 2017, "1701.07875")
GEOMETRIC_GAN = Reference("J. H. Lim, J. C. Ye", "Geometric GAN", 2017, "1705.02894")


@loss(
    "gan_d",
    signature=CRITIC,
    family="adversarial",
    values="[0, inf)",
    aliases=("cgan_d",),
    latex=r"-\log \sigma(r) - \log(1 - \sigma(f))",
    reference=GAN,
    conventions=("The sum of the two terms; some codes train with half of it.", RAW),
    pitfalls=(NOT_DETACHED,),
    examples=(
        Example("gan_d(real, fake)", 1.3862943611198906, {"real": [0.0], "fake": [0.0]}),
        Example("gan_d(real, fake)", 0.6265233750364456, {"real": [1.0], "fake": [-1.0]}),
    ),
)
def gan_d(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's logistic loss: real scores up, fake scores down.

    Takes the scores of real and of generated samples, of equal shape, and pairs them element by
    element: the binary cross entropy of real scores against 1 and of fake scores against 0.

    Example:
        `gan_d(D(img), D(detach(fake)))` is 2 log 2 for a discriminator that cannot tell.
    """
    return -F.logsigmoid(real) - F.logsigmoid(-fake)


@loss(
    "gan_g",
    signature=GENERATOR,
    family="adversarial",
    values="[0, inf)",
    aliases=("cgan_g",),
    latex=r"-\log \sigma(f)",
    reference=GAN,
    conventions=(
        "The non-saturating form -log D(G(z)), not the minimax form log(1 - D(G(z))).",
        RAW,
    ),
    examples=(Example("gan_g(fake)", 0.6931471805599453, {"fake": [0.0]}),),
)
def gan_g(fake: Tensor) -> Tensor:
    """The generator's non-saturating logistic loss: fake scores up.

    Takes the scores of generated samples: their binary cross entropy against 1.

    Example:
        `gan_g(D(fake))` is log 2 for a discriminator that cannot tell.
    """
    return -F.logsigmoid(fake)


@loss(
    "lsgan_d",
    signature=CRITIC,
    family="adversarial",
    values="[0, inf)",
    latex=r"\tfrac12 (r - 1)^2 + \tfrac12 f^2",
    reference=LSGAN,
    conventions=("With the paper's factor 1/2 and labels a = 0, b = 1; many codes omit it.", RAW),
    pitfalls=(NOT_DETACHED,),
    examples=(Example("lsgan_d(real, fake)", 2.5, {"real": [0.0], "fake": [2.0]}),),
)
def lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's least-squares loss: real scores to 1, fake scores to 0.

    Takes the scores of real and of generated samples, of equal shape, and pairs them element by
    element.

    Example:
        `lsgan_d(D(img), D(detach(fake)))` is 0 for a perfect discriminator.
    """
    return 0.5 * ((real - 1.0) ** 2 + fake**2)


@loss(
    "lsgan_g",
    signature=GENERATOR,
    family="adversarial",
    values="[0, inf)",
    latex=r"\tfrac12 (f - 1)^2",
    reference=LSGAN,
    conventions=("With the paper's factor 1/2 and label c = 1; many codes omit it.", RAW),
    examples=(Example("lsgan_g(fake)", 2.0, {"fake": [3.0]}),),
)
def lsgan_g(fake: Tensor) -> Tensor:
    """The generator's least-squares loss: fake scores to 1.

    Takes the scores of generated samples.

    Example:
        `lsgan_g(D(fake)) + 10*l1(cycle, img)` as in CycleGAN.
    """
    return 0.5 * (fake - 1.0) ** 2


@loss(
    "wgan_d",
    signature=CRITIC,
    family="adversarial",
    latex=r"f - r",
    reference=WGAN,
    conventions=("The negated estimate of the Wasserstein distance, so it is minimised.", RAW),
    pitfalls=(
        "The critic must be kept Lipschitz by other means: clipped weights or a gradient penalty.",
        NOT_DETACHED,
    ),
    examples=(Example("wgan_d(real, fake)", -1.5, {"real": [2.0], "fake": [0.5]}),),
)
def wgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's Wasserstein loss: the mean fake score minus the mean real score.

    Takes the scores of real and of generated samples, of equal shape, and pairs them element by
    element. It is unbounded below.

    Example:
        `wgan_d(D(img), D(detach(fake))) + gradient_penalty(D, img, fake)`.
    """
    return fake - real


@loss(
    "wgan_g",
    signature=GENERATOR,
    family="adversarial",
    latex=r"-f",
    reference=WGAN,
    conventions=(RAW,),
    examples=(Example("wgan_g(fake)", -0.5, {"fake": [0.5]}),),
)
def wgan_g(fake: Tensor) -> Tensor:
    """The generator's Wasserstein loss: fake scores up.

    Takes the scores of generated samples. It is unbounded below.

    Example:
        `wgan_g(D(fake))`.
    """
    return -fake


@loss(
    "hinge_gan_d",
    signature=CRITIC,
    family="adversarial",
    values="[0, inf)",
    latex=r"\max(0, 1 - r) + \max(0, 1 + f)",
    reference=GEOMETRIC_GAN,
    conventions=("No gradient from scores beyond the margin 1, nor at it.", RAW),
    pitfalls=(NOT_DETACHED,),
    examples=(Example("hinge_gan_d(real, fake)", 2.0, {"real": [0.5], "fake": [0.5]}),),
)
def hinge_gan_d(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss: real scores above 1, fake scores below -1.

    Takes the scores of real and of generated samples, of equal shape, and pairs them element by
    element.

    Example:
        `hinge_gan_d(D(img), D(detach(fake)))` is 2 for scores of 0.
    """
    return F.relu(1.0 - real) + F.relu(1.0 + fake)


@loss(
    "hinge_gan_g",
    signature=GENERATOR,
    family="adversarial",
    latex=r"-f",
    reference=GEOMETRIC_GAN,
    conventions=("Linear, without a margin: only the discriminator has a hinge.", RAW),
    examples=(Example("hinge_gan_g(fake)", 2.0, {"fake": [-2.0]}),),
)
def hinge_gan_g(fake: Tensor) -> Tensor:
    """The generator's partner of the hinge loss: fake scores up.

    Takes the scores of generated samples. It is unbounded below.

    Example:
        `hinge_gan_g(D(fake)) + 10*perceptual(f, g)` as in SPADE.
    """
    return -fake
