"""Evidential regression: SciPy's Student distribution, and the paper's penalty."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from laws import examples_hold, is_derivative, normal, positive, same, takes_tensor
from torch import Tensor

from lossdsl.library.normal_gamma import evidential_regression


def given() -> tuple[Tensor, ...]:
    parameters = (positive(40, seed=seed) for seed in (2, 3, 4))
    return normal(40, scale=2.0), normal(40, seed=1), *parameters


def test_examples_have_their_value() -> None:
    examples_hold("evidential_regression")


def test_the_likelihood_is_a_students() -> None:
    mean, y, nu, alpha, beta = (v.numpy() for v in given())
    scale = np.sqrt(beta * (1 + nu) / (nu * alpha))
    expected = -scipy.stats.t.logpdf(y, 2 * alpha, mean, scale)
    same(evidential_regression(*given(), penalty=0), expected, rtol=1e-11)


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_is_the_papers_formula(penalty: float) -> None:
    mean, y, nu, alpha, beta = (v.numpy() for v in given())
    omega = 2 * beta * (1 + nu)
    likelihood = (
        0.5 * np.log(np.pi / nu)
        - alpha * np.log(omega)
        + (alpha + 0.5) * np.log((y - mean) ** 2 * nu + omega)
        + scipy.special.gammaln(alpha)
        - scipy.special.gammaln(alpha + 0.5)
    )
    expected = likelihood + penalty * np.abs(y - mean) * (2 * nu + alpha)
    same(evidential_regression(*given(), penalty=penalty), expected, rtol=1e-11)


def test_with_much_evidence_it_is_normal() -> None:
    y = normal(10)
    many = torch.full_like(y, 1e9)
    value = evidential_regression(torch.zeros_like(y), y, many, many, many, penalty=0)
    same(value, -scipy.stats.norm.logpdf(y), rtol=1e-7)


def test_gradients() -> None:
    is_derivative(evidential_regression, *(v[:6] for v in given()))
    takes_tensor(evidential_regression, "penalty", 0.3, *given())
