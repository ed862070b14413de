"""Take the noise out of photographs (scikit-image's) with a small residual network.

python examples/restoration/train.py --steps 1000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from skimage import color, data
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
NOISE = 0.1


def grey(photo: np.ndarray) -> Tensor:
    """A photograph as [1, H, W] in [0, 1]."""
    return torch.tensor(color.rgb2gray(photo) if photo.ndim == 3 else photo / 255).float()[None]


def crops(photos: list[Tensor], n: int = 16, size: int = 48) -> Tensor:
    """A batch of random squares, from photographs taken in turn."""
    batch = []
    for photo in (photos[i % len(photos)] for i in range(n)):
        top = int(torch.randint(photo.shape[1] - size, ()))
        left = int(torch.randint(photo.shape[2] - size, ()))
        batch.append(photo[:, top : top + size, left : left + size])
    return torch.stack(batch)


def psnr(p: Tensor, y: Tensor) -> float:
    return float(-10 * (p.clamp(0, 1) - y).square().mean().log10())


class Denoiser(nn.Module):
    """Says what the noise is; at first, that there is none."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.layers(x)


def main(steps: int = 1000, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    photos = [grey(p) for p in (data.camera(), data.chelsea(), data.coffee(), data.rocket())]
    # The face of another photograph is held out, always under the same noise.
    y_test = grey(data.astronaut())[None, :, :256, 96:352]
    x_test = y_test + NOISE * torch.randn(y_test.shape, generator=torch.Generator().manual_seed(0))

    loss = lossdsl.load(LOSS, backend=backend)
    net = Denoiser().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))

    for step in range(1, steps + 1):
        y = crops(photos)
        optimiser.zero_grad()
        value = loss(p=net(y + NOISE * torch.randn_like(y)), y=y)
        value.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")
        loss.step()  # moves the warm-up of the ssim term

    with torch.no_grad():
        p = net(x_test)
        value = loss(p=p, y=y_test)
    print(f"\nheld out, a photograph:\n{loss.report()}")
    restored, noisy = psnr(p, y_test), psnr(x_test, y_test)
    # The strength that suits this photograph best.
    classical = psnr(torch.tensor(denoise_tv_chambolle(x_test.numpy()[0, 0], 0.08)), y_test[0, 0])
    print(f"{restored:.2f} dB; noisy: {noisy:.2f} dB; total variation: {classical:.2f} dB")
    return {"loss": float(value), "psnr": restored, "noisy": noisy, "classical": classical}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
