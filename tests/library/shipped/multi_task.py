"""Uncertain tasks, written out in plain torch."""

from __future__ import annotations

import torch
from case import Case, normal, uniform

INPUTS = {
    "p": ("real[B]", normal(5)),
    "y": ("real[B]", normal(5)),
    "s": ("real[]", normal()),
}
BOTH = {
    **INPUTS,
    "c": ("positive[]", uniform(low=0.5)),
    "d": ("positive[]", uniform(low=0.5)),
}
del BOTH["s"]

CASES = [
    Case(
        "uncertain_regression(mse(p, y), s)",
        INPUTS,
        lambda p, y, s: ((p - y) ** 2).mean() / (2 * s.exp()) + s.exp().sqrt().log(),
    ),
    Case(
        "uncertain_classes(mse(p, y), s)",
        INPUTS,
        lambda p, y, s: ((p - y) ** 2).mean() / s.exp() + s.exp().sqrt().log(),
    ),
    Case(
        "uncertain_pair(mse(p, y), l1(p, y), c, d)",
        BOTH,
        lambda p, y, c, d: (
            ((p - y) ** 2).mean() / (2 * c**2)
            + torch.log(1 + c**2)
            + (p - y).abs().mean() / (2 * d**2)
            + torch.log(1 + d**2)
        ),
    ),
]
