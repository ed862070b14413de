"""Tell malignant from benign tumours by 30 measurements (scikit-learn's breast cancer data).

python examples/tabular_binary/train.py --steps 200
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

import lossdsl

LOSS = Path(__file__).with_name("loss.yaml")


def main(steps: int = 200, seed: int = 0, backend: str = "inductor") -> dict[str, float]:
    torch.manual_seed(seed)
    data = load_breast_cancer()
    malignant = data.target == 0
    # The same quarter is held out whatever the seed.
    x, x_test, y, y_test = map(
        torch.as_tensor,
        train_test_split(data.data, malignant, stratify=malignant, random_state=0),
    )
    mean, std = x.mean(0), x.std(0)
    x, x_test = ((x - mean) / std).float(), ((x_test - mean) / std).float()

    loss = lossdsl.load(LOSS, backend=backend)
    net = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)

    for step in range(1, steps + 1):
        optimiser.zero_grad()
        value = loss(p=net(x), y=y)
        value.backward()
        optimiser.step()
        if step % 25 == 0:
            terms = "  ".join(f"{name} {term:.4f}" for name, term in loss.terms.items())
            print(f"step {step:4}  loss {value:.4f} = {terms}")

    with torch.no_grad():
        p = net(x_test)
        value = loss(p=p, y=y_test)
    print(f"\nheld out, {len(y_test)} patients:\n{loss.report()}")
    accuracy = ((p > 0) == y_test).double().mean()
    sensitivity = loss.monitors["sensitivity"]
    baseline = (~y_test).double().mean()
    print(f"accuracy {accuracy:.1%}; always benign: {baseline:.1%}")
    print(f"of the malignant {sensitivity:.1%} are found")
    return {
        "loss": float(value),
        "accuracy": float(accuracy),
        "sensitivity": float(sensitivity),
        "baseline": float(baseline),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    main(steps=arguments.steps, backend=arguments.backend)
