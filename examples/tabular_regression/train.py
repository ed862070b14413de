"""Predict the progression of diabetes, and how sure that is (scikit-learn's diabetes data).

python examples/tabular_regression/train.py --steps 200
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")


def main(steps: int = 200, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    x, y = load_diabetes(return_X_y=True)
    # The same quarter is held out whatever the seed.
    x, x_test, y, y_test = (
        torch.as_tensor(a).float() for a in train_test_split(x, y, random_state=0)
    )
    x, x_test = x / x.std(0), x_test / x.std(0)
    centre, scale = y.mean(), y.std()
    y, y_test = (y - centre) / scale, (y_test - centre) / scale

    loss = lossdsl.load(LOSS, backend=backend)
    net = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)

    for step in range(1, steps + 1):
        optimiser.zero_grad()
        mean, spread = net(x).unbind(1)
        value = loss(mean=mean, spread=spread, y=y)
        value.backward()
        optimiser.step()
        if step % 25 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")

    net.eval()
    with torch.no_grad():
        mean, spread = net(x_test).unbind(1)
        value = loss(mean=mean, spread=spread, y=y_test)
    print(f"\nheld out, {len(y_test)} patients:\n{loss.report()}")
    # In the units of the data, where the constant predictor says the mean of the training set.
    rmse = scale * (mean - y_test).square().mean().sqrt()
    baseline = scale * y_test.square().mean().sqrt()
    sigma = nn.functional.softplus(spread).sqrt()
    inside = ((mean - y_test).abs() < 1.2816 * sigma).double().mean()
    print(f"root mean squared error {rmse:.1f}; the training mean: {baseline:.1f}")
    print(f"in the interval that should hold 80%: {inside:.1%}")
    return {
        "loss": float(value),
        "rmse": float(rmse),
        "baseline": float(baseline),
        "inside": float(inside),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
