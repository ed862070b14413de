"""Latent variables: divergence of Gaussians, a floor below it, and codes of a book."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

LN2 = math.log(2)


def exponential(x: Tensor) -> Tensor:
    """e^x, and its tangent above half of the largest exponent: finite however large x is."""
    held = x.clamp(max=0.5 * math.log(torch.finfo(x.dtype).max))
    return held.exp() * (1 + (x - held))


def expm1_less(x: Tensor) -> Tensor:
    """e^x - 1 - x >= 0, with its digits near 0 and along a tangent far out."""
    held = x.clamp(max=0.5 * math.log(torch.finfo(x.dtype).max))
    return torch.expm1(held) - held + held.exp() * (x - held) - (x - held)


def gaussian_divergence(mu: Tensor, logvar: Tensor, to_mu: Tensor, to_logvar: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two Gaussians, component by component."""
    difference = mu - to_mu
    spread = expm1_less(logvar - to_logvar)
    return 0.5 * (spread + difference * difference * exponential(-to_logvar))


@loss(
    "kl_gaussian",
    signature="real[B, *D], real[B, *D], real[B, *D], real[B, *D] -> loss[B]",
    family="generative",
    values="[0, inf)",
    latex=(
        r"\tfrac12 \sum_d \left(t_d - s_d - 1 + e^{s_d - t_d} + "
        r"(\mu_d - \nu_d)^2 e^{-t_d}\right)"
    ),
    reference=Reference("S. Kullback, R. A. Leibler", "On Information and Sufficiency", 1951),
    conventions=(
        "Summed over every latent axis, one value a sample.",
        "s and t are the logarithms of the variances, not of the standard deviations.",
        "The divergence of the first Gaussian from the second: the order matters.",
        "An exponential goes on along its tangent above half of the largest exponent (44 in"
        " float32).",
    ),
    use=(
        "Latents with a learned prior: hierarchical and conditional variational autoencoders,"
        " world models."
    ),
    avoid=(
        "The standard normal prior: `kl_normal`. Components that should keep some information:"
        " `free_bits`."
    ),
    checked="`torch.distributions.kl_divergence`",
    related={
        "kl_normal": "from the standard normal distribution",
        "diffusion_vlb": "the same in bits a dimension",
        "kld_box": "the same of boxes, with covariances that turn",
    },
    identities=(("kl_gaussian(m, s, 0, 0)", "kl_normal(m, s)"),),
    examples=(
        Example(
            "kl_gaussian(m, s, n, t)",
            0.5 * (LN2 - 1 + 0.5 + 4.0 / 2),
            {"m": [[3.0]], "s": [[0.0]], "n": [[1.0]], "t": [[LN2]]},
        ),
    ),
)
def kl_gaussian(mu: Tensor, logvar: Tensor, to_mu: Tensor, to_logvar: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a diagonal Gaussian from another.

    Shape:
        Mean and log-variance of both, all alike, [B, ...]; one value a sample.

    Example:
        `kl_gaussian(mu, logvar, prior_mu, prior_logvar)` for a learned prior.
    """
    divergence = gaussian_divergence(wide(mu), wide(logvar), wide(to_mu), wide(to_logvar))
    return divergence.flatten(1).sum(1) if divergence.dim() > 1 else divergence


@loss(
    "free_bits",
    signature="real[B, *D], real[B, *D] -> loss[]",
    family="generative",
    values="[0, inf)",
    latex=r"\sum_d \max\left(\lambda,\ \frac1B \sum_b \mathrm{KL}_{bd}\right)",
    reference=Reference(
        "D. P. Kingma et al.",
        "Improving Variational Inference with Inverse Autoregressive Flow",
        2016,
        "1606.04934",
    ),
    ranges={"nats": "[0, inf)"},
    mask="none",
    conventions=(
        "Every latent component is a group of its own; the floor is under its mean over the batch.",
        "nats are natural units: a bit is 0.693.",
        "nats=0 is the batch's mean of kl_normal.",
    ),
    pitfalls=("Components below the floor get no gradient: that is its purpose.",),
    use=(
        "Decoders so strong that they ignore the latents, as of texts: each component may carry"
        " some information for nothing."
    ),
    avoid="Latents that should cost all that they say, as in compression: `kl_normal`.",
    checked="the paper's formula in NumPy",
    related={
        "kl_normal": "without the floor",
        "kl_gaussian": "a learned prior, without the floor",
    },
    identities=(("free_bits(mu, s, nats=0)", "kl_normal(mu, s)"),),
    examples=(Example("free_bits(mu, s, nats=1)", 3.0, {"mu": [[2.0, 1.0]], "s": [[0.0, 0.0]]}),),
)
def free_bits(mu: Tensor, logvar: Tensor, *, nats: Number = 0.5) -> Tensor:
    """The divergence from the standard normal, free of charge up to a floor a component.

    Args:
        nats: the floor.

    Shape:
        Mean and log-variance alike, [B, ...]; one value for the batch.

    Example:
        `mse(x_hat, x, reduction='batchmean') + free_bits(mu, logvar, nats=0.25)`
    """
    mu, logvar = wide(mu), wide(logvar)
    if not mu.shape[0]:
        return mu.sum()
    each = mean_over(0.5 * (mu * mu + expm1_less(logvar)), [0])
    return torch.where(each > nats, each, nats).sum()


@loss(
    "vq_commitment",
    signature="real[*S], real[*S] -> loss[*S]",
    family="generative",
    values="[0, inf)",
    latex=r"\left(\mathrm{sg}(z) - e\right)^2 + \beta \left(z - \mathrm{sg}(e)\right)^2",
    reference=Reference(
        "A. van den Oord, O. Vinyals, K. Kavukcuoglu",
        "Neural Discrete Representation Learning",
        2017,
        "1711.00937",
    ),
    ranges={"beta": "[0, inf)"},
    conventions=(
        "The codes move to the encoder's output with weight 1, the output to the codes with beta.",
        "One value a component; the paper's squared norm is a sum over them.",
    ),
    pitfalls=("The reconstruction needs the straight-through code, z + detach(e - z), not e.",),
    use="Autoencoders with a book of codes (images, sound) that is learned by gradient.",
    avoid=(
        "Codes that are running means, which need the commitment alone: `mse` of the output"
        " against the detached code. Continuous latents: `kl_normal`."
    ),
    checked="the squared distance in PyTorch, and the gradients of both sides",
    related={
        "mse": "1 + beta times less, with other gradients",
        "kl_normal": "of continuous latents",
    },
    identities=(("vq_commitment(z, e)", "1.25*mse(z, e)"),),
    examples=(Example("vq_commitment(z, e)", 5.0, {"z": [[2.0]], "e": [[0.0]]}),),
)
def vq_commitment(z: Tensor, code: Tensor, *, beta: Number = 0.25) -> Tensor:
    """Codebook and commitment loss of a vector-quantised autoencoder.

    Args:
        beta: the weight of the encoder's commitment.

    Shape:
        The encoder's output and its nearest codes alike, any shape; one value a component.

    Example:
        `mse(x_hat, x) + vq_commitment(z, e)`
    """
    to_code, to_output = z.detach() - code, z - code.detach()
    return to_code * to_code + beta * (to_output * to_output)
