"""What is done to graphs of torch operators: less is calculated, and the results stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._inductor.inductor_prims  # registers the operators that passes write
from torch import Tensor, fx
from torch._inductor.decomposition import select_decomp_table
from torch.fx.experimental.proxy_tensor import make_fx

from lossdsl.backend import aten_passes

aten = torch.ops.aten
Function = Callable[..., Any]


def tidied(function: Function, *inputs: Tensor) -> fx.GraphModule:
    """The graph of a function after all passes, which give what it gives."""
    graph = make_fx(function, select_decomp_table(), tracing_mode="fake")(*inputs)
    aten_passes.tidy(graph.graph)
    graph.graph.lint()
    graph.recompile()
    close = {"rtol": 2e-6, "atol": 1e-7, "equal_nan": True}
    torch.testing.assert_close(graph(*inputs), function(*inputs), **close)
    return graph


def count(graph: fx.GraphModule, *targets: Any) -> int:
    return sum(node.target in targets for node in graph.graph.nodes)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- what is equal ------------------------------------------------------------------------------


def test_equal_calls_become_one() -> None:
    graph = tidied(lambda x: (x.exp() + 1) * (x.exp() + 1.5), numbers(4))
    assert count(graph, aten.exp.default) == 1
    assert count(graph, aten.add.Tensor) == 2


def test_equal_results_stay_apart() -> None:
    graph = tidied(lambda x: (x.exp(), x.exp()), numbers(4))
    first, second = graph(torch.ones(2))
    assert first.data_ptr() != second.data_ptr()


def test_one_and_true_are_not_equal() -> None:
    graph = tidied(lambda x: (x.sum(0, True), x.sum(0, False), x + 1, x + 1.0), numbers(3, 2))
    assert count(graph, aten.sum.dim_IntList) == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (torch.rand_like(x), torch.rand_like(x)),
        lambda x: (x.add_(1).exp(), x.exp()),
    ],
)
def test_what_does_more_than_calculate_is_left(function: Function) -> None:
    graph = make_fx(function, select_decomp_table(), tracing_mode="fake")(numbers(4))
    before = str(graph.graph)
    aten_passes.tidy(graph.graph)
    assert str(graph.graph) == before


# --- order and sums -----------------------------------------------------------------------------


def test_the_first_result_comes_first() -> None:
    def value_behind_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
        value = (x * x).sum()
        return 2 * x, value

    names = [node.name for node in tidied(value_behind_gradient, numbers(5)).graph.nodes]
    assert names.index("mul_1") < names.index("sum_1")


def test_sums_over_regions_stay_where_another_needs_them() -> None:
    def mean_alone(x: Tensor) -> Tensor:
        return x.exp().sum((2, 3)).sum()

    def mean_and_regions(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.exp().sum((2, 3)).sum(), x.sum((2, 3))

    x = numbers(2, 3, 4, 5)
    assert count(tidied(mean_alone, x), aten.sum.dim_IntList) == 0
    assert count(tidied(mean_and_regions, x), aten.sum.dim_IntList) == 2


# --- classes ------------------------------------------------------------------------------------


def own(y: Tensor, classes: int) -> Tensor:
    return y.unsqueeze(1) == torch.arange(classes).view(-1, *[1] * (y.dim() - 1))


def ce_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The cost of each position, and the derivative of their sum as autograd writes it."""
    log_p = x.log_softmax(1)
    hot = own(y, x.shape[1])
    cost = -torch.where(hot, log_p, 0.0).sum(1)
    upstream = torch.where(hot, -torch.ones_like(cost).unsqueeze(1), 0.0)
    return upstream - log_p.exp() * upstream.sum(1, keepdim=True), cost


def classes(*space: int, many: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(0, many, (3, *space), generator=generator)
    return numbers(3, many, *space), y


@pytest.mark.parametrize("space", [(), (4,), (3, 2)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_what_only_the_own_class_has_is_not_summed(space: tuple[int, ...], scale: float) -> None:
    x, y = classes(*space)
    graph = tidied(ce_and_gradient, scale * x, y)
    # That of the exponentials, and that of the scores at the label.
    assert count(graph, aten.sum.dim_IntList) == 2
    picked = [n for n in graph.graph.nodes if n.target is aten.where.self]
    assert any(n.args[1].op == "placeholder" for n in picked)


def test_a_class_whose_score_is_infinite() -> None:
    x, y = classes(4)
    x[:, 2] = -torch.inf
    tidied(ce_and_gradient, x, torch.where(y == 2, 0, y))


def test_a_sum_beside_it_stays_a_sum() -> None:
    def gradient(x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        put = torch.where(own(y, 5), g.unsqueeze(1), 0.0)
        return (put + x).sum(1, keepdim=True)

    x, y = classes(4)
    graph = tidied(gradient, x, y, numbers(3, 4))
    (total,) = (n for n in graph.graph.nodes if n.target is aten.sum.dim_IntList)
    assert total.args[0].op == "placeholder"


def test_numbers_along_another_axis_are_no_classes() -> None:
    def function(y: Tensor, g: Tensor) -> Tensor:
        put = torch.where(y == torch.arange(4), g, 0.0)
        return put.sum(1, keepdim=True)

    y = torch.randint(0, 4, (3, 1, 4), generator=torch.Generator().manual_seed(2))
    tidied(function, y.expand(3, 2, 4), numbers(3, 1, 4))
    tidied(
        lambda y, g: torch.where(y == torch.arange(4), g, 0.0).sum(1, keepdim=True),
        y,
        numbers(3, 1, 4),
    )


@pytest.mark.parametrize("place", [-100, -1, 5, 7])
def test_a_place_that_no_number_has_gives_nothing(place: int) -> None:
    def chosen(x: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        put = torch.where(own(y, 5), g.unsqueeze(1), 0.0).sum(1, keepdim=True)
        return put, torch.where(own(y, 5), x - x.amax(1, keepdim=True), 0.0).sum(1)

    x, y = classes(4)
    y[1] = place
    tidied(chosen, x, y, numbers(3, 4))


def test_sums_without_axes_are_sums_over_all() -> None:
    graph = tidied(
        lambda x: (aten.sum.dim_IntList(x, None), aten.sum.dim_IntList(x, [])), numbers(3, 4)
    )
    assert count(graph, aten.sum.dim_IntList) == 2


@pytest.mark.parametrize(("shape", "exponentials"), [((3, 5, 4), 1), ((3, 40, 4), 2), ((3, 5), 2)])
def test_the_exponentials_of_a_few_classes_are_kept(
    shape: tuple[int, ...], exponentials: int
) -> None:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        log_p = x.log_softmax(1)
        return log_p, log_p.exp()

    for scale in (1.0, 1e4):
        assert count(tidied(both, scale * numbers(*shape)), aten.exp.default) == exponentials


@pytest.mark.parametrize("ignored", [-100, 255, -(2**31)])
def test_labels_are_compared_in_float32(ignored: int) -> None:
    def masked(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        kept = (y != ignored).to(torch.float32)
        known = torch.where(y == ignored, 0, y)
        return torch.where(own(known, x.shape[1]), x, 0.0).sum(1) * kept, kept

    x, y = classes(4)
    y[0, :2] = ignored
    graph = tidied(masked, x, y)
    (compared,) = (n for n in graph.graph.nodes if n.target is aten.eq.Tensor)
    assert {operand.meta["val"].dtype for operand in compared.args} == {torch.float32}


def test_whole_numbers_that_float32_has_not_stay_whole_numbers() -> None:
    def matches(a: Tensor, b: Tensor) -> Tensor:
        return (a.unsqueeze(1) == b).to(torch.float32)

    a, b = torch.tensor([2**24, 2**24 + 1]), torch.tensor([2**24 + 1, 2**24])
    graph = tidied(matches, a, b)
    assert count(graph, torch.ops.prims.inductor_force_stride_order.default) == 0
