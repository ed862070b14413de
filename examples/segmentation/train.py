"""Find the coins in a photograph (scikit-image's) taken in bad light, with a small U-Net.

python examples/segmentation/train.py --steps 120
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage import data, filters, segmentation
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
SHADOW, NOISE = 0.4, 0.3
EPOCH = 20
"""Steps between two lines of the log."""


def load() -> tuple[Tensor, Tensor]:
    """The photograph, in [0, 1], and its mask, both [1, 1, H, W].

    scikit-image's `coins` comes without labels. They are made from the clean photograph: flooded
    from surely dark and surely bright pixels up to the edges, holes filled and specks opened, it
    gives all 24 coins. The network sees the photograph in bad light only, where that fails.
    """
    photo = data.coins()
    markers = np.where(photo < 30, 1, np.where(photo > 150, 2, 0))
    flooded = segmentation.watershed(filters.sobel(photo), markers) == 2
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(flooded), iterations=3)
    return torch.tensor(photo / 255).float()[None, None], torch.tensor(mask).float()[None, None]


def split(image: Tensor) -> tuple[Tensor, Tensor]:
    """The upper three rows of coins to train on, and the lowest, which is held out."""
    return image[:, :, :232], image[:, :, 232:296]


def bad_light(image: Tensor, generator: torch.Generator) -> Tensor:
    """The same scene with a shadow on one side and much noise."""
    tilt = 2 * torch.rand((len(image), 1, 1, 1), generator=generator) - 1
    shadow = SHADOW * tilt * torch.linspace(-1, 1, image.shape[3])
    return image + shadow + NOISE * torch.randn(image.shape, generator=generator)


def held_out(copies: int = 4) -> tuple[Tensor, Tensor]:
    """The lowest row of coins in several bad lights, the same ones at every call."""
    photo, mask = (split(image)[1].expand(copies, -1, -1, -1) for image in load())
    return bad_light(photo, torch.Generator().manual_seed(1)), mask


def crops(
    photo: Tensor, mask: Tensor, generator: torch.Generator, n: int = 16, size: int = 64
) -> tuple[Tensor, Tensor]:
    """A batch of random squares, each in a light of its own."""
    tops = torch.randint(photo.shape[2] - size + 1, (n,), generator=generator)
    lefts = torch.randint(photo.shape[3] - size + 1, (n,), generator=generator)
    where = [
        (..., slice(t, t + size), slice(s, s + size)) for t, s in zip(tops, lefts, strict=False)
    ]
    x = torch.cat([photo[w] for w in where])
    return bad_light(x, generator), torch.cat([mask[w] for w in where])


def block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Three steps down and, with skips, three up."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 5, stride=2, padding=2)
        self.down2 = block(width, width)
        self.down4 = block(width, 2 * width)
        self.down8 = block(2 * width, 4 * width)
        self.up4 = block(6 * width, 2 * width)
        self.up2 = block(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        x2 = self.down2(self.stem(x))
        x4 = self.down4(self.shrink(x2))
        x8 = self.down8(self.shrink(x4))
        x4 = self.up4(torch.cat([x4, self.grow(x8)], 1))
        x2 = self.up2(torch.cat([x2, self.grow(x4)], 1))
        return self.grow(self.head(x2))


def fit(net: nn.Module, loss: lossdsl.Loss, steps: int, seed: int) -> Iterator[dict[str, float]]:
    """Train, and hand out the mean of every term after each epoch."""
    generator = torch.Generator().manual_seed(seed)
    (photo, _), (mask, _) = map(split, load())
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))

    net.train()
    seen: list[dict[str, Tensor]] = []
    for step in range(1, steps + 1):
        x, y = crops(photo, mask, generator)
        optimiser.zero_grad()
        loss(p=net(x), y=y).backward()
        optimiser.step()
        schedule.step()
        seen.append(loss.terms)
        if step % EPOCH == 0 or step == steps:
            yield {name: sum(float(terms[name]) for terms in seen) / len(seen) for name in seen[0]}
            seen.clear()


def scores(p: Tensor, y: Tensor) -> tuple[float, float]:
    """Intersection over union, and Dice, of a predicted mask."""
    both, either = (p & (y > 0)).sum(), (p | (y > 0)).sum()
    return float(both / either), float(2 * both / (both + either))


def by_threshold(x: Tensor) -> Tensor:
    """The baseline: smooth the noise away, and compare each pixel with its surroundings."""
    smooth = ndimage.gaussian_filter(x.numpy(), (0, 0, 2, 2))
    masks = [image > filters.threshold_local(image, 151) for image in smooth[:, 0]]
    return torch.tensor(np.stack(masks))[:, None]


def main(steps: int = 120, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    loss = lossdsl.load(LOSS, backend=backend)
    net = UNet().to(memory_format=torch.channels_last)

    for epoch, terms in enumerate(fit(net, loss, steps, seed), 1):
        line = "  ".join(f"{name} {term:.4f}" for name, term in terms.items())
        print(f"epoch {epoch:2}  loss {sum(terms.values()):.4f} = {line}")

    net.eval()
    x_test, y_test = held_out()
    with torch.no_grad():
        p = net(x_test)
        value = loss(p=p, y=y_test)
    print(f"\nheld out, the lowest row of coins:\n{loss.report()}")
    iou, dice = scores(p > 0, y_test)
    baseline, _ = scores(by_threshold(x_test), y_test)
    print(f"IoU {iou:.3f}, Dice {dice:.3f}; local threshold: IoU {baseline:.3f}")
    return {"loss": float(value), "iou": iou, "dice": dice, "baseline": baseline}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
