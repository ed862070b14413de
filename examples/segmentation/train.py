"""Find the blood vessels in a dark photograph of a retina (scikit-image's) with a small U-Net.

python examples/segmentation/train.py --steps 160
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage import data, filters, morphology
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
NOISE = 0.1
EPOCH = 20
"""Steps between two lines of the log."""


@cache
def load() -> tuple[Tensor, Tensor]:
    """The green channel, in [0, 1], and the mask of the vessels, both [1, 1, 704, 704].

    scikit-image's `retina` comes without labels. They are made from the photograph as it is: its
    dark ridges, by Sato's filter, those that are strong or hang together with strong ones. The
    network sees it under heavy noise only, as if too little light had been used.
    """
    photo = data.retina()[:1408, :1408, 1].reshape(704, 2, 704, 2).mean((1, 3)) / 255
    eye = ndimage.binary_erosion(photo > 0.06, iterations=12)
    ridges = filters.sato(photo, sigmas=(2, 3, 4.5)) * eye
    low, high = np.quantile(ridges[eye], (0.88, 0.95))
    mask = filters.apply_hysteresis_threshold(ridges, low, high)
    mask = morphology.area_opening(mask, 180)
    return torch.tensor(photo).float()[None, None], torch.tensor(mask).float()[None, None]


def split(image: Tensor) -> tuple[Tensor, Tensor]:
    """The upper part of the eye to train on, and the lower, which is held out."""
    return image[:, :, :432], image[:, :, 432:]


def noisy(image: Tensor, generator: torch.Generator) -> Tensor:
    return image + NOISE * torch.randn(image.shape, generator=generator)


def held_out(copies: int = 2) -> tuple[Tensor, Tensor]:
    """The lower part of the eye under several noises, the same ones at every call."""
    photo, mask = (split(image)[1].expand(copies, -1, -1, -1) for image in load())
    return noisy(photo, torch.Generator().manual_seed(1)), mask


def crops(
    photo: Tensor, mask: Tensor, generator: torch.Generator, n: int = 16, size: int = 64
) -> tuple[Tensor, Tensor]:
    """A batch of random squares, turned by quarters, under fresh noise."""
    pairs = []
    for turns in torch.randint(4, (n,), generator=generator).tolist():
        top = int(torch.randint(photo.shape[2] - size + 1, (), generator=generator))
        left = int(torch.randint(photo.shape[3] - size + 1, (), generator=generator))
        where = (..., slice(top, top + size), slice(left, left + size))
        pairs.append([image[where].rot90(turns, (2, 3)) for image in (photo, mask)])
    x, y = (torch.cat(images) for images in zip(*pairs, strict=True))
    return noisy(x, generator), y


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
    """Two steps down and, with skips, two up."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down1 = block(1, width)
        self.down2 = block(width, 2 * width)
        self.down4 = block(2 * width, 4 * width)
        self.up2 = block(6 * width, 2 * width)
        self.up1 = block(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)
        self.shrink = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.down1(x)
        x2 = self.down2(self.shrink(x1))
        x4 = self.down4(self.shrink(x2))
        x2 = self.up2(torch.cat([x2, self.grow(x4)], 1))
        x1 = self.up1(torch.cat([x1, self.grow(x2)], 1))
        return self.head(x1)


def fit(net: nn.Module, loss: lossdsl.Loss, steps: int, seed: int) -> Iterator[dict[str, float]]:
    """Train, and hand out the mean of every term after each epoch."""
    generator = torch.Generator().manual_seed(seed)
    (photo, _), (mask, _) = map(split, load())
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
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


def by_filter(x: Tensor) -> Tensor:
    """The baseline: the filter that made the labels, as wide as the noise calls for."""
    ridges = [filters.sato(image, sigmas=[4]) for image in x[:, 0].numpy()]
    return torch.tensor(np.stack([[r > np.quantile(r, 0.88)] for r in ridges]))


def main(steps: int = 160, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
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
    print(f"\nheld out, the lower part of the eye:\n{loss.report()}")
    iou, dice = scores(p > 0, y_test)
    baseline, _ = scores(by_filter(x_test), y_test)
    print(f"IoU {iou:.3f}, Dice {dice:.3f}; ridge filter: IoU {baseline:.3f}")
    return {"loss": float(value), "iou": iou, "dice": dice, "baseline": baseline}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
