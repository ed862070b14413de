"""Derivatives that are written out are those of autograd, for whatever a loss makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from arguments import Call, calls
from legal_values import extreme, ordinary
from torch import Tensor

import lossdsl
from lossdsl.functions import adjoints, logistic
from lossdsl.library import chosen, overlap_sums, variation
from lossdsl.library.image import tv

CALLS = calls(space=(3, 2), variants=True)


@pytest.fixture
def written_out(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The functions run as in compiled code, eagerly."""
    monkeypatch.setattr(adjoints, "written_out", lambda: True)
    return monkeypatch


def outcome(loss: Any, given: dict[str, Tensor], names: list[str]) -> list[Tensor | None]:
    """The value, and its gradients with another loss's weight in front."""
    inputs = {**given, **{name: given[name].clone().requires_grad_() for name in names}}
    value = loss(inputs)
    if not value.requires_grad:
        return [value]
    learnt = [inputs[name] for name in names]
    return [value.detach(), *torch.autograd.grad(1.7 * value, learnt, allow_unused=True)]


def programs(call: Call) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The loss with what can be said around it."""
    shares = {"r": call.shares()}
    yield call.map_text(), shares
    yield call.text(), {}
    if call.record.mask != "none":
        kind = call.declared(call.mask_axes, "mask")
        yield f"input m: {kind}\n{call.text(', mask=m')}", {"m": call.mask()}
    if call.map_axes:
        kind = call.declared(call.map_axes, "real")
        yield f"input r: {kind}\n" + call.text(", weight=r, reduction='sum'"), shares


@pytest.mark.parametrize("name", CALLS)
def test_every_loss_has_autograds_value_and_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = CALLS[name]
    for text, more in programs(call):
        loss = lossdsl.compile(text, backend="eager")
        loss.checks = "never"
        for given in (ordinary(call), extreme(call, torch.float64)):
            expected = outcome(loss, {**given, **more}, call.differentiable)
            with monkeypatch.context() as patch:
                patch.setattr(adjoints, "written_out", lambda: True)
                found = outcome(loss, {**given, **more}, call.differentiable)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12, equal_nan=True)


# --- the logistic function ----------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(0,), (2,), (0, 1), (2, 3), (0, 1, 2, 3), (3, 0)])
def test_the_logistic_parts_have_their_derivatives(
    wanted: tuple[int, ...], written_out: pytest.MonkeyPatch
) -> None:
    x = torch.linspace(-6, 6, 13, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: logistic._some(x, wanted), x)
    assert torch.autograd.gradgradcheck(lambda x: logistic._some(x, wanted), x)


def test_the_logistic_parts_are_exact_in_float32(written_out: pytest.MonkeyPatch) -> None:
    """Against float64: three units in the last place at most, over all that float32 has."""
    far = torch.logspace(-30, 2, 20000)
    x = torch.cat([-far, torch.zeros(1), far])
    exact = x.double()
    p, q, log_p, log_q = logistic.logistic(x)
    close = {"rtol": 3 * torch.finfo(torch.float32).eps, "atol": 1e-37, "check_dtype": False}
    torch.testing.assert_close(p, torch.sigmoid(exact), **close)
    torch.testing.assert_close(q, torch.sigmoid(-exact), **close)
    torch.testing.assert_close(log_p, torch.nn.functional.logsigmoid(exact), **close)
    torch.testing.assert_close(log_q, torch.nn.functional.logsigmoid(-exact), **close)


def test_the_polynomial_is_as_near_as_it_says(written_out: pytest.MonkeyPatch) -> None:
    e = torch.cat([torch.linspace(0, 1, 200001)[1:], torch.logspace(-37, 0, 100000)]).clamp(max=1)
    exact = torch.log1p(e.double())

    def off(value: Tensor) -> float:
        return float(((value.double() - exact).abs() / exact).max())

    assert off(logistic._log1p(e)) < 1.9e-7
    assert off(torch.log1p(e)) < 1.5e-7
    exactly = sum(c * e.double() ** (k + 1) for k, c in enumerate(logistic.LOG1P))
    assert off(exactly) < 5e-9


def test_float64_takes_no_polynomial(written_out: pytest.MonkeyPatch) -> None:
    x = torch.linspace(-30, 30, 301, dtype=torch.float64)
    exact = torch.nn.functional.logsigmoid(x)
    torch.testing.assert_close(logistic.log_sigmoid(x), exact, rtol=1e-14, atol=0)


# --- total variation ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (2, 3, 5, 4), (3, 1, 4, 7), (1, 2, 3, 9)])
def test_the_stencil_is_total_variation(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x[0, 0, 1] = x[0, 0, 0]
    shares = torch.arange(1.0, shape[0] + 1, dtype=torch.float64)
    outcomes = []
    for function in (tv, variation.variation):
        leaf = x.clone().requires_grad_()
        value = function(leaf)
        outcomes.append((value, *torch.autograd.grad((shares * value).sum(), leaf)))
    torch.testing.assert_close(*outcomes, rtol=1e-12, atol=1e-14)
    smooth = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(variation.variation, smooth)


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, 3, 5),
        torch.rand(1, 1, 2, 4),
        torch.rand(1, 1, 4, 1),
        torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.rand(2, 2, 3, 4, 5),
    ],
)
def test_the_stencil_is_laid_only_where_it_fits(x: Tensor, written_out: pytest.MonkeyPatch) -> None:
    assert not variation.fits(x)
    found = tv(x)
    written_out.undo()
    torch.testing.assert_close(found, tv(x))


# --- sums and labels ----------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["image", "batch", "all"])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("mask", [None, (2, 1, 3, 2), (2, 3, 3, 2), ()])
def test_overlap_sums_have_their_derivatives(
    over: Any, squared: bool, mask: tuple[int, ...] | None, written_out: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(4)
    p, y = (
        torch.rand(2, 3, 3, 2, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    kept = None if mask is None else torch.rand(mask, generator=generator).round()

    def sums(p: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return overlap_sums.overlap_sums(p, y, kept, over, squared, True)

    assert torch.autograd.gradcheck(sums, (p, y))
    assert torch.autograd.gradgradcheck(sums, (p, y))


@pytest.mark.parametrize("classes", [3, chosen.FEW + 1])
def test_the_entry_of_a_label_has_its_derivative(
    classes: int, written_out: pytest.MonkeyPatch
) -> None:
    x = torch.randn(2, classes, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randint(0, classes, (2, 4))
    torch.testing.assert_close(chosen.at_label(x, y), x.gather(1, y[:, None])[:, 0])
    assert torch.autograd.gradcheck(lambda x: chosen.at_label(x, y), x)
    assert torch.autograd.gradgradcheck(lambda x: chosen.at_label(x, y), x)


def test_a_label_that_no_class_has_is_no_loss_of_zero(written_out: pytest.MonkeyPatch) -> None:
    x = torch.zeros(3, 4)
    found = chosen.at_label(x, torch.tensor([1, 4, -1]))
    assert found.isnan().tolist() == [False, True, True]


def test_infinite_scores_of_other_classes_do_not_matter(written_out: pytest.MonkeyPatch) -> None:
    x = torch.tensor([[-torch.inf, 2.0, torch.inf]])
    assert chosen.at_label(x, torch.tensor([1])).tolist() == [2.0]
