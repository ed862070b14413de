"""Evidence for classes: against PyTorch's Dirichlet distribution."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, graph_of_batches, is_derivative, labels, normal, positive, same
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

import lossdsl
from lossdsl.library.evidence import evidential

FORMS = ("mse", "log", "digamma")
E, Y = 3 * positive(6, 4), labels(4, 6)
# Scores whose relu is the evidence.
of_evidence = partial(evidential, evidence="relu")


def expected_error(alpha: Tensor, y: Tensor, form: str) -> Tensor:
    own = F.one_hot(y, alpha.shape[1]).double()
    dirichlet = Dirichlet(alpha)
    if form == "mse":
        return ((own - dirichlet.mean) ** 2 + dirichlet.variance).sum(1)
    if form == "log":
        return -(dirichlet.mean * own).sum(1).log()
    # E log q_c = ψ(α_c) - ψ(S).
    return -((torch.digamma(alpha) - torch.digamma(alpha.sum(1, keepdim=True))) * own).sum(1)


def test_examples_have_their_value() -> None:
    examples_hold("evidential")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kl", [0.0, 0.3, 1.0])
def test_evidential_is_that_of_pytorchs_dirichlet(kl: float, form: Any) -> None:
    own = F.one_hot(Y, 4).bool()
    wrong = Dirichlet(torch.where(own, 1.0, E + 1))
    divergence = kl_divergence(wrong, Dirichlet(torch.ones_like(E)))
    same(of_evidence(E, Y, kl=kl, form=form), expected_error(E + 1, Y, form) + kl * divergence)


def test_the_mean_cross_entropy_is_that_of_samples() -> None:
    torch.manual_seed(0)
    q = Dirichlet(E[:1] + 1).sample((200_000,))[:, 0]
    sampled = -q[:, Y[0]].log().mean()
    torch.testing.assert_close(
        of_evidence(E[:1], Y[:1], kl=0.0, form="digamma")[0], sampled, rtol=5e-3, atol=0
    )


def test_positions_are_on_their_own() -> None:
    e, y = positive(2, 4, 3, 5), labels(4, 2, 3, 5)
    flat = evidential(e.movedim(1, -1).reshape(-1, 4), y.flatten())
    same(evidential(e, y).flatten(), flat)


def test_evidence_for_the_label_costs_no_divergence() -> None:
    p = torch.tensor([[1e6, -3.0, -3.0]], dtype=torch.float64)
    assert of_evidence(p, torch.tensor([0])).item() < 1e-5


def test_softplus_makes_evidence_and_the_divergence_may_grow() -> None:
    loss = lossdsl.compile("evidential(p, y, kl=warmup(epoch, 10))", backend="eager")
    z = normal(6, 4)
    same(loss(p=z, y=Y), of_evidence(F.softplus(z), Y, kl=0.0).mean())
    loss.step(epoch=5)
    same(loss(p=z, y=Y), of_evidence(F.softplus(z), Y, kl=0.5).mean())


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_derivatives(form: Any) -> None:
    kl = torch.tensor(0.7, dtype=torch.float64)
    is_derivative(lambda p, n: evidential(p, Y, kl=n, form=form), normal(6, 4), kl)


@pytest.mark.parametrize("form", FORMS)
def test_compiles_in_one_graph(form: Any) -> None:
    graph_of_batches(
        partial(evidential, form=form), lambda batch: (normal(batch, 4), labels(4, batch))
    )
