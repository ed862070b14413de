"""`compute_dtype: input`: elements in half precision, sums and counts in single."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossdsl

HALF = [torch.float16, torch.bfloat16]


def value(text: str, **inputs: Tensor) -> Tensor:
    return lossdsl.compile(text, backend="eager", compute_dtype="input")(**inputs)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dice(prob(p), y)", 1 - 2 * 0.5 / 1.5),
        ("squared_dice(prob(p), y)", 1 - 2 * 0.5 / 1.25),
        ("jaccard(prob(p), y)", 0.5),
        ("tversky(prob(p), y, fp=0, fn=1)", 0.5),
        ("dice(prob(p), y, over='all')", 1 - 2 * 0.5 / 1.5),
    ],
)
def test_overlap_of_a_quarter_of_a_million_pixels(
    dtype: torch.dtype, text: str, expected: float
) -> None:
    p = torch.full((1, 1, 512, 512), 0.5, dtype=dtype).requires_grad_()
    result = value(text, p=p, y=torch.ones(1, 1, 512, 512, dtype=dtype))
    assert result.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", HALF)
def test_lovasz_of_a_quarter_of_a_million_pixels(dtype: torch.dtype) -> None:
    # Halves are half precision's own, so nothing but the sums is rounded.
    p = torch.full((1, 2, 512, 512), 0.5, dtype=dtype)
    y = torch.zeros(1, 512, 512, dtype=torch.int64)
    result = value("lovasz_softmax(class_prob(p), y)", p=p, y=y)
    assert result.item() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse(x, 0)", 1),
        ("mse(x, 0, mask=m)", 1),
        ("mse(x, 0, weight=m)", 1),
        ("mse(x, 0, reduction='sum')", 100_000),
        ("mse(x, 0, reduction='batchmean')", 1),
        ("mse(x, 0, per=sum(m))", 1),
        ("sum(mse(x[none], 0, reduction='batch'))", 1),
        ("mse(x, 0, mask=m, reduction='sum')", 100_000),
        ("rmse(x, 0)", 1),
        ("mean(x)", 1),
        ("mean(x, where=m)", 1),
        ("sum(x)", 100_000),
        ("sum(x)/size(x, 0)", 1),
        ("max(cumsum(x, over=0))", 100_000),
        ("norm(x)", 100_000**0.5),
        ("var(x)", 0),
        ("kl_normal(x[none], x[none])", 0.5 * 100_000 * (2.718281828 - 1)),
        ("contrastive(x[none], 0*x[none], mask(x[:1]))", 100_000),
        ("perceptual([300*x[none]], [0*x[none]])", 90_000),
        (
            "iou(boxes(200*stack(0*x, 0*x, x, x, over=1)), "
            "boxes(400*stack(0*x, 0*x, x, x, over=1)))",
            0.75,
        ),
        ("charbonnier(x, x)", 1e-3),
    ],
)
def test_sums_of_a_hundred_thousand(dtype: torch.dtype, text: str, expected: float) -> None:
    given = {"x": torch.ones(100_000, dtype=dtype), "m": torch.ones(100_000, dtype=dtype)}
    program = "input x: real[N]\ninput m: mask[N]\n" + text
    loss = lossdsl.compile(program, backend="eager", compute_dtype="input")
    result = loss({name: given[name] for name in loss.contract.names})
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(expected, rel=1e-3 if "/" in text else 1e-6)


@pytest.mark.parametrize("dtype", HALF)
def test_the_gradient_is_in_the_inputs_precision(dtype: torch.dtype) -> None:
    x = torch.ones(1000, dtype=dtype, requires_grad=True)
    value("mse(x, 0)", x=x).backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    torch.testing.assert_close(x.grad.float(), torch.full((1000,), 2e-3), rtol=4e-3, atol=0)


@pytest.mark.parametrize("dtype", HALF)
def test_probabilities_of_0_and_1(dtype: torch.dtype) -> None:
    p = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=dtype)
    for text in ("bce(prob(p), y)", "kl_div(class_prob(p), class_prob(y))", "js(p, y)"):
        p.grad = None
        result = value(text, p=p, y=y)
        result.backward()
        assert result.isfinite()
        assert p.grad is not None
        assert p.grad.isfinite().all()


@pytest.mark.parametrize("dtype", HALF)
def test_zero_vectors_have_a_direction_of_zero(dtype: torch.dtype) -> None:
    x = torch.zeros(3, 4, dtype=dtype, requires_grad=True)
    result = value("clip(x, y)", x=x, y=torch.ones(3, 4, dtype=dtype))
    assert result.item() == pytest.approx(1.0986122886681098, rel=1e-3)


@pytest.mark.parametrize("dtype", HALF)
def test_ssim_of_half_precision_is_that_of_its_values(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(1, 1, 24, 24, generator=generator).to(dtype) for _ in range(2))
    for text in ("ssim(x, y)", "ms_ssim(x, y, window=5, weights=[0.5, 0.5])", "tv(x - y)"):
        exact = lossdsl.compile(text, backend="eager")(x=x.float(), y=y.float())
        torch.testing.assert_close(value(text, x=x, y=y), exact, rtol=1e-2, atol=0)
