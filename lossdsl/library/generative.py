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
    use=(
        "The latent term of a variational autoencoder whose prior is the standard normal"
        " distribution."
    ),
    avoid=(
        "A prior that is learned or conditional: `kl_gaussian`. Latents that the decoder"
        " ignores: `free_bits`."
    ),
    checked="`torch.distributions.kl_divergence`, and SciPy's integral",
    related={
        "kl_gaussian": "from any diagonal Gaussian",
        "free_bits": "the same, free up to a floor",
        "kl_div": "of classes",
    },
    identities=(("kl_normal(mu, s)", "kl_gaussian(mu, s, 0, 0)"),),
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
    use="Diffusion models that predict the added noise, all time steps alike.",
    avoid=(
        "Steps of nearly pure noise, where noise says nothing of the image: `v_prediction`. Slow"
        " convergence over steps that disagree: `min_snr`."
    ),
    checked="`torch.nn.functional.mse_loss`",
    related={
        "mse": "the same formula",
        "v_prediction": "a mixture of noise and image is predicted",
        "min_snr": "steps with little noise are held back",
        "flow_matching": "straight paths",
    },
    identities=(
        ("noise_prediction(e, eps)", "input e: real[B, *S]; input eps: real[B, *S]; mse(e, eps)"),
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
