"""Losses of variational autoencoders and diffusion models."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss


@loss(
    "kl_normal",
    signature="real[B, *D], real[B, *D] -> loss[B]",
    family="generative",
    values="[0, inf)",
    latex=r"\tfrac12 \sum_d \left(\mu_d^2 + e^{s_d} - 1 - s_d\right)",
    reference=Reference(
        "D. P. Kingma, M. Welling", "Auto-Encoding Variational Bayes", 2013, "1312.6114"
    ),
    conventions=(
        "Summed over every latent axis, one value a sample.",
        "The second argument s is the logarithm of the variance, not of the standard deviation.",
    ),
    pitfalls=(
        "Beside a reconstruction loss that is a mean over pixels, weight 1 is a beta-VAE with"
        " beta = number of pixels: use reduction='batchmean' there, or divide this term.",
    ),
    examples=(
        Example("kl_normal(mu, logvar)", 2.5, {"mu": [[1.0, 2.0]], "logvar": [[0.0, 0.0]]}),
        Example(
            "kl_normal(mu, logvar)",
            0.15342640972002736,
            {"mu": [[0.0]], "logvar": [[0.6931471805599453]]},
        ),
    ),
)
def kl_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a diagonal Gaussian from the standard normal.

    Takes mean and log-variance of the approximate posterior, of equal shape `[B, ...]`, and gives
    `[B]`. It is 0 exactly at mean 0 and log-variance 0. In float32 it is finite for log-variances
    up to 80; beyond 88 the variance itself has no float32.

    Example:
        `mse(x_hat, x, reduction='batchmean') + kl_normal(mu, logvar)` is a VAE.
    """
    mu, logvar = wide(mu), wide(logvar)
    # expm1(s) - s keeps the digits near s = 0 that exp(s) - 1 - s loses.
    divergence = 0.5 * (mu * mu + (torch.expm1(logvar) - logvar))
    return divergence.flatten(1).sum(1) if divergence.dim() > 1 else divergence


@loss(
    "noise_prediction",
    signature="real[B, *S], real[B, *S] -> loss[B, *S]",
    family="generative",
    values="[0, inf)",
    latex=r"\left(\epsilon_\theta - \epsilon\right)^2",
    reference=Reference(
        "J. Ho, A. Jain, P. Abbeel", "Denoising Diffusion Probabilistic Models", 2020, "2006.11239"
    ),
    conventions=(
        "The simplified objective: every time step weighs the same. Weigh steps by weight=.",
        "The squared error of an element; the default reduction is the mean, not the paper's sum.",
    ),
    examples=(
        Example(
            "noise_prediction(eps_pred, eps)",
            2.5,
            {"eps_pred": [[1.0, 2.0]], "eps": [[0.0, 0.0]]},
        ),
    ),
)
def noise_prediction(eps_pred: Tensor, eps: Tensor) -> Tensor:
    """Squared error between predicted and added noise, the training loss of diffusion models.

    Takes the network's prediction and the noise that was mixed into the sample, of equal shape.

    Example:
        `noise_prediction(eps_pred, eps, weight=w)` with `w` of shape `[B]`.
    """
    difference = eps_pred - eps
    return difference * difference
