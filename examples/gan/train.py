"""Generate handwritten digits (as scikit-learn's, 8×8 pixels) with a small GAN.

python examples/gan/train.py --steps 1500
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
NOISE = 16


def generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(NOISE, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.Tanh(),
        nn.Unflatten(1, (1, 8, 8)),
    )


def discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.LeakyReLU(0.2),
        nn.Linear(128, 128),
        nn.LeakyReLU(0.2),
        nn.Linear(128, 1),
        nn.Flatten(0),
    )


def distance(a: Tensor, b: Tensor) -> float:
    """The energy distance of two samples of images: 0 only if they come from one distribution."""
    a, b = a.flatten(1), b.flatten(1)
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * torch.cdist(a, b).mean() - sum(within))


def main(steps: int = 1500, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    images = torch.tensor(load_digits().images).float()[:, None] / 8 - 1
    real, held_out = images[:1200], images[1200:]

    G, D = generator(), discriminator()
    losses = lossdsl.load(LOSS, modules={"D": D}, backend=backend)
    # Weights averaged over many steps make better images than those of any one step.
    average = AveragedModel(G, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    g_optimiser = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
    d_optimiser = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.99))

    for step in range(1, steps + 1):
        batch = real[torch.randint(len(real), (64,))]
        fake = G(torch.randn(64, NOISE))

        # The loss file detaches `fake` here: nothing reaches G.
        d_optimiser.zero_grad()
        d_value = losses["discriminator"](real=batch, fake=fake)
        d_value.backward()
        d_optimiser.step()

        # Here the gradient runs through D into G. What it leaves in D is cleared above.
        g_optimiser.zero_grad()
        g_value = losses["generator"](fake=fake)
        g_value.backward()
        g_optimiser.step()
        average.update_parameters(G)

        if step % 100 == 0:
            print(f"step {step:4}  discriminator {d_value:.4f}  generator {g_value:.4f}")

    average.eval()
    with torch.no_grad():
        made = average(torch.randn(len(held_out), NOISE))
    # The baseline draws each pixel from that pixel's values in training, each on its own.
    rows = torch.randint(len(real), (len(held_out), 64))
    pixels = real.flatten(1)[rows, torch.arange(64)]
    result = {
        "distance": distance(made, held_out),
        "baseline": distance(pixels, held_out),
        "floor": distance(real, held_out),
    }
    print("\nenergy distance to held-out digits")
    print(f"generated {result['distance']:.3f}; independent pixels {result['baseline']:.3f}")
    print(f"digits trained on {result['floor']:.3f}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
