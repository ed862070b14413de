"""Forecast the CO2 in the air half a year ahead, as quantiles (statsmodels' weekly series).

python examples/forecasting/train.py --steps 500
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from statsmodels.datasets import co2
from torch import Tensor, nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")
PAST, AHEAD, LEVELS = 104, 26, torch.tensor([0.1, 0.5, 0.9])


def windows(series: Tensor) -> tuple[Tensor, Tensor]:
    """Every stretch of two years and the half year behind it, less the last known value."""
    stretches = series.unfold(0, PAST + AHEAD, 1)
    x, y = stretches[:, :PAST], stretches[:, PAST:]
    return x - x[:, -1:], y - x[:, -1:]


def as_last_year(x: Tensor) -> Tensor:
    """The baseline: the same weeks of last year, and as much growth as the year had."""
    return x[:, -52 : -52 + AHEAD] - x[:, -53:-52]


def main(steps: int = 500, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    series = torch.tensor(co2.load().data["co2"].interpolate().to_numpy()).float()
    # The last ten years are held out: no window that is trained on reaches into them.
    (x, y), (x_test, y_test) = windows(series[:-520]), windows(series[-520:])

    loss = lossdsl.load(LOSS, backend=backend)
    net = nn.Sequential(nn.Linear(PAST, AHEAD * 3), nn.Unflatten(1, (AHEAD, 3)))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)

    for step in range(1, steps + 1):
        batch = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        value = loss(p=net(x[batch]), y=y[batch])
        value.backward()
        optimiser.step()
        if step % 50 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")

    with torch.no_grad():
        value = loss(p=net(x_test), y=y_test)
    print(f"\nheld out, {len(y_test)} forecasts:\n{loss.report()}")
    pinball, inside = loss.terms["pinball"], loss.monitors["inside"]
    # The baseline gets its quantiles from its own errors in training, week by week.
    errors = torch.quantile(y - as_last_year(x), LEVELS, dim=0)
    loss(p=as_last_year(x_test)[..., None] + errors.T, y=y_test)
    baseline = loss.terms["pinball"]
    print(f"pinball loss {pinball:.3f} ppm; as last year: {baseline:.3f} ppm")
    print(f"in the interval that should hold 80%: {inside:.1%}")
    return {
        "loss": float(value),
        "pinball": float(pinball),
        "baseline": float(baseline),
        "inside": float(inside),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
