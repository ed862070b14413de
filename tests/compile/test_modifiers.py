"""reduction, weight, mask and per: the same formula for every loss that has them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.library import registry

torch.manual_seed(0)
P, Y = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
W = torch.rand(3, 4, dtype=torch.float64)
M = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
MAP = (P - Y) ** 2


def value(text: str, **inputs: Any) -> Tensor:
    return lossdsl.compile(text, backend="eager")(p=P, y=Y, **inputs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse(p, y)", MAP.mean()),
        ("mse(p, y, reduction='mean')", MAP.mean()),
        ("mse(p, y, reduction='sum')", MAP.sum()),
        ("mse(p, y, reduction='batchmean')", MAP.sum() / 3),
        ("sum(mse(p, y, reduction='batch'))", MAP.mean(1).sum()),
        ("mean(mse(p, y, reduction='none')**2)", (MAP**2).mean()),
        ("mse(p, y, weight=2.0)", 2 * MAP.mean()),
        ("mse(p, y, per=5)", MAP.sum() / 5),
        ("mse(p, y, per=0.2)", MAP.sum()),
    ],
)
def test_reductions(text: str, expected: Tensor) -> None:
    torch.testing.assert_close(value(text), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse(p, y, mask=m)", (MAP * M).sum() / M.sum()),
        ("mse(p, y, mask=m, reduction='sum')", (MAP * M).sum()),
        ("mse(p, y, mask=m, reduction='batchmean')", (MAP * M).sum() / 3),
        (
            "sum(mse(p, y, mask=m, reduction='batch'))",
            ((MAP * M).sum(1) / M.sum(1).clamp_min(1)).sum(),
        ),
        ("mse(p, y, mask=m, per=sum(m))", (MAP * M).sum() / M.sum()),
        ("mse(p, y, mask=not m)", (MAP * (1 - M)).sum() / (1 - M).sum()),
        ("mse(p, y, mask=y > 0)", (MAP * (Y > 0)).sum() / (Y > 0).sum()),
    ],
)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32, torch.float64])
def test_masks(text: str, expected: Tensor, dtype: torch.dtype) -> None:
    if "m" in text.replace("mse", "").replace("mask", "").replace("sum", "").replace("mean", ""):
        torch.testing.assert_close(value(text, m=M.to(dtype)), expected)
    else:
        torch.testing.assert_close(value(text), expected)


def test_weight_multiplies_and_does_not_divide() -> None:
    torch.testing.assert_close(value("mse(p, y, weight=w)", w=W), (MAP * W).mean())
    both = value("mse(p, y, weight=w, mask=m)", w=W, m=M)
    torch.testing.assert_close(both, (MAP * W * M).sum() / M.sum())


def test_a_mask_hides_whatever_stands_below_it() -> None:
    p = P.clone()
    p[M == 0] = float("nan")
    p.requires_grad_()
    loss = lossdsl.compile("mse(p, y, mask=m)", backend="eager")
    result = loss(p, Y, M)
    result.backward()
    torch.testing.assert_close(result, (MAP * M).sum() / M.sum())
    assert p.grad is not None
    assert bool((p.grad[M == 0] == 0).all())


def test_an_empty_mask_gives_zero() -> None:
    p = P.clone().requires_grad_()
    result = lossdsl.compile("mse(p, y, mask=m)", backend="eager")(p, Y, torch.zeros_like(M))
    result.backward()
    assert float(result.detach()) == 0
    assert p.grad is not None
    assert torch.equal(p.grad, torch.zeros_like(p))


IMAGE = {"p": torch.randn(2, 3, 4, 5), "y": torch.randint(2, (2, 3, 4, 5)).float()}


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (2, 4, 5), (2,), (2, 1, 1, 1)])
def test_masks_may_lack_the_channel_axis_or_all_but_the_first(shape: tuple[int, ...]) -> None:
    mask = torch.randint(2, shape).float()
    full = mask
    if len(shape) == 3:
        full = mask.unsqueeze(1)
    elif len(shape) == 1:
        full = mask.reshape(2, 1, 1, 1)
    whole = full.expand(2, 3, 4, 5)
    loss = lossdsl.compile("bce(p, y, mask=m)", backend="eager")
    torch.testing.assert_close(loss(**IMAGE, m=mask), loss(**IMAGE, m=whole.contiguous()))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5), (2, 3, 4), (2, 3)])
def test_nothing_is_aligned_from_the_right(shape: tuple[int, ...]) -> None:
    loss = lossdsl.compile("bce(p, y, mask=m)", backend="eager")
    with pytest.raises(lossdsl.LossInputError, match="does not fit"):
        loss(**IMAGE, m=torch.ones(shape))


def test_dice_takes_a_mask_of_pixels_inside_its_sums() -> None:
    loss = lossdsl.compile("dice(p, y, mask=m)", backend="eager")
    mask = torch.zeros(2, 4, 5)
    mask[:, :, :3] = 1
    plain = lossdsl.compile("dice(p, y)", backend="eager")
    left = {k: v[..., :3] for k, v in IMAGE.items()}
    torch.testing.assert_close(loss(**IMAGE, m=mask), plain(**left))


@pytest.mark.parametrize("text", ["clip(a, b, mask=m)", "rmse(a, b, mask=m)"])
def test_batch_level_losses_refuse_masks(text: str) -> None:
    assert [d.code for d in lossdsl.check(text).errors] == ["E212"]


def test_over_decides_the_map_of_overlap_losses() -> None:
    for over, rank in (("image", 2), ("batch", 1), ("all", 0)):
        index = ", ".join(["0"] * rank)
        text = f"dice(p, y, over='{over}', reduction='none'){f'[{index}]' if rank else ''}"
        assert lossdsl.check(text).ok, text
        lossdsl.compile(text, backend="eager")(**IMAGE)


def test_the_default_reduction_is_an_option() -> None:
    loss = lossdsl.compile(
        "mse(p, y) + l1(p, y, reduction='mean')", reduction="sum", backend="eager"
    )
    torch.testing.assert_close(loss(P, Y), MAP.sum() + (P - Y).abs().mean())


@pytest.mark.parametrize(
    "name", [n for n, r in registry.records().items() if r.mask == "map" and r.examples]
)
def test_every_loss_has_the_same_modifiers(name: str) -> None:
    """On each record's own example: sum, mean, an all-ones mask and a weight of 2 agree."""
    record = registry.records()[name]
    example = record.examples[0]
    inputs = {k: as_tensor(v) for k, v in example.inputs.items()}
    text = example.text.rstrip()
    assert text.endswith(")")

    def run(extra: str) -> Tensor:
        return lossdsl.compile(text[:-1] + extra + ")", backend="eager")(**inputs)

    mean = run("")
    torch.testing.assert_close(run(", weight=2.0"), 2 * mean)
    torch.testing.assert_close(run(", mask=1"), mean)
    torch.testing.assert_close(run(", mask=0"), torch.zeros_like(mean))
    total = run(", reduction='sum'")
    torch.testing.assert_close(run(", per=4"), total / 4)


def as_tensor(value: Any) -> Any:
    try:
        tensor = torch.as_tensor(value)
    except ValueError:  # A list of feature maps of different sizes.
        return [as_tensor(part) for part in value]
    return tensor.double() if tensor.is_floating_point() else tensor
