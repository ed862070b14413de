"""Several labels a sample: against loops over the paper's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from laws import bits, examples_hold, graph_of_batches, is_derivative, normal, same
from torch import Tensor

import lossdsl
from lossdsl.library.tags import two_way


def line(scores: np.ndarray, present: np.ndarray, tp: float, tn: float) -> float | None:
    """One row or column; none where nothing is present."""
    if not present.any():
        return None
    low = np.exp(-scores[present] / tp).sum() ** tp
    high = np.exp(scores[~present] / tn).sum() ** tn
    return float(np.log1p(low * high))


def from_the_paper(p: Tensor, y: Tensor, tp: float, tn: float) -> float:
    total = 0.0
    for scores, present in ((p.numpy(), y.numpy() > 0), (p.numpy().T, y.numpy().T > 0)):
        lines = [line(s, t, tp, tn) for s, t in zip(scores, present, strict=True)]
        costs = [cost for cost in lines if cost is not None]
        total += sum(costs) / max(len(costs), 1)
    return total


def test_examples_have_their_value() -> None:
    examples_hold("two_way")


@pytest.mark.parametrize(("tp", "tn"), [(4.0, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_two_way_is_the_papers_formula(tp: float, tn: float) -> None:
    for seed in range(4):
        p, y = normal(6, 4, scale=2, seed=seed), bits(6, 4, seed=seed)
        # A sample and a class with no label, and some with nothing else.
        y[0], y[1], y[2:, 3] = 0.0, 1.0, 0.0
        value = two_way(p, y, present_temperature=tp, absent_temperature=tn)
        same(value, from_the_paper(p, y, tp, tn))


def test_nothing_present_costs_nothing() -> None:
    p = normal(3, 4).requires_grad_()
    for y in (torch.zeros(3, 4), torch.ones(3, 4)):
        value = two_way(p, y)
        (slope,) = torch.autograd.grad(value, p)
        assert value == 0
        assert not slope.any()


def test_masked_samples_and_entries_do_not_count() -> None:
    p, y = normal(6, 4, scale=2), bits(6, 4)
    loss = lossdsl.compile(
        "input p: logits[B, C]\ninput y: mask[B, C]\ninput m: mask[B]\ntwo_way(p, y, mask=m)",
        backend="eager",
    )
    same(loss(p, y, torch.tensor([1, 1, 0, 1, 0, 1])), two_way(p[[0, 1, 3, 5]], y[[0, 1, 3, 5]]))
    kept = torch.ones(6, 4)
    kept[:, 2] = 0
    same(two_way(p, y, mask=kept), two_way(p[:, [0, 1, 3]], y[:, [0, 1, 3]]))


def test_gradients_are_derivatives() -> None:
    tp, tn = (torch.tensor(t, dtype=torch.float64) for t in (3.0, 0.7))
    is_derivative(
        lambda p, a, b: two_way(p, bits(6, 4), present_temperature=a, absent_temperature=b),
        normal(6, 4),
        tp,
        tn,
    )


def test_compiles_in_one_graph() -> None:
    graph_of_batches(two_way, lambda batch: (normal(batch, 4), bits(batch, 4)))
