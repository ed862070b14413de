"""Classify handwritten digits (scikit-learn's, 8×8 pixels) with a small MLP.

python examples/classification/train.py --steps 300
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")


def main(steps: int = 300, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    digits = load_digits()
    # The same quarter is held out whatever the seed.
    x, x_test, y, y_test = map(
        torch.as_tensor, train_test_split(digits.data, digits.target, random_state=0)
    )
    x, x_test = x.float() / 16, x_test.float() / 16

    loss = lossdsl.load(LOSS, backend=backend)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)

    for step in range(1, steps + 1):
        batch = torch.randint(len(x), (128,))
        optimiser.zero_grad()
        value = loss(p=net(x[batch]), y=y[batch])
        value.backward()
        optimiser.step()
        if step % 50 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")

    with torch.no_grad():
        value = loss(p=net(x_test), y=y_test)
    print(f"\nheld out, {len(y_test)} digits:\n{loss.report()}")
    accuracy = loss.monitors["accuracy"]
    baseline = (y_test == y.mode().values).double().mean()
    print(f"accuracy {accuracy:.1%}; always the commonest digit: {baseline:.1%}")
    return {"loss": float(value), "accuracy": float(accuracy), "baseline": float(baseline)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
