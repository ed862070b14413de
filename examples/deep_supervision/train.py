"""Tell stains apart in a grey photograph, with losses inside the network too.

    python examples/deep_supervision/train.py --steps 200
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage import color, data, filters
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
UNKNOWN = 255


def load() -> tuple[Tensor, Tensor]:
    """A grey photograph of tissue [1, 1, H, W] and its classes [1, H, W].

    The tissue of scikit-image's `immunohistochemistry` was stained: nuclei blue, a protein brown.
    The colours, unmixed, give the classes: 0 neither, 1 blue, 2 brown, and UNKNOWN where a stain
    is close to its threshold. The network has to do without the colours.
    """
    photo = data.immunohistochemistry()
    stains = ndimage.gaussian_filter(color.rgb2hed(photo), (2, 2, 0))[::2, ::2]
    blue, brown = (stains[..., i] / filters.threshold_otsu(stains[..., i]) for i in (0, 2))
    classes = np.where(brown > 1, 2, np.where(blue > 1, 1, 0))
    classes[(abs(brown - 1) < 0.15) | ((brown < 1) & (abs(blue - 1) < 0.15))] = UNKNOWN
    grey = color.rgb2gray(photo).reshape(256, 2, 256, 2).mean((1, 3))
    return torch.tensor(grey).float()[None, None], torch.tensor(classes)[None]


def crops(x: Tensor, y: Tensor, n: int = 8, size: int = 96) -> tuple[Tensor, Tensor]:
    """A batch of random squares, half of them mirrored."""
    images, classes = [], []
    for i in range(n):
        top = int(torch.randint(x.shape[2] - size + 1, ()))
        left = int(torch.randint(x.shape[3] - size + 1, ()))
        where = (..., slice(top, top + size), slice(left, left + size))
        images.append(x[where].flip(-1) if i % 2 else x[where])
        classes.append(y[where].flip(-1) if i % 2 else y[where])
    return torch.cat(images), torch.cat(classes)


def block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class Net(nn.Module):
    """A small U-Net that also says what it thinks at a half and a quarter of the resolution."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.down1, self.down2, self.down4 = block(1, 16), block(16, 32), block(32, 48)
        self.deepest = nn.Sequential(block(48, 64), block(64, 64))
        self.up4, self.up2, self.up1 = block(64 + 48, 48), block(48 + 32, 32), block(32 + 16, 16)
        self.heads = nn.ModuleList(nn.Conv2d(n, classes, 1) for n in (16, 32, 48))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        shrink, grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        x1 = self.down1(x)
        x2 = self.down2(shrink(x1))
        x4 = self.down4(shrink(x2))
        x8 = self.deepest(shrink(x4))
        x4 = self.up4(torch.cat([x4, grow(x8)], 1))
        x2 = self.up2(torch.cat([x2, grow(x4)], 1))
        x1 = self.up1(torch.cat([x1, grow(x2)], 1))
        out, *aux = (head(x) for head, x in zip(self.heads, (x1, x2, x4), strict=True))
        return out, aux
