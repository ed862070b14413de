"""Transcripts: against PyTorch, and against the sum over all paths."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, graph_of_batches, is_derivative, normal, same
from torch import Tensor

import lossdsl
from lossdsl.library.transcripts import ctc, ctc_of_prob

LABELS = torch.tensor([[1, 2, 2, 3], [4, 4, 1, 1], [3, 1, 2, 4], [1, 0, 0, 0]])
FRAMES = torch.tensor([9, 7, 3, 5])
LENGTHS = torch.tensor([4, 2, 3, 0])


def test_examples_have_their_value() -> None:
    examples_hold("ctc")


def of_pytorch(p: Tensor, blank: int = 0) -> Tensor:
    return F.ctc_loss(
        p.permute(2, 0, 1), LABELS, FRAMES, LENGTHS, blank, "none", zero_infinity=True
    )


@pytest.mark.parametrize("blank", [0, 3])
def test_ctc_is_that_of_pytorch(blank: int) -> None:
    z = normal(4, 5, 9, scale=2).requires_grad_()
    labels = LABELS if blank == 0 else torch.where(LABELS == 3, 0, LABELS)
    p = z.log_softmax(1)
    theirs = F.ctc_loss(
        p.permute(2, 0, 1), labels, FRAMES, LENGTHS, blank, "none", zero_infinity=True
    )
    ours = ctc(p, labels, FRAMES, LENGTHS, blank=blank, per_label=False)
    same(ours.detach(), theirs.detach())
    same(ctc_of_prob(p.exp(), labels, FRAMES, LENGTHS, blank=blank, per_label=False), theirs)
    slopes = [torch.autograd.grad(x.sum(), z, retain_graph=True)[0] for x in (ours, theirs)]
    same(slopes[0], slopes[1])


def test_the_mean_is_that_of_pytorch() -> None:
    p = normal(4, 5, 9).log_softmax(1)
    expected = F.ctc_loss(p.permute(2, 0, 1), LABELS, FRAMES, LENGTHS, zero_infinity=True)
    same(ctc(p, LABELS, FRAMES, LENGTHS).mean(), expected)


def test_ctc_is_the_sum_over_all_paths() -> None:
    q = normal(1, 3, 5).softmax(1)
    for target in ([1], [1, 2], [2, 2], [1, 2, 1], []):
        total = 0.0
        for path in itertools.product(range(3), repeat=5):
            collapsed = [c for c, _ in itertools.groupby(path) if c != 0]
            if collapsed == target:
                total += math.prod(q[0, c, t].item() for t, c in enumerate(path))
        y = torch.tensor([[*target, *[0] * (3 - len(target))]])
        sizes = torch.tensor([5]), torch.tensor([len(target)])
        same(ctc_of_prob(q, y, *sizes, per_label=False), [-math.log(total)])


def test_the_gradient_is_that_of_the_log_probabilities() -> None:
    p = normal(4, 5, 9).log_softmax(1)
    is_derivative(lambda p: ctc(p, LABELS, FRAMES, LENGTHS), p)
    is_derivative(lambda p: ctc_of_prob(p, LABELS, FRAMES, LENGTHS), p.exp())


def test_what_lies_behind_the_lengths_does_not_count() -> None:
    p = normal(2, 5, 9).log_softmax(1).requires_grad_()
    y, n, m = torch.tensor([[1, 2, 9], [3, 9, 9]]), torch.tensor([6, 4]), torch.tensor([2, 1])
    value = ctc(p, y, n, m)
    value.sum().backward()
    same(value.detach()[:1], ctc(p[:1, :, :6], y[:1, :2], n[:1], m[:1]).detach())
    assert p.grad is not None
    assert not p.grad[0, :, 6:].any()
    assert not p.grad[1, :, 4:].any()


def test_transcripts_that_do_not_fit_are_free() -> None:
    p = normal(3, 5, 4).log_softmax(1).requires_grad_()
    y = torch.tensor([[1, 2, 3], [1, 1, 0], [1, 0, 0]])
    value = ctc(p, y, torch.tensor([2, 2, 0]), torch.tensor([3, 2, 1]))
    value.sum().backward()
    assert value.tolist() == [0, 0, 0]
    assert p.grad is not None
    assert not p.grad.any()


def test_certain_scores_are_finite() -> None:
    z = (1e4 * normal(4, 5, 9).sign()).requires_grad_()
    value = ctc(z.log_softmax(1), LABELS, FRAMES, LENGTHS)
    value.sum().backward()
    assert value.isfinite().all()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_compiles_in_one_graph() -> None:
    def arguments(batch: int) -> tuple[Tensor, ...]:
        rows = [0, 1, 2, 3, 1][:batch]
        return normal(batch, 5, 9).log_softmax(1), LABELS[rows], FRAMES[rows], LENGTHS[rows]

    graph_of_batches(ctc, arguments)


def test_it_is_called_with_counts() -> None:
    z = normal(4, 5, 9)
    loss: Any = lossdsl.compile("ctc(p, y, n, m, per_label=false)", backend="eager")
    value = loss(p=z, y=LABELS, n=FRAMES, m=LENGTHS)
    same(value, of_pytorch(z.log_softmax(1)).mean())
