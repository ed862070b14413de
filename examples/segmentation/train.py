"""Find the coins in a noisy photograph, with a small U-Net.

    python examples/segmentation/train.py --steps 150
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage
import torch
from scipy import ndimage
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
NOISE = 0.3
EPOCH = 25
"""Steps between two lines of the log."""


def load_coins() -> tuple[Tensor, Tensor]:
    """The photograph, in [0, 1], and its mask, both [1, 1, H, W].

    scikit-image's `coins` comes without labels. These are made from the clean photograph: flooding
    its edges from surely dark and surely bright pixels, then filling holes, gives all 24 coins.
    The network only sees the photograph under heavy noise, where that recipe fails.
    """
    photo = skimage.data.coins()
    markers = np.where(photo < 30, 1, np.where(photo > 150, 2, 0))
    flooded = skimage.segmentation.watershed(skimage.filters.sobel(photo), markers)
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(flooded == 2), iterations=3)
    return torch.tensor(photo / 255.0).float()[None, None], torch.tensor(mask).float()[None, None]


def split(image: Tensor) -> tuple[Tensor, Tensor]:
    """The upper three rows of coins to train on, the lowest row to test on."""
    return image[..., :232, :], image[..., 232:296, :]


def noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    return image + NOISE * torch.randn(image.shape, generator=generator)


def crops(
    photo: Tensor, mask: Tensor, generator: torch.Generator, n: int = 16, size: int = 64
) -> tuple[Tensor, Tensor]:
    """A batch of random squares, with fresh noise."""
    tops = torch.randint(photo.shape[-2] - size + 1, (n,), generator=generator).tolist()
    lefts = torch.randint(photo.shape[-1] - size + 1, (n,), generator=generator).tolist()
    where = [
        (..., slice(t, t + size), slice(s, s + size)) for t, s in zip(tops, lefts, strict=True)
    ]
    x = torch.cat([photo[w] for w in where])
    return noisy(x, generator), torch.cat([mask[w] for w in where])


class UNet(nn.Module):
    """Two steps down, two steps up, with skips."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.inside = block(1, width)
        self.down1 = block(width, 2 * width)
        self.down2 = block(2 * width, 4 * width)
        self.up1 = block(6 * width, 2 * width)
        self.up2 = block(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        a = self.inside(x)
        b = self.down1(self.pool(a))
        c = self.down2(self.pool(b))
        b = self.up1(torch.cat([b, self.grow(c)], 1))
        a = self.up2(torch.cat([a, self.grow(b)], 1))
        return self.head(a)


def block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )
