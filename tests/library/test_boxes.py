"""Losses of boxes: against loops over pairs, at empty and touching boxes, and their identities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossdsl.library import boxes
from lossdsl.library.boxes import ciou, diou, giou, iou
from lossdsl.library.registry import find

LOSSES = (iou, giou, diou, ciou)
Loss = Callable[[Tensor, Tensor], Tensor]
Box = list[float]

IDENTICAL = ([0.0, 0.0, 2.0, 3.0], [0.0, 0.0, 2.0, 3.0])
DISJOINT = ([0.0, 0.0, 1.0, 1.0], [3.0, 5.0, 4.0, 7.0])
TOUCHING = ([0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0])
INSIDE = ([1.0, 1.0, 2.0, 3.0], [0.0, 0.0, 4.0, 5.0])
POINT = ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 2.0, 1.0])
TWO_POINTS = ([1.0, 1.0, 1.0, 1.0], [2.0, 3.0, 2.0, 3.0])
SAME_POINT = ([0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
LINE = ([0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 2.0, 1.0])
CROSSED_LINES = ([0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, 2.0])
INVERTED = ([2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 1.0])


# --- the papers, one pair at a time ---


def quotient(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def terms(p: Box, y: Box) -> dict[str, float]:
    """IoU, the share of the enclosing box that is empty, the distance of the centres, v."""
    width, height = max(0.0, p[2] - p[0]), max(0.0, p[3] - p[1])
    other_width, other_height = max(0.0, y[2] - y[0]), max(0.0, y[3] - y[1])
    both_x = max(0.0, min(p[2], y[2]) - max(p[0], y[0]))
    both_y = max(0.0, min(p[3], y[3]) - max(p[1], y[1]))
    union = width * height + other_width * other_height - both_x * both_y
    around_x = max(p[0::2] + y[0::2]) - min(p[0::2] + y[0::2])
    around_y = max(p[1::2] + y[1::2]) - min(p[1::2] + y[1::2])
    away_x = (p[0] + p[2]) / 2 - (y[0] + y[2]) / 2
    away_y = (p[1] + p[3]) / 2 - (y[1] + y[3]) / 2
    v = 0.0
    if (width or height) and (other_width or other_height):
        angle = math.atan(width / height) if height else math.pi / 2
        other = math.atan(other_width / other_height) if other_height else math.pi / 2
        v = 4 / math.pi**2 * (other - angle) ** 2
    return {
        "iou": quotient(both_x * both_y, union),
        "empty": quotient(around_x * around_y - union, around_x * around_y),
        "distance": quotient(away_x**2 + away_y**2, around_x**2 + around_y**2),
        "v": v,
    }


def alpha(p: Box, y: Box) -> float:
    t = terms(p, y)
    return quotient(t["v"], 1 - t["iou"] + t["v"])


def paper(loss: Loss, p: Box, y: Box, weight: float | None = None) -> float:
    """The loss of one pair; `weight` holds CIoU's alpha fixed, as its gradient does."""
    t = terms(p, y)
    if loss is ciou:
        weight = alpha(p, y) if weight is None else weight
        return 1 - t["iou"] + t["distance"] + weight * t["v"]
    return 1 - t["iou"] + {iou: 0.0, giou: t["empty"], diou: t["distance"]}[loss]


def derivative(loss: Loss, p: Box, y: Box) -> list[float]:
    """Central differences in the first box."""
    weight, width, result = alpha(p, y), 1e-6, []
    for k in range(4):
        up, down = list(p), list(p)
        up[k], down[k] = up[k] + width, down[k] - width
        result.append((paper(loss, up, y, weight) - paper(loss, down, y, weight)) / (2 * width))
    return result


def random_boxes(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low, size = torch.rand(2, *shape, 2, generator=generator, dtype=torch.float64)
    return scale * torch.cat([low, low + 0.05 + size], -1)


def pair(boxes_of_pair: tuple[Box, Box], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.tensor([box], dtype=dtype) for box in boxes_of_pair]


def grid(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Boxes with corners in {0, 1, 2, 3}: touching, nested, equal, empty, inverted."""
    generator = torch.Generator().manual_seed(11)
    p, y = torch.randint(0, 4, (2, 4000, 4), generator=generator).to(dtype)
    return p, y


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 640.0])
def test_value_is_the_papers(loss: Loss, scale: float) -> None:
    p, y = random_boxes(300, seed=1, scale=scale), random_boxes(300, seed=2, scale=scale)
    expected = [paper(loss, a, b) for a, b in zip(p.tolist(), y.tolist(), strict=True)]
    np.testing.assert_allclose(loss(p, y), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_value_is_the_papers_at_every_coincidence_of_edges(loss: Loss) -> None:
    p, y = grid(torch.float64)
    expected = [paper(loss, a, b) for a, b in zip(p.tolist(), y.tolist(), strict=True)]
    np.testing.assert_allclose(loss(p, y), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_papers_derivative(loss: Loss) -> None:
    p, y = random_boxes(60, seed=3).requires_grad_(), random_boxes(60, seed=4)
    loss(p, y).sum().backward()
    expected = [derivative(loss, a, b) for a, b in zip(p.tolist(), y.tolist(), strict=True)]
    np.testing.assert_allclose(p.grad, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("loss", [iou, giou, diou])
def test_gradients_into_both_boxes_are_derivatives(loss: Loss) -> None:
    p = random_boxes(2, 5, seed=5).requires_grad_()
    y = random_boxes(2, 5, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(loss, (p, y))
    assert torch.autograd.gradgradcheck(loss, (p, y))


def test_alpha_of_ciou_has_no_gradient() -> None:
    p, y = random_boxes(40, seed=7), random_boxes(40, seed=8)
    free = p.clone().requires_grad_()
    ciou(free, y).sum().backward()
    held = torch.tensor([alpha(a, b) for a, b in zip(p.tolist(), y.tolist(), strict=True)])
    split = p.clone().requires_grad_()
    v = (ciou(split, y) - diou(split, y)) / held  # alpha*v over alpha, alpha a constant in both
    (diou(split, y) + held * v).sum().backward()
    torch.testing.assert_close(free.grad, split.grad, rtol=1e-12, atol=1e-12)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(lambda a: ciou(a, y), (free,))


def test_alpha_of_ciou_also_acts_below_half_an_overlap() -> None:
    p, y = pair(([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 4.0]))
    assert iou(p, y).item() == 0.75
    assert (ciou(p, y) - diou(p, y)).item() > 0.01


# --- corners ---


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e4])
def test_every_coincidence_of_edges_is_finite_in_single_precision(loss: Loss, scale: float) -> None:
    p, y = grid(torch.float32)
    p, y = (p * scale).requires_grad_(), (y * scale).requires_grad_()
    value = loss(p, y)
    value.sum().backward()
    assert value.isfinite().all()
    for box in (p, y):
        assert box.grad is not None
        assert box.grad.isfinite().all()


@pytest.mark.parametrize(
    ("boxes_of_pair", "expected"),
    [
        (IDENTICAL, (0.0, 0.0, 0.0, 0.0)),
        (TOUCHING, (1.0, 1.0, 1.2, 1.2)),
        (SAME_POINT, (1.0, 1.0, 1.0, 1.0)),
        (TWO_POINTS, (1.0, 2.0, 2.0, 2.0)),
        (POINT, (1.0, 1.0, 1.05, 1.05)),
        (LINE, (1.0, 1.0, 1.05, None)),
        (CROSSED_LINES, (1.0, 2.0, 1.0, 1.5)),
        (INVERTED, (1.0, 1.5, 1.03125, 1.03125)),
    ],
)
def test_values_of_special_pairs(
    boxes_of_pair: tuple[Box, Box], expected: tuple[float | None, ...]
) -> None:
    for loss, value in zip(LOSSES, expected, strict=True):
        if value is not None:
            assert loss(*pair(boxes_of_pair)).item() == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_identical_boxes_are_at_rest(loss: Loss) -> None:
    p = random_boxes(20, seed=9).requires_grad_()
    y = p.detach().clone().requires_grad_()
    value = loss(p, y)
    value.sum().backward()
    zero = torch.zeros(20, 4, dtype=torch.float64)
    torch.testing.assert_close(value.detach(), zero[:, 0], rtol=0, atol=1e-15)
    torch.testing.assert_close(p.grad, zero, rtol=0, atol=1e-14)
    torch.testing.assert_close(y.grad, zero, rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_broken_coordinate_is_not_hidden(loss: Loss) -> None:
    for corner in range(4):
        p, y = random_boxes(2, seed=22), random_boxes(2, seed=23)
        p[1, corner] = torch.nan
        assert loss(p, y).isnan().tolist() == [False, True]
        assert loss(y, p).isnan().tolist() == [False, True]


def test_an_empty_box_is_opened() -> None:
    p, y = pair(([0.5, 0.25, 0.5, 0.75], [0.0, 0.0, 2.0, 1.0]))
    p.requires_grad_()
    iou(p, y).sum().backward()
    assert p.grad is not None
    assert p.grad[0, 0] > 0
    assert p.grad[0, 2] < 0


@pytest.mark.parametrize("loss", [giou, diou, ciou])
def test_boxes_apart_are_pulled_together(loss: Loss) -> None:
    p, y = pair(DISJOINT)
    p.requires_grad_()
    loss(p, y).sum().backward()
    assert p.grad is not None
    assert (p.grad[0, 2:] < 0).all()
    still = p.detach().clone().requires_grad_()
    iou(still, y).sum().backward()
    assert still.grad is not None
    assert not still.grad.any()


# --- laws ---


def test_giou_is_iou_where_one_box_contains_the_other() -> None:
    outer = random_boxes(50, seed=12)
    corner, size = outer[:, :2], outer[:, 2:] - outer[:, :2]
    inner = torch.cat([corner + 0.2 * size, corner + 0.7 * size], 1)
    torch.testing.assert_close(giou(inner, outer), iou(inner, outer), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(giou(outer, inner), iou(outer, inner), rtol=1e-14, atol=1e-14)


def test_diou_is_iou_for_equal_centres() -> None:
    p = random_boxes(50, seed=13)
    centre = (p[:, :2] + p[:, 2:]) / 2
    half = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.cat([centre - half, centre + half], 1)
    torch.testing.assert_close(diou(p, y), iou(p, y), rtol=1e-14, atol=1e-14)


def test_ciou_is_diou_for_equal_aspect_ratio() -> None:
    p = random_boxes(50, seed=14)
    shift = random_boxes(50, seed=15)[:, [0, 1, 0, 1]]
    y = 1.7 * p + shift
    torch.testing.assert_close(ciou(p, y), diou(p, y), rtol=1e-14, atol=1e-14)


def test_ranges() -> None:
    p, y = grid(torch.float64)
    far = torch.cat([y, y + 1e6])
    p = torch.cat([p, p])
    assert ((iou(p, far) >= 0) & (iou(p, far) <= 1)).all()
    assert ((giou(p, far) >= 0) & (giou(p, far) <= 2)).all()
    assert ((diou(p, far) >= 0) & (diou(p, far) <= 2)).all()
    assert giou(*pair(([0.0, 0.0, 1.0, 1.0], [1e8, 1e8, 1e8 + 1, 1e8 + 1]))).item() > 1.999


@pytest.mark.parametrize("loss", LOSSES)
def test_symmetric_and_free_of_place_and_scale(loss: Loss) -> None:
    p, y = random_boxes(50, seed=16), random_boxes(50, seed=17)
    torch.testing.assert_close(loss(y, p), loss(p, y), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(loss(4 * p - 3, 4 * y - 3), loss(p, y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_any_leading_axes(loss: Loss) -> None:
    p, y = random_boxes(2, 3, 4, seed=18), random_boxes(2, 3, 4, seed=19)
    assert loss(p, y).shape == (2, 3, 4)
    assert loss(p[0, 0, 0], y[0, 0, 0]) == loss(p, y)[0, 0, 0]


# --- compiled, recorded ---


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles_in_one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (5, 8):
        p, y = random_boxes(batch, seed=20), random_boxes(batch, seed=21)
        p[0] = y[0]
        ours, theirs = p.clone().requires_grad_(), p.clone().requires_grad_()
        value, expected = compiled(ours, y), loss(theirs, y)
        value.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_examples_have_their_value(name: str) -> None:
    record = find(name)
    assert record is not None
    assert record.function is getattr(boxes, name)
    assert record.examples
    for example in record.examples:
        inputs: dict[str, Any] = {
            key: torch.tensor(value, dtype=torch.float64) for key, value in example.inputs.items()
        }
        value = eval(example.text, {name: record.function}, inputs).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)
