"""What `benchmarks.speed` compares: programs, their inputs, and PyTorch for the same formulas.

A reference is what someone who knows PyTorch writes by hand for the program beside it, and must
have its value. A peer is what a library offers for the purpose; its value may be another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Formula = Callable[..., Tensor]


@dataclass(frozen=True)
class Peer:
    """A library's own losses. `make` imports the library."""

    name: str
    make: Callable[[], Formula]


@dataclass(frozen=True)
class Row:
    """A program, with tensors for it and the hand-written function of the same tensors."""

    name: str
    program: str
    shape: tuple[int, ...]
    make: Callable[..., dict[str, Tensor]]
    reference: Formula
    learnt: tuple[str, ...]
    peer: Peer | None = None
    overhead: bool = False
    """Whether the calculation is so short that the cost of the call itself can be told."""

    def inputs(self) -> dict[str, Tensor]:
        """The same numbers at every call; gradients are wanted of what is learnt."""
        torch.manual_seed(0)
        made = self.make(*self.shape)
        for name in self.learnt:
            made[name].requires_grad_()
        return made

    @property
    def sizes(self) -> str:
        return "×".join(map(str, self.shape))


# --- masks --------------------------------------------------------------------------------------

SMOOTH = 1e-5


def masks(*shape: int) -> dict[str, Tensor]:
    return {"p": torch.randn(shape), "y": (torch.rand(shape) < 0.3).float()}


def masks_and_image(batch: int, channels: int, *space: int) -> dict[str, Tensor]:
    return {**masks(batch, channels, *space), "img": torch.rand(batch, 3, *space)}


def overlap(q: Tensor, y: Tensor) -> Tensor:
    """Dice of each image and class, then their mean."""
    both, whole = (q * y).sum((2, 3)), q.sum((2, 3)) + y.sum((2, 3))
    return (1 - (2 * both + SMOOTH) / (whole + SMOOTH)).mean()


def segmentation(p: Tensor, y: Tensor, img: Tensor) -> Tensor:
    rows = (img[..., 1:, :] - img[..., :-1, :]).abs().mean()
    columns = (img[..., 1:] - img[..., :-1]).abs().mean()
    cost = F.binary_cross_entropy_with_logits(p, y)
    return 0.5 * cost + overlap(p.sigmoid(), y) + 0.1 * (rows + columns)


def segmentation_peer() -> Formula:
    from kornia.losses import total_variation
    from monai.losses.dice import DiceCELoss

    region = DiceCELoss(sigmoid=True, lambda_ce=0.5)

    def value(p: Tensor, y: Tensor, img: Tensor) -> Tensor:
        smooth: Tensor = total_variation(img, reduction="mean").mean()
        overlapping: Tensor = region(p, y)
        return overlapping + 0.1 * smooth

    return value


SEGMENTATION_PEER = Peer("monai DiceCELoss, kornia total_variation", segmentation_peer)


def focal(p: Tensor, y: Tensor) -> Tensor:
    q = p.sigmoid()
    missed = q + y - 2 * q * y
    weight = 0.75 - 0.5 * y
    cost = F.binary_cross_entropy_with_logits(p, y, reduction="none")
    return (weight * missed**2 * cost).mean()


def focal_peer() -> Formula:
    from monai.losses.focal_loss import FocalLoss

    made: Formula = FocalLoss(gamma=2.0, alpha=0.25)
    return made


# --- classes ------------------------------------------------------------------------------------


def labelled(batch: int, classes: int, *space: int) -> dict[str, Tensor]:
    return {
        "p": torch.randn(batch, classes, *space),
        "y": torch.randint(0, classes, (batch, *space)),
    }


def classes(p: Tensor, y: Tensor) -> Tensor:
    # Faster than F.one_hot, compiled or not.
    hot = (y[:, None] == torch.arange(p.shape[1], device=p.device)[:, None, None]).to(p.dtype)
    return F.cross_entropy(p, y) + overlap(p.softmax(1), hot)


def classes_peer() -> Formula:
    from monai.losses.dice import DiceCELoss

    region = DiceCELoss(softmax=True, to_onehot_y=True)

    def value(p: Tensor, y: Tensor) -> Tensor:
        made: Tensor = region(p, y[:, None])
        return made

    return value


# --- images and embeddings ----------------------------------------------------------------------

OFFSETS = torch.arange(11, dtype=torch.float64) - 5
WINDOW = torch.softmax(-(OFFSETS**2) / (2 * 1.5**2), 0)
"""The Gaussian window of SSIM."""


def images(*shape: int) -> dict[str, Tensor]:
    x = torch.rand(shape)
    return {"x": x, "y": (x + 0.1 * torch.randn(shape)).clamp(0, 1)}


def restoration(x: Tensor, y: Tensor) -> Tensor:
    maps = torch.cat([x, y, x * x, y * y, x * y], 1)
    taps = WINDOW.to(x).expand(maps.shape[1], 1, 1, 11)
    rows = F.conv2d(maps, taps, groups=maps.shape[1])
    u, v, uu, vv, uv = F.conv2d(rows, taps.mT, groups=maps.shape[1]).chunk(5, 1)
    luminance = (2 * u * v + 1e-4) / (u * u + v * v + 1e-4)
    contrast = (2 * (uv - u * v) + 9e-4) / (uu - u * u + vv - v * v + 9e-4)
    return 0.84 * (1 - luminance * contrast).mean() + 0.16 * F.l1_loss(x, y)


def restoration_by_squares(x: Tensor, y: Tensor) -> Tensor:
    """The same with the window as one square of weights, as it stands in most code."""
    maps = torch.cat([x, y, x * x, y * y, x * y], 1)
    square = torch.outer(WINDOW, WINDOW).to(x).expand(maps.shape[1], 1, 11, 11)
    u, v, uu, vv, uv = F.conv2d(maps, square, groups=maps.shape[1]).chunk(5, 1)
    luminance = (2 * u * v + 1e-4) / (u * u + v * v + 1e-4)
    contrast = (2 * (uv - u * v) + 9e-4) / (uu - u * u + vv - v * v + 9e-4)
    return 0.84 * (1 - luminance * contrast).mean() + 0.16 * F.l1_loss(x, y)


def restoration_peer() -> Formula:
    from kornia.losses import ssim_loss

    def value(x: Tensor, y: Tensor) -> Tensor:
        # Of 1 - SSIM it gives half.
        half = ssim_loss(x, y, window_size=11, padding="valid")
        return 0.84 * 2 * half + 0.16 * F.l1_loss(x, y)

    return value


def pairs(*shape: int) -> dict[str, Tensor]:
    return {"u": torch.randn(shape), "v": torch.randn(shape)}


def contrast(u: Tensor, v: Tensor) -> Tensor:
    similarity = F.normalize(u, dim=1) @ F.normalize(v, dim=1).T / 0.07
    partner = torch.arange(len(u), device=u.device)
    return 0.5 * (F.cross_entropy(similarity, partner) + F.cross_entropy(similarity.T, partner))


# --- the rows -----------------------------------------------------------------------------------

REFERENCE_LINE = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"

ROWS = (
    Row(
        "segmentation",
        REFERENCE_LINE,
        (8, 1, 512, 512),
        masks_and_image,
        segmentation,
        ("p", "img"),
        SEGMENTATION_PEER,
    ),
    Row(
        "classes",
        "ce(p, y) + dice(p, y)",
        (4, 8, 256, 256),
        labelled,
        classes,
        ("p",),
        Peer("monai DiceCELoss", classes_peer),
    ),
    Row(
        "focal",
        "focal(p, y)",
        (8, 1, 512, 512),
        masks,
        focal,
        ("p",),
        Peer("monai FocalLoss", focal_peer),
    ),
    Row("vocabulary", "ce(p, y)", (1024, 32000), labelled, F.cross_entropy, ("p",)),
    Row(
        "restoration",
        "0.84*ssim(x, y) + 0.16*l1(x, y)",
        (4, 3, 256, 256),
        images,
        restoration,
        ("x",),
        Peer("kornia ssim_loss", restoration_peer),
    ),
    Row(
        "squares",
        "0.84*ssim(x, y) + 0.16*l1(x, y)",
        (4, 3, 256, 256),
        images,
        restoration_by_squares,
        ("x",),
    ),
    Row("clip", "clip(u, v)", (1024, 512), pairs, contrast, ("u", "v")),
    Row(
        "tiny",
        REFERENCE_LINE,
        (2, 1, 16, 16),
        masks_and_image,
        segmentation,
        ("p", "img"),
        SEGMENTATION_PEER,
        overhead=True,
    ),
)
