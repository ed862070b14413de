"""Predictions that should be one: against PyTorch's and SciPy's divergences."""

from __future__ import annotations

import math

import numpy as np
import scipy.special
import torch
import torch.nn.functional as F
from laws import examples_hold, graph_of_batches, is_derivative, normal, same

import lossdsl
from lossdsl.library.consistency import augmix, r_drop

P, Q, R = (normal(5, 3, 4, seed=seed, scale=2).log_softmax(1) for seed in (1, 2, 3))


def test_examples_have_their_value() -> None:
    examples_hold("r_drop", "augmix")


def test_r_drop_is_pytorchs_divergence_both_ways() -> None:
    one = F.kl_div(P, Q, log_target=True, reduction="none").sum(1)
    other = F.kl_div(Q, P, log_target=True, reduction="none").sum(1)
    same(r_drop(P, Q), (one + other) / 2)
    same(r_drop(Q, P), r_drop(P, Q))


def test_augmix_is_scipys_divergence_from_the_mean() -> None:
    predictions = [x.exp().numpy() for x in (P, Q, R)]
    mean = sum(predictions) / 3
    expected = sum(scipy.special.rel_entr(p, mean).sum(1) for p in predictions) / 3
    same(augmix(P, Q, R), expected)
    same(augmix(R, P, Q), expected)
    far = [torch.eye(3)[k : k + 1].double().mul(1e4).log_softmax(1) for k in range(3)]
    same(augmix(*far), [math.log(3)])


def test_gradients_go_into_all_passes() -> None:
    loss = lossdsl.compile("r_drop(p, q) + augmix(p, q, r)", backend="eager")
    inputs = {name: normal(4, 3, seed=k).requires_grad_() for k, name in enumerate("pqr")}
    loss(inputs).backward()
    for value in inputs.values():
        assert value.grad is not None
        assert value.grad.any()


def test_equal_predictions_are_at_rest() -> None:
    p = P.clone().requires_grad_()
    for value in (r_drop(p, P), augmix(p, P, P)):
        (slope,) = torch.autograd.grad(value.sum(), p)
        same(value, np.zeros((5, 4)))
        same(slope, torch.zeros_like(p))


def test_gradients_are_derivatives() -> None:
    is_derivative(r_drop, P, Q)
    is_derivative(augmix, P, Q, R)


def test_they_compile_in_one_graph() -> None:
    graph_of_batches(r_drop, lambda batch: (normal(batch, 3).log_softmax(1),) * 2)
    graph_of_batches(
        augmix, lambda batch: tuple(normal(batch, 3, seed=k).log_softmax(1) for k in range(3))
    )
