"""Restoration, written out in plain torch from the papers and their authors' code."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal, several, uniform
from pytorch_msssim import ms_ssim
from torch import Tensor


def seen(a: list[Tensor], b: list[Tensor], power: int) -> Tensor:
    pairs = zip(a, b, strict=True)
    return torch.stack([((x - y.detach()).abs() ** power).mean() for x, y in pairs]).sum()


def softly(z: Tensor) -> Tensor:
    return -z.sigmoid().log().mean()


def blurred(x: Tensor) -> Tensor:
    """Gaussian means of sigma 8 over 24 pixels to each side, weights cut at the border."""
    at = torch.arange(-24, 25, dtype=x.dtype)
    line = torch.exp(-(at**2) / 128)
    window = torch.outer(line, line)[None, None]

    def total(x: Tensor) -> Tensor:
        return F.conv2d(x, window, padding=24)

    return total(x) / total(torch.ones_like(x))


def ms_ssim_l1(p: Tensor, y: Tensor) -> Tensor:
    at = torch.arange(-5, 6, dtype=p.dtype)
    line = torch.exp(-(at**2) / (2 * 1.5**2))
    structure = 1 - ms_ssim(p, y, data_range=1.0, win=(line / line.sum())[None, None, None])
    return 0.84 * structure + 0.16 * blurred((p - y).abs()).mean()


def esrgan_g(**x: Any) -> Tensor:
    real, fake = x["real"], x["fake"]
    adversary = softly(fake - real.mean()) + softly(-(real - fake.mean()))
    content = (x["p"] - x["y"]).abs().mean()
    return seen(x["features"], x["true_features"], 1) + 5e-3 * adversary + 1e-2 * content


def gram(f: Tensor) -> Tensor:
    flat = f.flatten(2)
    return flat @ flat.mT / f[0].numel()


def grams(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return seen([gram(x) for x in a], [gram(x) for x in b], 1)


def partial_convolution(**x: Any) -> Tensor:
    p, y, hole = x["p"], x["y"], x["hole"].double()
    mixed = hole * p + (1 - hole) * y
    grown = F.max_pool2d(hole, 3, 1, 1)
    across = (mixed[..., 1:] - mixed[..., :-1]).abs() * grown[..., 1:] * grown[..., :-1]
    down = (mixed[..., 1:, :] - mixed[..., :-1, :]).abs() * grown[..., 1:, :] * grown[..., :-1, :]
    f, m, t = x["features"], x["mixed_features"], x["true_features"]
    return (
        ((1 - hole) * (p - y)).abs().mean()
        + 6 * (hole * (p - y)).abs().mean()
        + 0.05 * (seen(f, t, 1) + seen(m, t, 1))
        + 120 * (grams(f, t) + grams(m, t))
        + 0.1 * (across.sum() + down.sum()) / mixed.numel()
    )


def context_encoder(p: Tensor, y: Tensor, hole: Tensor, score: Tensor) -> Tensor:
    missing = ((p - y) ** 2)[hole.expand_as(p)].mean()
    return 0.999 * missing + 0.001 * softly(score)


def fine(x: Tensor) -> Tensor:
    """An image minus its half-size version, blown up again; weights of pixels that exist."""
    line = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05], dtype=x.dtype)
    kernel = torch.outer(line, line).repeat(x.shape[1], 1, 1, 1)

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=x.shape[1])

    there = torch.zeros_like(x)
    there[:, :, ::2, ::2] = 1
    return x - blur(blur(x) * there) / blur(there)


def mprnet(outputs: list[Tensor], y: Tensor) -> Tensor:
    parts = [
        ((o - y) ** 2 + 1e-6).sqrt().mean() + 0.05 * ((fine(o) - fine(y)) ** 2 + 1e-6).sqrt().mean()
        for o in outputs
    ]
    return torch.stack(parts).sum()


def griddehaze(p: Tensor, y: Tensor, **x: Any) -> Tensor:
    d = (p - y).abs()
    pixels = torch.where(d < 1, d**2 / 2, d - 0.5).mean()
    return pixels + 0.04 * seen(x["features"], x["true_features"], 2)


def neural_style(content: Tensor, true_content: Tensor, **x: Any) -> Tensor:
    """One image, as Gatys writes it: sums over a layer, not means."""
    total = ((content - true_content.detach()) ** 2).sum() / 2
    for f, g in zip(x["features"], x["style_features"], strict=True):
        channels, area = f.shape[1], f[0, 0].numel()
        a, b = f[0].flatten(1), g[0].detach().flatten(1)
        apart = ((a @ a.T - b @ b.T) ** 2).sum() / (4 * channels**2 * area**2)
        total = total + 1000 * 0.2 * apart
    return total


MAPS = [normal(2, 3, 4, 4), normal(2, 5, 2, 3)]
FEATURES = {name: ("features", several(*MAPS)) for name in ("features", "true_features")}
IMAGES = {
    "p": ("image[B, C, H, W]", uniform(2, 3, 9, 8)),
    "y": ("image[B, C, H, W]", uniform(2, 3, 9, 8)),
}
LAYERS = [normal(1, 3, 4, 4) for _ in range(5)]

CASES = [
    Case(
        "ms_ssim_l1(p, y)",
        {
            "p": ("image[B, C, H, W]", uniform(1, 1, 176, 176)),
            "y": ("image[B, C, H, W]", uniform(1, 1, 176, 176)),
        },
        ms_ssim_l1,
    ),
    Case(
        "srgan_g(features, true_features, score)",
        {**FEATURES, "score": ("score[B]", normal(2))},
        lambda features, true_features, score: (
            seen(features, true_features, 2) + 1e-3 * softly(score)
        ),
    ),
    Case(
        "esrgan_g(p, y, features, true_features, real, fake)",
        {**IMAGES, **FEATURES, "real": ("score[B]", normal(2)), "fake": ("score[B]", normal(2))},
        esrgan_g,
    ),
    Case(
        "partial_convolution(p, y, hole, features, mixed_features, true_features)",
        {
            **IMAGES,
            **FEATURES,
            "hole": ("mask[B, 1, H, W]", choice(2, 1, 9, 8, share=0.15)),
            "mixed_features": ("features", several(*MAPS)),
        },
        partial_convolution,
    ),
    Case(
        "context_encoder(p, y, hole, score)",
        {
            **IMAGES,
            "hole": ("mask[B, 1, H, W]", choice(2, 1, 9, 8)),
            "score": ("score[B]", normal(2)),
        },
        context_encoder,
    ),
    Case(
        "mprnet(outputs, y)",
        {
            "y": IMAGES["y"],
            "outputs": (
                "list[image[B, C, H, W]; 2]",
                several(uniform(2, 3, 9, 8), uniform(2, 3, 9, 8)),
            ),
        },
        mprnet,
    ),
    Case("griddehaze(p, y, features, true_features)", {**IMAGES, **FEATURES}, griddehaze),
    Case(
        "neural_style(content, true_content, features, style_features)",
        {
            "content": ("real[B, C, H, W]", normal(1, 2, 3, 3)),
            "true_content": ("real[B, C, H, W]", normal(1, 2, 3, 3)),
            "features": ("features", several(*LAYERS)),
            "style_features": ("features", several(*LAYERS)),
        },
        neural_style,
    ),
]
