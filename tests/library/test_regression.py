"""Regression losses: against NumPy, SciPy, scikit-learn and PyTorch, and at their corners."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library import densities, quantiles, regression
from lossdsl.library.densities import gaussian_nll, poisson_nll, poisson_nll_of_rate
from lossdsl.library.quantiles import quantile, quantile_of_levels
from lossdsl.library.record import LossRecord
from lossdsl.library.registry import find
from lossdsl.library.regression import (
    charbonnier,
    huber,
    l1,
    log_cosh,
    mse,
    rmse,
    smooth_l1,
)

NAMES = (
    "mse",
    "l1",
    "smooth_l1",
    "huber",
    "log_cosh",
    "charbonnier",
    "rmse",
    "quantile",
    "gaussian_nll",
    "poisson_nll",
)
SHAPE = (4, 3, 5)


def record(name: str) -> LossRecord:
    found = find(name)
    assert found is not None
    return found


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def counts(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 9, shape, generator=generator).double()


def pair(scale: float = 3.0) -> tuple[Tensor, Tensor]:
    return normal(*SHAPE, seed=1, scale=scale), normal(*SHAPE, seed=2)


def same(actual: Tensor, expected: Any) -> None:
    torch.testing.assert_close(
        actual, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-13
    )


# --- values ---


@pytest.mark.parametrize(
    ("loss", "parameters", "reference"),
    [
        (mse, {}, F.mse_loss),
        (l1, {}, F.l1_loss),
        (smooth_l1, {"beta": 1.0}, F.smooth_l1_loss),
        (smooth_l1, {"beta": 1 / 9}, F.smooth_l1_loss),
        (smooth_l1, {"beta": 2.5}, F.smooth_l1_loss),
        (smooth_l1, {"beta": 0.0}, F.smooth_l1_loss),
        (huber, {"delta": 1.0}, F.huber_loss),
        (huber, {"delta": 0.3}, F.huber_loss),
        (huber, {"delta": 2.5}, F.huber_loss),
    ],
)
def test_values_and_gradients_are_those_of_pytorch(
    loss: Callable[..., Tensor], parameters: dict[str, float], reference: Callable[..., Tensor]
) -> None:
    p, y = pair()
    ours, theirs = p.clone().requires_grad_(), p.clone().requires_grad_()
    value, expected = (
        loss(ours, y, **parameters),
        reference(theirs, y, reduction="none", **parameters),
    )
    same(value.detach(), expected.detach())
    (slope,) = torch.autograd.grad(value.sum(), ours)
    same(slope, torch.autograd.grad(expected.sum(), theirs)[0])


def test_log_cosh_is_the_logarithm_of_cosh() -> None:
    p, y = pair()
    same(log_cosh(p, y), np.log(np.cosh((p - y).numpy())))


@pytest.mark.parametrize("d", [1e-9, 1e-4, 1e-2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_cosh_keeps_its_digits_near_zero(d: float, dtype: torch.dtype) -> None:
    x = torch.tensor([d, -d], dtype=dtype, requires_grad=True)
    value = log_cosh(x, torch.zeros_like(x))
    (slope,) = torch.autograd.grad(value.sum(), x)
    exact = x.detach().double()
    epsilon = 4 * torch.finfo(dtype).eps
    series = exact**2 / 2 - exact**4 / 12 + exact**6 / 45
    torch.testing.assert_close(value.detach().double(), series, rtol=epsilon + d**6, atol=0)
    torch.testing.assert_close(slope.double(), exact.tanh(), rtol=epsilon, atol=0)


def test_log_cosh_does_not_overflow() -> None:
    x = torch.tensor([90.0, -1e4], requires_grad=True)
    value = log_cosh(x, torch.zeros(2))
    (slope,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(value.detach(), torch.tensor([90.0, 1e4]) - math.log(2))
    assert slope.tolist() == [1, -1]


@pytest.mark.parametrize("eps", [1e-3, 0.5, 3.0])
def test_charbonnier_is_a_hypotenuse(eps: float) -> None:
    p, y = pair()
    same(charbonnier(p, y, eps=eps), np.hypot((p - y).numpy(), eps))


def test_rmse_has_one_root_for_the_batch() -> None:
    p, y = pair()
    expected = sklearn.metrics.root_mean_squared_error(y.flatten(), p.flatten())
    same(rmse(p, y), expected)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9])
def test_quantile_is_the_pinball_loss(q: float) -> None:
    p, y = pair()
    value = quantile(p, y, q=q)
    d = (y - p).numpy()
    same(value, np.maximum(q * d, (q - 1) * d))
    expected = sklearn.metrics.mean_pinball_loss(y.flatten(), p.flatten(), alpha=q)
    same(value.mean(), expected)


def test_quantile_of_a_list_has_the_levels_on_the_last_axis() -> None:
    p, y = normal(4, 5, 3, seed=1), normal(4, 5, seed=2)
    value = quantile_of_levels(p, y, q=[0.1, 0.5, 0.8])
    assert value.shape == (4, 5, 3)
    for level, q in enumerate([0.1, 0.5, 0.8]):
        same(value[..., level], quantile(p[..., level], y, q=q))


def test_the_list_of_levels_may_be_a_tensor() -> None:
    p, y = normal(4, 3, seed=1), normal(4, seed=2)
    q = torch.tensor([0.25, 0.5, 0.75])
    same(quantile_of_levels(p, y, q=q), quantile_of_levels(p, y, q=q.tolist()))
    assert quantile_of_levels(p.float(), y.float(), q=q.double()).dtype == torch.float32


@pytest.mark.parametrize("q", [0.1, 0.5, 0.7])
def test_the_best_constant_is_the_quantile_of_the_sample(q: float) -> None:
    sample = normal(201, seed=5)
    candidates = sample.unsqueeze(1).expand(201, 201)
    cost = quantile(candidates, sample.expand(201, 201), q=q).mean(1)
    best = float(sample[cost.argmin()])
    assert best == pytest.approx(np.quantile(sample.numpy(), q, method="inverted_cdf"))


@pytest.mark.parametrize("full", [False, True])
def test_gaussian_nll_is_that_of_pytorch_and_scipy(full: bool) -> None:
    mean, target = pair()
    var = normal(*SHAPE, seed=4).exp()
    value = gaussian_nll(mean, target, var, full=full)
    same(value, F.gaussian_nll_loss(mean, target, var, full=full, reduction="none"))
    density = -scipy.stats.norm.logpdf(target, mean, var.sqrt())
    same(value, density if full else density - 0.5 * math.log(2 * math.pi))


@pytest.mark.parametrize("full", [False, True])
def test_poisson_nll_is_that_of_pytorch(full: bool) -> None:
    rate, y = normal(*SHAPE, seed=4).exp(), counts(*SHAPE)
    for value, theirs, log_input in (
        (poisson_nll(rate.log(), y, full=full), rate.log(), True),
        (poisson_nll_of_rate(rate, y, full=full), rate, False),
    ):
        expected = F.poisson_nll_loss(
            theirs, y, log_input=log_input, full=full, eps=0.0, reduction="none"
        )
        same(value, expected)


def test_poisson_nll_is_the_likelihood_up_to_the_factorial() -> None:
    rate, y = normal(*SHAPE, seed=4).exp(), counts(*SHAPE)
    expected = -scipy.stats.poisson.logpmf(y, rate) - torch.lgamma(y + 1).numpy()
    same(poisson_nll(rate.log(), y), expected)
    same(poisson_nll_of_rate(rate, y), expected)


# --- identities ---


@pytest.mark.parametrize("delta", [0.2, 1.0, 3.0])
def test_huber_is_delta_times_smooth_l1(delta: float) -> None:
    p, y = pair()
    same(huber(p, y, delta=delta), delta * smooth_l1(p, y, beta=delta))


def test_the_median_is_half_of_l1() -> None:
    p, y = pair()
    same(quantile(p, y), 0.5 * l1(p, y))


def test_gaussian_nll_of_unit_variance_is_half_of_mse() -> None:
    p, y = pair()
    same(gaussian_nll(p, y, torch.ones_like(p)), 0.5 * mse(p, y))


# --- corners ---

AT_ZERO: list[tuple[Callable[..., Tensor], dict[str, Any]]] = [
    (mse, {}),
    (l1, {}),
    (smooth_l1, {}),
    (smooth_l1, {"beta": 0.0}),
    (huber, {}),
    (log_cosh, {}),
    (charbonnier, {}),
    (charbonnier, {"eps": 0.0}),
    (charbonnier, {"eps": 1e-30}),
    (rmse, {}),
    (quantile, {"q": 0.5}),
    (quantile, {"q": 0.9}),
]


@pytest.mark.parametrize(("loss", "parameters"), AT_ZERO)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_perfect_match_has_gradient_zero(
    loss: Callable[..., Tensor], parameters: dict[str, Any], dtype: torch.dtype
) -> None:
    p = torch.tensor([0.0, -2.0, 1e4], dtype=dtype, requires_grad=True)
    value = loss(p, p.detach().clone(), **parameters)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert slope.tolist() == [0, 0, 0]
    expected = max(parameters.get("eps", 1e-3), 1e-30) if loss is charbonnier else 0.0
    torch.testing.assert_close(
        value.detach(), torch.full_like(value, expected), rtol=1e-6, atol=2e-19
    )


@pytest.mark.parametrize(("loss", "parameters"), AT_ZERO)
def test_large_residuals_stay_finite(
    loss: Callable[..., Tensor], parameters: dict[str, Any]
) -> None:
    p = torch.tensor([1e4, -1e4, 1e-30, -1e-20], requires_grad=True)
    value = loss(p, torch.tensor([-1e4, 1e4, 0.0, 0.0]), **parameters)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    assert slope[0] > 0 > slope[1]


@pytest.mark.parametrize(("loss", "parameters"), AT_ZERO)
def test_a_batch_of_one_is_a_batch(loss: Callable[..., Tensor], parameters: dict[str, Any]) -> None:
    p, y = torch.tensor([[0.5, 3.0]]), torch.tensor([[0.0, 0.0]])
    batch = loss(p.expand(2, 2), y.expand(2, 2), **parameters)
    torch.testing.assert_close(loss(p, y, **parameters), batch if loss is rmse else batch[:1])


def test_rmse_of_nothing_is_zero() -> None:
    p = torch.zeros(0, 3, requires_grad=True)
    assert rmse(p, torch.zeros(0, 3)).item() == 0


def test_a_variance_below_eps_counts_as_eps_and_can_climb_back() -> None:
    mean = torch.tensor([1.0, 0.0, 0.0], requires_grad=True)
    var = torch.tensor([1e-12, 1e-12, 0.0], requires_grad=True)
    target = torch.zeros(3)
    value = gaussian_nll(mean, target, var)
    torch.testing.assert_close(
        value.detach(), F.gaussian_nll_loss(mean.detach(), target, var.detach(), reduction="none")
    )
    by_mean, by_var = torch.autograd.grad(value.sum(), (mean, var))
    # The derivative at v = eps: (1/eps - d²/eps²)/2.
    torch.testing.assert_close(by_var, torch.tensor([-5e11, 5e5, 5e5]), rtol=1e-5, atol=0)
    torch.testing.assert_close(by_mean, torch.tensor([1e6, 0.0, 0.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_log_rate_beyond_the_exponential_stays_finite(dtype: torch.dtype) -> None:
    z = torch.tensor([1e4, 60.0, -1e4], dtype=dtype, requires_grad=True)
    value = poisson_nll(z, torch.ones(3, dtype=dtype))
    (slope,) = torch.autograd.grad(value.mean(), z)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    assert slope[0] > 0
    assert value[2] == 1e4
    if dtype == torch.float64:
        same(value[1].detach(), math.exp(60) - 60)


def test_a_rate_of_zero_stays_finite_and_climbs() -> None:
    rate = torch.tensor([0.0, 0.0, 1e-12], requires_grad=True)
    value = poisson_nll_of_rate(rate, torch.tensor([0.0, 2.0, 2.0]))
    torch.testing.assert_close(
        value.detach(), torch.tensor([0.0, -2 * math.log(1e-8), -2 * math.log(1e-8)])
    )
    (slope,) = torch.autograd.grad(value.sum(), rate)
    torch.testing.assert_close(slope, torch.tensor([1.0, 1 - 2e8, 1 - 2e8]))


# --- derivatives ---


def test_gradients_are_derivatives() -> None:
    p, y = (x.requires_grad_() for x in pair())
    number = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    for loss in (mse, l1, log_cosh, rmse):
        assert torch.autograd.gradcheck(loss, (p, y))
    for loss, name in (
        (smooth_l1, "beta"),
        (huber, "delta"),
        (charbonnier, "eps"),
        (quantile, "q"),
    ):
        assert torch.autograd.gradcheck(
            lambda p, y, n, f=loss, k=name: f(p, y, **{k: n}), (p, y, number)
        )


def test_gradients_of_likelihoods_are_derivatives() -> None:
    p, y = (x.requires_grad_() for x in pair(scale=1.0))
    positive = normal(*SHAPE, seed=4).exp().requires_grad_()
    number = counts(*SHAPE)
    for full in (False, True):
        assert torch.autograd.gradcheck(
            lambda *a, f=full: gaussian_nll(*a, full=f), (p, y, positive)
        )
        assert torch.autograd.gradcheck(lambda z, f=full: poisson_nll(z, number, full=f), (p,))
        assert torch.autograd.gradcheck(
            lambda r, f=full: poisson_nll_of_rate(r, number, full=f), (positive,)
        )


def test_second_derivatives_at_zero() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    for loss, expected in (
        (mse, 2.0),
        (smooth_l1, 1.0),
        (huber, 1.0),
        (log_cosh, 1.0),
        (charbonnier, 1e3),
    ):
        (slope,) = torch.autograd.grad(loss(x, torch.zeros_like(x)).sum(), x, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), x)
        same(curvature, [expected])


# --- parameters that move ---


def test_a_beta_that_moves_to_zero_is_l1() -> None:
    p, y = pair()
    p.requires_grad_()
    beta = torch.tensor(0.0, requires_grad=True)
    value = smooth_l1(p, y, beta=beta)
    same(value.detach(), l1(p, y).detach())
    by_p, by_beta = torch.autograd.grad(value.sum(), (p, beta))
    same(by_p, torch.sign(p - y).detach())
    assert by_beta == -0.5 * p.numel()


@pytest.mark.parametrize(
    ("loss", "name"),
    [(smooth_l1, "beta"), (huber, "delta"), (charbonnier, "eps"), (quantile, "q")],
)
def test_a_number_and_a_tensor_are_the_same_parameter(
    loss: Callable[..., Tensor], name: str
) -> None:
    p, y = pair()
    same(loss(p, y, **{name: torch.tensor(0.25)}), loss(p, y, **{name: 0.25}))
    moving = torch.tensor(0.25, dtype=torch.float64)
    assert loss(p.float(), y.float(), **{name: moving}).dtype == torch.float32


# --- compilation ---


def likelihood(p: Tensor, y: Tensor) -> Tensor:
    return gaussian_nll(p, y, y.exp())


def counting(p: Tensor, y: Tensor) -> Tensor:
    return poisson_nll(p, y.abs(), full=True) + poisson_nll_of_rate(p.exp(), y.abs())


def levels(p: Tensor, y: Tensor) -> Tensor:
    return quantile_of_levels(p, y[..., 0], q=[0.1, 0.2, 0.5, 0.7, 0.9])


@pytest.mark.parametrize(
    "loss",
    [
        mse,
        l1,
        smooth_l1,
        huber,
        log_cosh,
        charbonnier,
        rmse,
        quantile,
        levels,
        likelihood,
        counting,
    ],
)
def test_compiles_in_one_graph(loss: Callable[..., Tensor]) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (4, 3):
        p, y = normal(batch, 3, 5, seed=1).requires_grad_(), normal(batch, 3, 5, seed=2)
        value, expected = compiled(p, y), loss(p, y)
        same(value.detach(), expected.detach())
        (slope,) = torch.autograd.grad(value.sum(), p)
        same(slope, torch.autograd.grad(expected.sum(), p)[0])


# --- records ---


def call(example: str, inputs: dict[str, Any], record: LossRecord) -> Tensor:
    """Evaluate `name(a, b, k=literal)` on the overload that its literals choose."""
    tree = ast.parse(example, mode="eval").body
    assert isinstance(tree, ast.Call)
    tensors = [torch.tensor(inputs[ast.unparse(a)], dtype=torch.float64) for a in tree.args]
    keywords = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg}
    form = next(o for o in record.overloads if o.when is None or o.when(keywords))
    return form.function(*tensors, **keywords)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples = record(name).examples
    assert examples
    for example in examples:
        assert call(example.text, dict(example.inputs), record(name)).mean().item() == (
            pytest.approx(example.value, rel=1e-14)
        )


def test_the_family_is_complete() -> None:
    assert tuple(n for n in NAMES if record(n).family == "regression") == NAMES
    assert find("mae") is find("l1")
    assert find("pinball") is find("quantile")
    homes = {"quantile": quantiles, "gaussian_nll": densities, "poisson_nll": densities}
    for name in NAMES:
        module = homes.get(name, regression)
        assert record(name).overloads[0].function is getattr(module, name)
        defaults = {p.name: p for p in record(name).parameters}
        assert all(p.range is not None for p in defaults.values() if p.may_be_tensor)
