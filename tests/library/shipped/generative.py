"""Generative models, written out in plain torch from the papers."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal, several, uniform, whole
from torch import Tensor


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum() / len(mean)


def pixels(p: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(p, x.double(), reduction="sum") / len(p)


def commitment(z: Tensor, code: Tensor) -> Tensor:
    return ((z.detach() - code) ** 2).mean() + 0.25 * ((z - code.detach()) ** 2).mean()


def apart(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    return [(x - y.detach()).abs().mean() for x, y in zip(a, b, strict=True)]


def layers(a: list[Tensor], b: list[Tensor], weights: list[float]) -> Tensor:
    return torch.stack([w * d for w, d in zip(weights, apart(a, b), strict=True)]).sum()


def vqgan_g(**x: Any) -> Tensor:
    pairs = zip(x["features"], x["true_features"], strict=True)
    seen = torch.stack([((a - b.detach()) ** 2).mean() for a, b in pairs]).sum()
    coded = commitment(x["z"], x["code"])
    return (x["p"] - x["x"]).abs().mean() + seen + coded - 0.8 * x["score"].mean()


def discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate with a Gaussian kernel of bandwidth 1."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / 2)

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def cyclegan_g(**x: Any) -> Tensor:
    judged = ((x["score_a"] - 1) ** 2).mean() + ((x["score_b"] - 1) ** 2).mean()
    cycle = (x["x_back"] - x["x"]).abs().mean() + (x["y_back"] - x["y"]).abs().mean()
    same = (x["x_same"] - x["x"]).abs().mean() + (x["y_same"] - x["y"]).abs().mean()
    return judged + 10 * cycle + 5 * same


def cyclegan_d(**x: Tensor) -> Tensor:
    """As in the authors' code: half the sum of both errors."""
    parts = [((x[f"real_{k}"] - 1) ** 2).mean() + (x[f"fake_{k}"] ** 2).mean() for k in ("a", "b")]
    return 0.5 * (parts[0] + parts[1])


def matched(**x: Any) -> Tensor:
    vgg = layers(x["features"], x["true_features"], [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1])
    return 10 * layers(x["layers"], x["true_layers"], [1.0, 1.0]) + 10 * vgg


def pix2pixhd_g(score: Tensor, **x: Any) -> Tensor:
    return ((score - 1) ** 2).mean() + matched(**x)


def spade_g(score: Tensor, **x: Any) -> Tensor:
    return -score.mean() + matched(**x)


def bound(m1: Tensor, v1: Tensor, m2: Tensor, v2: Tensor) -> Tensor:
    """KL of two diagonal Gaussians in bits a dimension; the model's mean does not learn from it."""
    each = torch.distributions.kl_divergence(
        torch.distributions.Normal(m1, (v1 / 2).exp()),
        torch.distributions.Normal(m2.detach(), (v2 / 2).exp()),
    )
    return each.mean() / math.log(2)


def path_lengths(x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    """The penalty of the first step, whose running mean is its own."""
    scaled = (x * noise).sum() / math.sqrt(x.shape[2] * x.shape[3])
    (slope,) = torch.autograd.grad(scaled, w, create_graph=True)
    layers = slope.reshape(len(w), -1, w.shape[-1])
    lengths = (layers**2).sum(2).mean(1).sqrt()
    return 2 * ((lengths - lengths.mean().detach()) ** 2).mean()


LATENT = {
    "mean": ("real[B, D]", normal(3, 4)),
    "logvar": ("real[B, D]", normal(3, 4)),
}
PICTURE = {"p": ("real[B, N]", normal(3, 6)), "x": ("real[B, N]", normal(3, 6))}
BINARY = {"p": ("logits[B, N]", normal(3, 6)), "x": ("mask[B, N]", choice(3, 6))}
CODE = {"z": ("real[B, D]", normal(3, 4)), "code": ("real[B, D]", normal(3, 4))}
REAL_AND_FAKE = {"real": ("score[B]", normal(4)), "fake": ("score[B]", normal(4))}
MAPS = {
    "layers": ("features", several(normal(2, 3, 4, 4), normal(2, 5, 2, 2))),
    "true_layers": ("features", several(normal(2, 3, 4, 4), normal(2, 5, 2, 2))),
    "features": ("features", several(*(normal(2, 3, 4, 4) for _ in range(5)))),
    "true_features": ("features", several(*(normal(2, 3, 4, 4) for _ in range(5)))),
}
ATTRIBUTES = {
    "domain": ("logits[B, K]", normal(4, 5)),
    "wanted": ("mask[B, K]", choice(4, 5)),
}


def classes(front: str) -> dict[str, Any]:
    return {
        f"{front}_classes": (f"class_logits[B{front}, C]", normal(4, 3)),
        f"{front}_labels": (f"labels[B{front}]", whole(4, below=3)),
    }


CASES = [
    Case(
        "vae(p, x, mean, logvar)",
        {**PICTURE, **LATENT},
        lambda p, x, mean, logvar: ((p - x) ** 2).sum() / 6 + divergence(mean, logvar),
    ),
    Case(
        "vae_bernoulli(p, x, mean, logvar)",
        {**BINARY, **LATENT},
        lambda p, x, mean, logvar: pixels(p, x) + divergence(mean, logvar),
    ),
    Case(
        "beta_vae(p, x, mean, logvar)",
        {**BINARY, **LATENT},
        lambda p, x, mean, logvar: pixels(p, x) + 4 * divergence(mean, logvar),
    ),
    Case(
        "capacity_vae(p, x, mean, logvar)",
        {**BINARY, **LATENT},
        lambda p, x, mean, logvar: pixels(p, x) + 1000 * divergence(mean, logvar).abs(),
    ),
    Case(
        "capacity_vae(p, x, mean, logvar, capacity=9)",
        {**BINARY, **LATENT},
        lambda p, x, mean, logvar: pixels(p, x) + 1000 * (divergence(mean, logvar) - 9).abs(),
    ),
    Case(
        "vq_vae(p, x, z, code)",
        {**PICTURE, **CODE},
        lambda p, x, z, code: ((p - x) ** 2).mean() + commitment(z, code),
    ),
    Case(
        "vqgan_g(p, x, features, true_features, z, code, score)",
        {
            **PICTURE,
            **CODE,
            "features": MAPS["features"],
            "true_features": MAPS["true_features"],
            "score": ("score[B, H]", normal(3, 5)),
        },
        vqgan_g,
    ),
    Case(
        "wae(p, x, z, prior)",
        {**PICTURE, "z": ("real[B, D]", normal(3, 4)), "prior": ("real[B, D]", normal(3, 4))},
        lambda p, x, z, prior: ((p - x) ** 2).sum() / 3 + 10 * discrepancy(z, prior),
    ),
    Case(
        "pix2pix_g(score, p, x)",
        {**PICTURE, "score": ("score[B, H]", normal(3, 5))},
        lambda score, p, x: -score.sigmoid().log().mean() + 100 * (p - x).abs().mean(),
    ),
    Case(
        "pix2pix_d(real, fake)",
        REAL_AND_FAKE,
        lambda real, fake: -(real.sigmoid().log() + (1 - fake.sigmoid()).log()).mean() / 2,
    ),
    Case(
        "cyclegan_g(score_a, score_b, x, x_back, y, y_back, x_same, y_same)",
        {
            "score_a": ("score[B, H]", normal(2, 5)),
            "score_b": ("score[B, H]", normal(2, 5)),
            **{
                name: ("real[B, N]", normal(2, 6))
                for name in ("x", "x_back", "y", "y_back", "x_same", "y_same")
            },
        },
        cyclegan_g,
    ),
    Case(
        "cyclegan_d(real_a, fake_a, real_b, fake_b)",
        {name: ("score[B, H]", normal(2, 5)) for name in ("real_a", "fake_a", "real_b", "fake_b")},
        cyclegan_d,
    ),
    Case(
        "pix2pixhd_g(score, layers, true_layers, features, true_features)",
        {**MAPS, "score": ("score[B, H]", normal(2, 5))},
        pix2pixhd_g,
    ),
    Case(
        "spade_g(score, layers, true_layers, features, true_features)",
        {**MAPS, "score": ("score[B, H]", normal(2, 5))},
        spade_g,
    ),
    Case(
        "stargan_g(score, domain, wanted, p, x)",
        {
            **ATTRIBUTES,
            "score": ("score[B]", normal(4)),
            "p": ("real[B, N]", normal(4, 6)),
            "x": ("real[B, N]", normal(4, 6)),
        },
        lambda score, domain, wanted, p, x: (
            -score.mean() + pixels(domain, wanted) + 10 * (p - x).abs().mean()
        ),
    ),
    Case(
        "stargan_d(real, fake, domain, wanted)",
        {**ATTRIBUTES, **REAL_AND_FAKE},
        lambda real, fake, domain, wanted: fake.mean() - real.mean() + pixels(domain, wanted),
    ),
    Case(
        "acgan_g(score, real_classes, real_labels)",
        {**classes("real"), "score": ("score[B]", normal(4))},
        lambda score, real_classes, real_labels: (
            -score.sigmoid().log().mean() + F.cross_entropy(real_classes, real_labels)
        ),
    ),
    Case(
        "acgan_d(real, fake, real_classes, real_labels, fake_classes, fake_labels)",
        {**REAL_AND_FAKE, **classes("real"), **classes("fake")},
        lambda real, fake, **x: (
            -(real.sigmoid().log() + (1 - fake.sigmoid()).log()).mean()
            + F.cross_entropy(x["real_classes"], x["real_labels"])
            + F.cross_entropy(x["fake_classes"], x["fake_labels"])
        ),
    ),
    Case(
        "path_length(sin(w)[:, :, none, none]*k, w, noise)",
        {
            "w": ("real[B, 3]", normal(4, 3)),
            "k": ("real[1, 3, 2, 5]", normal(1, 3, 2, 5)),
            "noise": ("real[B, 3, 2, 5]", normal(4, 3, 2, 5)),
        },
        lambda w, k, noise: path_lengths(w.sin()[:, :, None, None] * k, w, noise),
    ),
    Case(
        "path_length(sin(w)[:, :, :, none]*k, w, noise)",
        {
            "w": ("real[B, 2, 3]", normal(4, 2, 3)),
            "k": ("real[1, 2, 3, 5]", normal(1, 2, 3, 5)),
            "noise": ("real[B, 2, 3, 5]", normal(4, 2, 3, 5)),
        },
        lambda w, k, noise: path_lengths(w.sin()[..., None] * k, w, noise),
    ),
    Case(
        "improved_ddpm(noise, true_noise, m1, v1, m2, v2)",
        {
            name: ("real[B, N]", uniform(3, 6))
            for name in ("noise", "true_noise", "m1", "v1", "m2", "v2")
        },
        lambda noise, true_noise, m1, v1, m2, v2: (
            ((noise - true_noise) ** 2).mean() + 0.001 * bound(m1, v1, m2, v2)
        ),
    ),
]
