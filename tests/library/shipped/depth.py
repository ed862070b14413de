"""Depth and motion, written out in plain torch from the papers and their authors' code."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal, several, uniform
from torch import Tensor


def eigen_depth(p: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    rows = []
    for a, b, m in zip(p, y, valid, strict=True):
        d = (a.log() - b.log())[m]
        rows.append((d**2).sum() / len(d) - 0.5 * d.sum() ** 2 / len(d) ** 2)
    return torch.stack(rows).mean()


def bts_depth(p: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    d = p[valid].log() - y[valid].log()
    return 10 * torch.sqrt((d**2).mean() - 0.85 * d.mean() ** 2)


def gaussian_ssim(p: Tensor, y: Tensor) -> Tensor:
    at = torch.arange(-5, 6, dtype=torch.float64)
    line = torch.exp(-(at**2) / (2 * 1.5**2))
    window = (torch.outer(line, line) / line.sum() ** 2)[None, None]

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, window)

    mp, my = blur(p), blur(y)
    vp, vy, both = blur(p * p) - mp**2, blur(y * y) - my**2, blur(p * y) - mp * my
    index = (2 * mp * my + 0.1**2) * (2 * both + 0.3**2)
    return (index / ((mp**2 + my**2 + 0.1**2) * (vp + vy + 0.3**2))).mean()


def dense_depth(p: Tensor, y: Tensor) -> Tensor:
    d = p - y
    across, down = (d[..., 1:] - d[..., :-1]).abs(), (d[..., 1:, :] - d[..., :-1, :]).abs()
    structure = (1 - gaussian_ssim(p, y)) / 2
    return 0.1 * d.abs().mean() + across.mean() + down.mean() + structure


def photo(x: Tensor, y: Tensor) -> Tensor:
    """Monodepth2's reprojection loss, without the pixels whose windows need padding."""

    def near(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1)

    mx, my = near(x), near(y)
    sx, sy, sxy = near(x**2) - mx**2, near(y**2) - my**2, near(x * y) - mx * my
    n = (2 * mx * my + 0.01**2) * (2 * sxy + 0.03**2)
    d = (mx**2 + my**2 + 0.01**2) * (sx + sy + 0.03**2)
    structure = torch.clamp((1 - n / d) / 2, 0, 1).mean(1)
    return 0.85 * structure + 0.15 * (x - y).abs().mean(1)[:, 1:-1, 1:-1]


def smooth(disparity: Tensor, image: Tensor) -> Tensor:
    image = image.detach()
    across = (disparity[..., :-1] - disparity[..., 1:]).abs()
    down = (disparity[..., :-1, :] - disparity[..., 1:, :]).abs()
    edge_x = (image[..., :-1] - image[..., 1:]).abs().mean(1, keepdim=True)
    edge_y = (image[..., :-1, :] - image[..., 1:, :]).abs().mean(1, keepdim=True)
    return (across * torch.exp(-edge_x)).mean() + (down * torch.exp(-edge_y)).mean()


def monodepth2(**x: Any) -> Tensor:
    views = [photo(x["target"], v) for v in (*x["warped"], *x["still"])]
    best = torch.stack(views, 1).min(1).values.mean()
    disparity = x["disparity"]
    scaled = disparity / (disparity.mean(2, True).mean(3, True) + 1e-7)
    return best + 1e-3 * smooth(scaled, x["target"])


def monodepth(**x: Any) -> Tensor:
    seen = photo(x["l"], x["lw"]).mean() + photo(x["r"], x["rw"]).mean()
    even = smooth(x["dl"], x["l"]) + smooth(x["dr"], x["r"])
    agree = (x["dl"] - x["dlw"]).abs().mean() + (x["dr"] - x["drw"]).abs().mean()
    return seen + 0.1 * even + agree


def raft(flows: list[Tensor], y: Tensor, valid: Tensor) -> Tensor:
    total = torch.zeros((), dtype=y.dtype)
    for i, flow in enumerate(flows):
        total = total + 0.8 ** (len(flows) - i - 1) * (valid[:, None] * (flow - y).abs()).mean()
    return total


DEPTHS = {
    "p": ("positive[B, H, W]", uniform(2, 5, 4, low=0.5, high=3.0)),
    "y": ("positive[B, H, W]", uniform(2, 5, 4, low=0.5, high=3.0)),
    "valid": ("mask[B, H, W]", choice(2, 5, 4, share=0.7)),
}
IMAGE = ("image[B, 3, H, W]", uniform(2, 3, 7, 8))
DISPARITY = ("positive[B, 1, H, W]", uniform(2, 1, 7, 8, low=0.1))
VIEWS = ("list[image[B, 3, H, W]; 2]", several(uniform(2, 3, 7, 8), uniform(2, 3, 7, 8)))

CASES = [
    Case("eigen_depth(p, y, valid)", DEPTHS, eigen_depth),
    Case("bts_depth(p, y, valid)", DEPTHS, bts_depth),
    Case(
        "dense_depth(p, y)",
        {
            "p": ("image(0, 10)[B, 1, H, W]", uniform(2, 1, 13, 12, high=10.0)),
            "y": ("image(0, 10)[B, 1, H, W]", uniform(2, 1, 13, 12, high=10.0)),
        },
        dense_depth,
    ),
    Case("mean(photo(x, y))", {"x": IMAGE, "y": IMAGE}, lambda x, y: photo(x, y).mean()),
    Case(
        "monodepth2(target, warped, still, disparity)",
        {"target": IMAGE, "warped": VIEWS, "still": VIEWS, "disparity": DISPARITY},
        monodepth2,
    ),
    Case(
        "monodepth(l, lw, r, rw, dl, dlw, dr, drw)",
        {
            **dict.fromkeys(("l", "lw", "r", "rw"), IMAGE),
            **dict.fromkeys(("dl", "dlw", "dr", "drw"), DISPARITY),
        },
        monodepth,
    ),
    Case(
        "raft(flows, y, valid)",
        {
            "flows": (
                "list[real[B, 2, H, W]; 12]",
                several(*(normal(2, 2, 3, 4) for _ in range(12))),
            ),
            "y": ("real[B, 2, H, W]", normal(2, 2, 3, 4)),
            "valid": ("mask[B, H, W]", choice(2, 3, 4)),
        },
        raft,
    ),
]
