"""Derivatives inside a loss: against closed forms and PyTorch's double backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossdsl
from lossdsl import LossError, LossInputError

BACKENDS = ("eager", "aot_eager")


def critic() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    return layers.double()


def points(rows: int = 5, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, generator=generator, dtype=torch.float64)


def r1_by_hand(network: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    return 5 * (slope**2).sum(1).mean()


@pytest.mark.parametrize("backend", BACKENDS)
def test_r1_is_double_backward(backend: str) -> None:
    network = critic()
    loss = lossdsl.compile("r1(D, x)", modules={"D": network}, backend=backend)
    for rows in (5, 2, 1):
        x = points(rows)
        expected = r1_by_hand(network, x)
        wanted = torch.autograd.grad(expected, list(network.parameters()), allow_unused=True)
        value = loss(x=x)
        found = torch.autograd.grad(value, list(network.parameters()), allow_unused=True)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        for one, other in zip(found, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)
        assert not x.requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_derivative_of_a_cube(backend: str) -> None:
    loss = lossdsl.compile("mean(grad(sum(x**3), x)**2)", backend=backend)
    x = points().requires_grad_()
    value = loss(x)
    torch.testing.assert_close(value, (9 * x**4).mean())
    value.backward()
    torch.testing.assert_close(x.grad, 36 * x.detach() ** 3 / x.numel())


def test_a_residual_of_a_differential_equation() -> None:
    """u = sin(x) solves u'' + u = 0, and u = x does not."""
    loss = lossdsl.compile("u = sin(x)\nmean((grad(grad(u, x), x) + u)**2)", backend="eager")
    assert loss(points()).item() == pytest.approx(0, abs=1e-20)
    loss = lossdsl.compile("u = x**2\nmean((grad(grad(u, x), x) - 2)**2)", backend="eager")
    assert loss(points()).item() == pytest.approx(0, abs=1e-20)


class Linear(nn.Module):
    """A critic whose slope is 2 everywhere: the penalty is 1 wherever it is taken."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x[:, 0]


@pytest.mark.parametrize("text", ["gradient_penalty(D, a, b)", "dragan(D, a)"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_penalty_of_a_known_slope(text: str, backend: str) -> None:
    loss = lossdsl.compile(text, modules={"D": Linear()}, backend=backend)
    batch = {"a": points(), "b": points(seed=2)}
    inputs = {name: batch[name] for name in loss.contract.names}
    assert loss(inputs).item() == pytest.approx(1, rel=1e-12)
    with torch.no_grad():
        value = loss(inputs)
    assert value.item() == pytest.approx(1, rel=1e-12)
    assert not value.requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_goes_from_training_to_evaluation(backend: str) -> None:
    """The same sizes again, and yet another graph."""
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 1)).double()
    loss = lossdsl.compile("r1(D, x)", modules={"D": network}, backend=backend)
    x = points()
    loss(x=x)
    loss.eval()
    torch.testing.assert_close(loss(x=x), r1_by_hand(network, x))
    network.requires_grad_(False)
    torch.testing.assert_close(loss(x=x.requires_grad_()), r1_by_hand(network, x))


# Dynamo looks at the gradient of what is no leaf, after the graph break at the derivative.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_wherever_it_runs_it_is_the_same() -> None:
    network = critic()
    loss = lossdsl.compile("r1(D, x)", modules={"D": network}, backend="eager")
    x = points()
    expected = loss(x=x).detach()
    with torch.inference_mode():
        torch.testing.assert_close(loss(x=x), expected)
    torch.testing.assert_close(loss.graph_module(x), expected)
    inside = torch.compile(lambda x: loss(x=x), backend="eager")
    torch.testing.assert_close(inside(x), expected)
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        whole = torch.compile(lambda x: loss(x=x), backend="eager", fullgraph=True)
        torch.testing.assert_close(whole(x.clone().requires_grad_()), expected)
    slope = torch.func.grad(lambda x: loss(x=x))(x)
    moved = x.clone().requires_grad_()
    loss(x=moved).backward()
    torch.testing.assert_close(slope, moved.grad)
    with pytest.raises(LossInputError, match=r"under `torch.func.vmap`"):
        torch.func.vmap(lambda x: loss(x=x))(x[None])


def test_a_network_that_detaches_is_told() -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().sum(1)

    loss = lossdsl.compile("r1(D, x)", modules={"D": Detached()}, backend="eager")
    with pytest.raises(LossInputError, match="detaches its result"):
        loss(x=points())


def test_one_sided_penalties_leave_gentle_slopes_alone() -> None:
    text = "gradient_penalty(D, a, b, target={}, one_sided=true)"
    batch = {"a": points(), "b": points(seed=2)}
    for target, expected in ((1, 1.0), (3, 0.0)):
        loss = lossdsl.compile(text.format(target), modules={"D": Linear()}, backend="eager")
        assert loss(batch).item() == pytest.approx(expected, abs=1e-12)


def test_random_points_lie_between_and_are_new_at_each_call() -> None:
    loss = lossdsl.compile("mean(between(a, b))", backend="eager")
    a, b = torch.zeros(4, 3), torch.ones(4, 3)
    values = {loss(a=a, b=b).item() for _ in range(5)}
    assert len(values) == 5
    assert all(0 < value < 1 for value in values)
    torch.manual_seed(3)
    first = loss(a=a, b=b).item()
    torch.manual_seed(3)
    assert loss(a=a, b=b).item() == first


def test_the_callers_batch_normalisation_moves_once_a_call() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    loss = lossdsl.compile("r1(D, x)", modules={"D": network}, backend="eager")
    loss(x=points())
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked is not None
    assert norm.num_batches_tracked.item() == 1


def test_a_function_takes_a_network() -> None:
    network = critic()
    text = "def both(C, x, z) = mean(C(x)) - mean(C(z)) + r1(C, x)\nboth(D, x, z)"
    loss = lossdsl.compile(text, modules={"D": network}, backend="eager")
    x, z = points(), points(seed=2)
    expected = network(x).mean() - network(z).mean() + r1_by_hand(network, x)
    torch.testing.assert_close(loss(x=x, z=z), expected)


def test_half_precision_points() -> None:
    loss = lossdsl.compile("mean(grad(sum(x**2), x))", backend="eager")
    assert loss(torch.ones(3, dtype=torch.float16)).item() == 2.0
    assert loss(torch.ones(3, dtype=torch.float16)).dtype == torch.float32


def test_whole_numbers_have_no_derivative() -> None:
    with pytest.raises(LossInputError, match="takes a derivative by `x`"):
        lossdsl.compile("mean(grad(sum(x**2), x))", backend="eager")(torch.arange(3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mean(grad(sum(x), y)) + mean(y)", "does not depend on `y`"),
        ("mean(grad(sum(detach(x)), x))", "does not depend on `x`"),
        ("z = detach(x)\nmean(grad(sum(z**2), z))", r"no gradient comes to `detach\(x\)`"),
        ("r1(D(x), y)", "does not depend on `y`"),
        ("r1(E, x) + mean(D(x))", "none called `E`"),
        ("r1(D, x, y)", "takes 2 arguments"),
        ("gradient_penalty(D, x)", "takes 3 arguments"),
        ("r1(D, x, gama=3)", "has no parameter `gama`"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    modules: dict[str, Any] = {"D": Linear()} if "D" in text else {}
    with pytest.raises(LossError, match=said):
        lossdsl.compile(text, modules=modules, backend="eager")


def test_the_graph_of_a_derivative_can_be_looked_at() -> None:
    loss = lossdsl.compile("mean(grad(sum(x**3), x))", backend="eager")
    assert "pow" in loss.inspect("torch")
    assert "mul" in loss.inspect("aten")
