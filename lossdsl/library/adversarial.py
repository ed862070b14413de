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
    aliases=("cgan_d", "gan_minimax"),
    latex=r"-\log \sigma(r) - \log(1 - \sigma(f))",
    reference=GAN,
    conventions=("The sum of the two terms; some codes train with half of it.", RAW),
    pitfalls=(NOT_DETACHED,),
    use=(
        "The discriminator of the original game, still the choice beside a penalty on its"
        " gradient (StyleGAN's R1)."
    ),
    avoid="A discriminator that wins at once without such a penalty: `hinge_gan_d` or `lsgan_d`.",
    checked="`torch.nn.functional.binary_cross_entropy_with_logits` against ones and zeros",
    related={
        "gan_g": "the generator's side",
        "hinge_gan_d": "stops at a margin",
        "lsgan_d": "squares in place of logarithms",
        "ragan_d": "scores relative to the other side's mean",
    },
    identities=(
        (
            "input real: score[*S]; input fake: score[*S]; gan_d(real, fake)",
            "input real: score[*S]; input fake: score[*S]; gan_g(real) + gan_g(-fake)",
        ),
        (
            "gan_d(real, fake)",
            "input real: real[*S]; input fake: real[*S]; bce(real, 1) + bce(fake, 0)",
        ),
    ),
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
    use="The generator against gan_d: its gradient does not fade while the discriminator is sure.",
    avoid=(
        "Another discriminator's loss: its own partner, `lsgan_g`, `hinge_gan_g`, `wgan_g` or"
        " `ragan_g`."
    ),
    checked="`torch.nn.functional.binary_cross_entropy_with_logits` against ones",
    related={
        "gan_d": "the discriminator's side",
        "hinge_gan_g": "linear: the pull never weakens",
        "logistic": "the same with a sign as target",
    },
    identities=(
        ("gan_g(fake)", "logistic(fake, 1)"),
        ("gan_g(fake)", "input fake: real[*S]; bce(fake, 1)"),
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
    use="Image translation such as CycleGAN: steady training without a penalty on gradients.",
    avoid=(
        "Strong discriminators of large models: `hinge_gan_d` with spectral normalisation, or"
        " `gan_d` with a gradient penalty."
    ),
    checked="the paper's formula in NumPy",
    related={
        "lsgan_g": "the generator's side",
        "gan_d": "logarithms in place of squares",
        "hinge_gan_d": "does not draw sure scores back",
    },
    identities=(
        (
            "input real: score[*S]; input fake: score[*S]; lsgan_d(real, fake)",
            "input real: score[*S]; input fake: score[*S]; 0.5*mse(real, 1) + 0.5*mse(fake, 0)",
        ),
    ),
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
    use="The generator against lsgan_d: the farther a score is from real, the stronger the pull.",
    avoid="Another discriminator's loss: its own partner, `gan_g` or `hinge_gan_g`.",
    checked="the paper's formula in NumPy",
    related={
        "lsgan_d": "the discriminator's side",
        "gan_g": "logarithms: the pull is bounded",
    },
    identities=(("lsgan_g(fake)", "input fake: score[*S]; 0.5*mse(fake, 1)"),),
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
    use=(
        "A critic that a gradient penalty keeps Lipschitz: its value follows the distance of the"
        " distributions, so it can be watched."
    ),
    avoid=(
        "No such penalty: it falls without end; `hinge_gan_d` and `gan_d` have a least value. A"
        " distance without a critic: `wasserstein_1d` or `sinkhorn`."
    ),
    checked="the paper's formula in NumPy",
    related={
        "wgan_g": "the generator's side",
        "hinge_gan_d": "the same difference, cut off at margins",
        "wasserstein_1d": "the distance itself, of numbers",
    },
    identities=(
        (
            "input real: score[*S]; input fake: score[*S]; wgan_d(real, fake)",
            "input real: score[*S]; input fake: score[*S]; wgan_g(real) - wgan_g(fake)",
        ),
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
    use="The generator against wgan_d.",
    avoid="A discriminator trained by labels, whose scores grow without end: `gan_g`.",
    checked="the paper's formula in NumPy",
    related={
        "wgan_d": "the critic's side",
        "hinge_gan_g": "the same formula against another critic",
        "gan_g": "its pull fades once the fake passes as real",
    },
    identities=(("wgan_g(fake)", "hinge_gan_g(fake)"),),
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
    use=(
        "Large image GANs and vocoders with spectral normalisation (SAGAN, BigGAN, SPADE):"
        " scores beyond the margin are left alone."
    ),
    avoid=(
        "A discriminator that soon has all scores beyond the margin, without gradient: `gan_d`,"
        " or a penalty beside it."
    ),
    checked="the paper's formula in NumPy",
    related={
        "hinge_gan_g": "the generator's side",
        "hinge": "the same of scores with a sign",
        "wgan_d": "the difference without margins",
        "gan_d": "smooth, never quite at rest",
    },
    identities=(
        (
            "input real: score[*S]; input fake: score[*S]; hinge_gan_d(real, fake)",
            "input real: score[*S]; input fake: score[*S]; hinge(real, 1) + hinge(fake, -1)",
        ),
    ),
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
    use="The generator against hinge_gan_d: the pull is the same at every score.",
    avoid=(
        "A discriminator without bounded scores: `gan_g`, whose pull fades once a fake passes as"
        " real."
    ),
    checked="the paper's formula in NumPy",
    related={
        "hinge_gan_d": "the discriminator's side",
        "wgan_g": "the same formula against a critic",
        "gan_g": "its pull fades for good fakes",
    },
    identities=(("hinge_gan_g(fake)", "wgan_g(fake)"),),
    examples=(Example("hinge_gan_g(fake)", 2.0, {"fake": [-2.0]}),),
)
def hinge_gan_g(fake: Tensor) -> Tensor:
    """The generator's partner of the hinge loss: fake scores up.

    Takes the scores of generated samples. It is unbounded below.

    Example:
        `hinge_gan_g(D(fake)) + 10*perceptual(f, g)` as in SPADE.
    """
    return -fake
