"""A critic that is an autoencoder, and its balance with the generator."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.adversarial import NOT_DETACHED
from lossdsl.library.metric import OF_THE_BATCH, mean_where
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

BEGAN = Reference(
    "D. Berthelot, T. Schumm, L. Metz",
    "BEGAN: Boundary Equilibrium Generative Adversarial Networks",
    2017,
    "1703.10717",
)
ENERGIES = "r and f are the reconstruction errors of an autoencoder, of real and generated samples."
TWO = {"real": [0.5, 1.5], "fake": [0.25, 0.75]}


@loss(
    "began_d",
    signature="real[*S], real[*S] -> loss[*S]",
    family="adversarial",
    values="(-inf, inf)",
    latex=r"r - k f",
    reference=BEGAN,
    ranges={"k": "[0, 1]"},
    conventions=(
        ENERGIES,
        "The generator's loss is the error of its samples itself, `mean(f)`.",
        "k starts at 0 in the paper, and after each step moves by 0.001 (γ r - f), held in"
        " [0, 1]: a param that the training loop sets.",
    ),
    pitfalls=(NOT_DETACHED,),
    use="A discriminator that is an autoencoder, whose strength follows the generator's: k keeps"
    " the error of fakes at the share γ of the error of real samples.",
    avoid="A fixed margin in place of a k to look after: `ebgan_d`. Plain scores: `hinge_gan_d`.",
    checked="the paper's formula in NumPy",
    related={
        "ebgan_d": "a margin in place of k",
        "began_measure": "whether it converges",
        "wgan_d": "the same difference of scores that are not bounded below",
    },
    identities=(
        ("began_d(real, fake, k=1)", "-wgan_d(real, fake)"),
        ("began_d(real, fake, k=0)", "mean(real) + 0*mean(fake)"),
    ),
    examples=(Example("began_d(real, fake, k=0.5)", 0.75, TWO),),
)
def began_d(real: Tensor, fake: Tensor, *, k: Number) -> Tensor:
    """The critic of a boundary-equilibrium GAN: real samples rebuilt well, fakes badly.

    Args:
        k: how much the fakes count.

    Shape:
        Reconstruction errors of real and of generated samples, alike; one value a pair.

    Example:
        `began_d(l1(D(x), x, reduction='batch'), l1(D(f), f, reduction='batch'), k=balance)`
    """
    return real - k * fake


@loss(
    "began_measure",
    signature="real[*S], real[*S] -> loss[]",
    family="adversarial",
    values="(-inf, inf)",
    latex=r"\bar r + \left|\gamma \bar r - \bar f\right|",
    reference=BEGAN,
    ranges={"gamma": "[0, 1]"},
    mask="inside",
    conventions=(ENERGIES, "Of the means over the batch; a mask leaves errors out of both."),
    pitfalls=("A measure, not what either network is trained with.", *OF_THE_BATCH),
    use="A monitor of a BEGAN: it falls while both networks get better, and rises when one of them"
    " wins, which neither loss tells.",
    avoid="As a training loss: `began_d` and the fakes' error are. Other games: the distance of"
    " `wgan_d` is theirs.",
    checked="the paper's formula in NumPy",
    related={
        "began_d": "what is trained",
        "wgan_d": "a loss that is its own measure",
    },
    examples=(
        Example("began_measure(real, fake)", 1.0, TWO),
        Example("began_measure(real, fake, gamma=1)", 1.5, TWO),
    ),
)
def began_measure(
    real: Tensor, fake: Tensor, *, gamma: Number = 0.5, mask: Tensor | None = None
) -> Tensor:
    """Global convergence of a boundary-equilibrium GAN.

    Args:
        gamma: the share of the real samples' error that fakes shall have: low for likeness,
            high for variety.

    Shape:
        Reconstruction errors of real and of generated samples, alike; one value for the batch.

    Example:
        `began_measure(l1(D(x), x, reduction='batch'), l1(D(f), f, reduction='batch'))`
    """
    kept = torch.ones_like(real, dtype=torch.bool) if mask is None else (mask > 0).expand_as(real)
    real, fake = mean_where(wide(real), kept), mean_where(wide(fake), kept)
    return real + (gamma * real - fake).abs()
