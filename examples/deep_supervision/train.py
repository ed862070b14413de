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
        self.head1, self.head2, self.head4 = (nn.Conv2d(n, classes, 1) for n in (16, 32, 48))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        shrink, grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")
        x1 = self.down1(x)
        x2 = self.down2(shrink(x1))
        x4 = self.down4(shrink(x2))
        x8 = self.deepest(shrink(x4))
        x4 = self.up4(torch.cat([x4, grow(x8)], 1))
        x2 = self.up2(torch.cat([x2, grow(x4)], 1))
        x1 = self.up1(torch.cat([x1, grow(x2)], 1))
        return self.head1(x1), [self.head2(x2), self.head4(x4)]


def mean_iou(p: Tensor, y: Tensor) -> float:
    """Intersection over union of each class, without the unknown pixels; then the mean."""
    p, y = p[y != UNKNOWN], y[y != UNKNOWN]
    both = [((p == c) & (y == c)).sum() / ((p == c) | (y == c)).sum() for c in range(3)]
    return float(sum(both) / 3)


def commonest_by_grey(x: Tensor, y: Tensor, x_test: Tensor) -> Tensor:
    """The baseline: the class that is commonest, in training, among pixels as bright."""
    grey, grey_test = (63 * x[:, 0]).long(), (63 * x_test[:, 0]).long()
    counts = torch.stack([torch.bincount(grey[y == c], minlength=64) for c in range(3)])
    return counts.argmax(0)[grey_test]


def main(steps: int = 150, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    x, y = load()
    # The lower third is held out.
    x, x_test, y, y_test = x[:, :, :176], x[:, :, 176:], y[:, :176], y[:, 176:]

    loss = lossdsl.load(LOSS, backend=backend)
    net = Net().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))

    for step in range(1, steps + 1):
        batch, classes = crops(x, y)
        out, aux = net(batch)
        optimiser.zero_grad()
        value = loss(out=out, aux=aux, y=classes)
        value.backward()
        optimiser.step()
        schedule.step()
        if step % 25 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")

    net.eval()
    with torch.no_grad():
        out, aux = net(x_test)
        value = loss(out=out, aux=aux, y=y_test)
    print(f"\nheld out, the lower third of the photograph:\n{loss.report()}")
    score = mean_iou(out.argmax(1), y_test)
    baseline = mean_iou(commonest_by_grey(x, y, x_test), y_test)
    print(f"mean IoU {score:.3f}; commonest class by grey level: {baseline:.3f}")
    return {"loss": float(value), "iou": score, "baseline": baseline}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
