"""Diffusion and flow models: what the network predicts, and how much a time step counts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.latents import gaussian_divergence
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

LN2 = math.log(2)

ELEMENTS = (
    "The squared error of an element; the default reduction is the mean, not the papers' sum.",
)


def by_sample(value: Tensor, like: Tensor) -> Tensor:
    """One number a sample, shaped to act on all its elements."""
    return value.reshape(-1, *[1] * (like.dim() - 1))


@loss(
    "v_prediction",
    signature="real[B, *S], real[B, *S], real[B, *S], prob[B] -> loss[B, *S]",
    family="generative",
    values="[0, inf)",
    latex=(r"\left(v_\theta - \sqrt{\bar\alpha}\, \epsilon + \sqrt{1 - \bar\alpha}\, x_0\right)^2"),
    reference=Reference(
        "T. Salimans, J. Ho",
        "Progressive Distillation for Fast Sampling of Diffusion Models",
        2022,
        "2202.00512",
    ),
    conventions=(
        "The target is made from the clean sample, the noise and the sample's alpha-bar, the"
        " share of the signal's variance; a target made before goes into mse.",
        "alpha-bar is a constant: no gradient goes into it.",
        *ELEMENTS,
    ),
    use=(
        "Diffusion over all noise levels, pure noise included: distillation, video, schedules"
        " that end in zero signal."
    ),
    avoid=(
        "Straight paths from noise to data: `flow_matching`. Moderate noise alone:"
        " `noise_prediction` is simpler."
    ),
    checked=(
        "the paper's formula in NumPy, and the rotation of sample and noise that defines the"
        " velocity"
    ),
    related={
        "noise_prediction": "the noise itself",
        "flow_matching": "the velocity of straight paths",
        "min_snr": "weighs the steps, also of velocities",
    },
    identities=(
        (
            "input v: real[B, D]; input x: real[B, D]; input e: real[B, D]; input a: prob[B]; "
            "v_prediction(v, x, e, a)",
            "input v: real[B, D]; input x: real[B, D]; input e: real[B, D]; input a: prob[B]; "
            "mse(v, sqrt(a)[:, none]*e - sqrt(1 - a)[:, none]*x)",
        ),
    ),
    examples=(
        Example(
            "v_prediction(v, x, e, a)",
            (1 - 0.6 * 2 + 0.8 * 3) ** 2,
            {"v": [[1.0]], "x": [[3.0]], "e": [[2.0]], "a": [0.36]},
        ),
    ),
)
def v_prediction(v: Tensor, x0: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Squared error of a predicted velocity between sample and noise.

    Shape:
        v, x0 and noise alike, [B, ...], alpha_bar of [B]; one value an element.

    Example:
        `v_prediction(v, x0, eps, alpha_bar)`
    """
    share = by_sample(alpha_bar.detach(), v)
    target = share.sqrt() * noise - (1 - share).sqrt() * x0
    return (v - target) ** 2


@loss(
    "flow_matching",
    signature="real[B, *S], real[B, *S], real[B, *S] -> loss[B, *S]",
    family="generative",
    values="[0, inf)",
    aliases=("rectified_flow",),
    latex=r"\left(v_\theta - (x_1 - x_0)\right)^2",
    reference=Reference(
        "Y. Lipman, R. T. Q. Chen, H. Ben-Hamu, M. Nickel, M. Le",
        "Flow Matching for Generative Modeling",
        2022,
        "2210.02747",
    ),
    conventions=(
        "Straight paths x_t = (1 - t) x_0 + t x_1 from noise x_0 to data x_1, without a smallest"
        " width.",
        *ELEMENTS,
    ),
    pitfalls=("Some codes run time from data to noise: exchange the two ends there.",),
    use="Generative flows along straight paths, which need few steps to sample.",
    avoid=(
        "Checkpoints of diffusion models with a noise schedule: `noise_prediction` or"
        " `v_prediction`, as they were trained."
    ),
    checked="the difference quotient of the path",
    related={
        "v_prediction": "the velocity along a noise schedule",
        "noise_prediction": "the noise itself",
        "mse": "the same with a target made before",
    },
    identities=(
        (
            "flow_matching(v, a, b)",
            "input v: real[B, *S]; input a: real[B, *S]; input b: real[B, *S]; mse(v, b - a)",
        ),
    ),
    examples=(Example("flow_matching(v, a, b)", 4.0, {"v": [[1.0]], "a": [[2.0]], "b": [[5.0]]}),),
)
def flow_matching(v: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
    """Squared error of a predicted velocity along straight paths from noise to data.

    Shape:
        All three alike, [B, ...]; one value an element.

    Example:
        `flow_matching(v, noise, img)`
    """
    return (v - (x1 - x0)) ** 2


@loss(
    "min_snr",
    signature="real[B, *S], real[B, *S], positive[B] -> loss[B, *S]",
    family="generative",
    values="[0, inf)",
    latex=r"\frac{\min(\mathrm{SNR}, \gamma)}{\mathrm{SNR}} (p - y)^2",
    reference=Reference(
        "T. Hang et al.",
        "Efficient Diffusion Training via Min-SNR Weighting Strategy",
        2023,
        "2303.09556",
    ),
    ranges={"gamma": "(0, inf)"},
    conventions=(
        "The divisor is SNR where noise is predicted, SNR + 1 for 'v', and 1 for 'x0'.",
        "The signal-to-noise ratio is alpha-bar / (1 - alpha-bar), a constant without gradient.",
        *ELEMENTS,
    ),
    use="Diffusion training that converges slowly because steps with little noise rule the others.",
    avoid=(
        "Weights of your own for the steps: `noise_prediction` or `v_prediction` with weight=."
        " Flows: `flow_matching`."
    ),
    checked="the paper's formula in NumPy, and the agreement of its three targets",
    related={
        "noise_prediction": "all steps alike",
        "v_prediction": "makes the velocity that it may weigh",
        "mse": "the same with weight=",
    },
    identities=(
        (
            "min_snr(p, y, snr)",
            "input p: real[B, *S]; input y: real[B, *S]; input snr: positive[B]; "
            "mse(p, y, weight=minimum(snr, 5)/snr)",
        ),
    ),
    examples=(
        Example("min_snr(p, y, snr)", 0.5 * 4, {"p": [[2.0]], "y": [[0.0]], "snr": [10.0]}),
        Example(
            "min_snr(p, y, snr, predicts='x0')",
            5 * 4.0,
            {"p": [[2.0]], "y": [[0.0]], "snr": [10.0]},
        ),
    ),
)
def min_snr(
    pred: Tensor,
    target: Tensor,
    snr: Tensor,
    *,
    gamma: Number = 5.0,
    predicts: Literal["noise", "v", "x0"] = "noise",
) -> Tensor:
    """Squared error in which time steps with little noise do not count more than others.

    Args:
        gamma: the largest weight, in terms of the clean sample.
        predicts: what the network predicts.

    Shape:
        pred and target alike, [B, ...], snr of [B]; one value an element.

    Example:
        `min_snr(eps_pred, eps, alpha_bar/(1 - alpha_bar))`
    """
    ratio = snr.detach()
    clipped = torch.where(ratio < gamma, ratio, gamma)
    divisor = {"noise": ratio, "v": ratio + 1, "x0": torch.ones_like(ratio)}[predicts]
    difference = pred - target
    return by_sample(clipped / divisor, difference) * (difference * difference)


@loss(
    "diffusion_vlb",
    signature="real[B, *S], real[B, *S], real[B, *S], real[B, *S] -> loss[B]",
    family="generative",
    values="[0, inf)",
    latex=(
        r"\frac{1}{D \log 2} \sum_d \mathrm{KL}\left(\mathcal{N}(\mu_d, e^{s_d}) \,\Vert\, "
        r"\mathcal{N}(\nu_d, e^{t_d})\right)"
    ),
    reference=Reference(
        "A. Nichol, P. Dhariwal",
        "Improved Denoising Diffusion Probabilistic Models",
        2021,
        "2102.09672",
    ),
    conventions=(
        "One term of the variational bound, of the time steps after the first: the divergence of"
        " the model's step from the true posterior's, in bits a dimension.",
        "The first two arguments are the true posterior's mean and log-variance, the others the"
        " model's.",
        "The model's mean is a constant, as in the paper: the bound trains the variance alone.",
    ),
    pitfalls=("The paper weighs it by 0.001 beside noise_prediction.",),
    use=(
        "Learned variances of a diffusion model, with weight 0.001 beside noise_prediction:"
        " better likelihoods and fewer steps."
    ),
    avoid=(
        "Fixed variances: `noise_prediction` alone. Means that are to learn from the divergence:"
        " `kl_gaussian`."
    ),
    checked="`torch.distributions.kl_divergence`, in bits a dimension",
    related={
        "kl_gaussian": "the sum in natural units, with a gradient into all four",
        "noise_prediction": "what it goes beside",
    },
    identities=(
        (
            "input m: real[B, D]; input s: real[B, D]; input n: real[B, D]; "
            "input t: real[B, D]; diffusion_vlb(m, s, n, t)",
            "input m: real[B, D]; input s: real[B, D]; input n: real[B, D]; "
            "input t: real[B, D]; kl_gaussian(m, s, n, t)/(D*log(2))",
        ),
    ),
    examples=(
        Example(
            "diffusion_vlb(m, s, n, t)",
            0.5 * (LN2 - 1 + 0.5 + 4.0 / 2) / LN2,
            {"m": [[3.0]], "s": [[0.0]], "n": [[1.0]], "t": [[LN2]]},
        ),
    ),
)
def diffusion_vlb(mean: Tensor, logvar: Tensor, pred_mean: Tensor, pred_logvar: Tensor) -> Tensor:
    """A step's share of the variational bound, in bits a dimension.

    Shape:
        All four alike, [B, ...]; one value a sample.

    Example:
        `noise_prediction(e, eps) + 0.001*diffusion_vlb(q_mean, q_logvar, p_mean, p_logvar)`
    """
    bits = gaussian_divergence(
        wide(mean), wide(logvar), wide(pred_mean.detach()), wide(pred_logvar)
    )
    return mean_over(bits / LN2, range(1, bits.dim())) if bits.dim() > 1 else bits / LN2
