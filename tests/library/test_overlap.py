"""Overlap losses: against loops over pixels, sets and scikit-learn, and on empty masks."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library.lovasz import lovasz_softmax
from lossdsl.library.overlap import (
    dice,
    jaccard,
    log_cosh_dice,
    map_type,
    squared_dice,
)
from lossdsl.library.record import LossRecord
from lossdsl.library.registry import find
from lossdsl.library.tversky import focal_tversky, tversky

RATIOS = (dice, squared_dice, log_cosh_dice, jaccard, tversky, focal_tversky)
RATIO = {loss.__name__: loss for loss in RATIOS}
NAMES = (*RATIO, "lovasz_softmax")
SMOOTH = 1e-5

Array = npt.NDArray[np.float64]


def record(name: str) -> LossRecord:
    found = find(name)
    assert found is not None
    return found


def uniform(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def bits(*shape: int, seed: int = 5) -> Tensor:
    return uniform(*shape, seed=seed).round()


def labels(classes: int, *shape: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, shape, generator=generator)


def distribution(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(1)


def same(actual: Tensor, expected: Any) -> None:
    torch.testing.assert_close(
        actual, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-13
    )


# --- values ---


def ratio(name: str, p: Array, y: Array, s: float, fp: float = 0.3, fn: float = 0.7) -> float:
    """The papers' formulas on the pixels of one region, pixel by pixel."""
    pairs: list[tuple[float, float]]
    pairs = list(zip(p.flatten().tolist(), y.flatten().tolist(), strict=True))
    both = sum(a * b for a, b in pairs)
    sum_p, sum_y = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if name == "squared_dice":
        return 1 - (2 * both + s) / (
            sum(a * a for a, _ in pairs) + sum(b * b for _, b in pairs) + s
        )
    if name == "jaccard":
        return 1 - (both + s) / (sum_p + sum_y - both + s)
    if name in ("tversky", "focal_tversky"):
        extra = sum(a * (1 - b) for a, b in pairs)
        missing = sum((1 - a) * b for a, b in pairs)
        value = 1 - (both + s) / (both + fp * extra + fn * missing + s)
        return value if name == "tversky" else math.pow(value, 0.75)
    value = 1 - (2 * both + s) / (sum_p + sum_y + s)
    return value if name == "dice" else math.log(math.cosh(value))


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("smooth", [0.0, SMOOTH, 1.0])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("over", ["image", "batch", "all"])
def test_values_are_the_papers_formulas(
    loss: Callable[..., Tensor], smooth: float, background: bool, over: Any
) -> None:
    p, y = uniform(3, 4, 5, 6), bits(3, 4, 5, 6)
    value = loss(p, y, smooth=smooth, background=background, over=over)
    first = 0 if background else 1
    q, t = p.numpy()[:, first:], y.numpy()[:, first:]
    images, classes = range(3), range(4 - first)

    def of(a: Array, b: Array) -> float:
        return ratio(loss.__name__, a, b, smooth)

    expected = {
        "image": [[of(q[b, c], t[b, c]) for c in classes] for b in images],
        "batch": [of(q[:, c], t[:, c]) for c in classes],
        "all": of(q, t),
    }[over]
    same(value, expected)


@pytest.mark.parametrize(("fp", "fn"), [(0.7, 0.3), (0.0, 1.0), (2.0, 5.0)])
def test_false_positives_and_negatives_have_their_own_weight(fp: float, fn: float) -> None:
    p, y = uniform(1, 1, 40), bits(1, 1, 40)
    expected = ratio("tversky", p.numpy(), y.numpy(), SMOOTH, fp, fn)
    same(tversky(p, y, fp=fp, fn=fn), [[expected]])
    same(focal_tversky(p, y, fp=fp, fn=fn, gamma=2.0), [[math.sqrt(expected)]])


def test_fn_punishes_a_miss_and_fp_a_false_alarm() -> None:
    y = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    miss, alarm = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]), torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    torch.testing.assert_close(tversky(miss, y, smooth=0.0), torch.tensor([[1 - 1 / 1.7]]))
    torch.testing.assert_close(tversky(alarm, y, smooth=0.0), torch.tensor([[1 - 2 / 2.3]]))


@pytest.mark.parametrize("loss", [dice, jaccard])
def test_squared_sums_squares(loss: Callable[..., Tensor]) -> None:
    p, y = uniform(2, 3, 7), uniform(2, 3, 7, seed=1)
    both, squares = (p * y).sum(2), (p * p + y * y).sum(2)
    whole = squares if loss is dice else squares - both
    factor = 2 if loss is dice else 1
    same(loss(p, y, smooth=0.0, squared=True), 1 - factor * both / whole)


def test_hard_masks_are_scored_as_by_scikit_learn() -> None:
    p, y = bits(1, 1, 60, seed=1), bits(1, 1, 60, seed=2)
    f1 = sklearn.metrics.f1_score(y.flatten(), p.flatten())
    iou = sklearn.metrics.jaccard_score(y.flatten(), p.flatten())
    same(dice(p, y, smooth=0.0), [[1 - f1]])
    same(jaccard(p, y, smooth=0.0), [[1 - iou]])


# --- identities ---


def test_tversky_contains_dice_and_jaccard() -> None:
    p, y = uniform(2, 3, 4, 5), bits(2, 3, 4, 5)
    same(tversky(p, y, fp=0.5, fn=0.5, smooth=0.0), dice(p, y, smooth=0.0))
    same(tversky(p, y, fp=0.5, fn=0.5, smooth=0.1), dice(p, y, smooth=0.2))
    same(tversky(p, y, fp=1.0, fn=1.0), jaccard(p, y))
    same(focal_tversky(p, y, gamma=1.0), tversky(p, y))


def test_jaccard_is_a_function_of_dice() -> None:
    p, y = uniform(2, 3, 4, 5), bits(2, 3, 4, 5)
    d = dice(p, y, smooth=0.0)
    same(jaccard(p, y, smooth=0.0), 2 * d / (1 + d))


def test_hard_masks_have_one_dice() -> None:
    p, y = bits(2, 3, 4, 5, seed=1), bits(2, 3, 4, 5)
    same(squared_dice(p, y), dice(p, y))
    for loss in (dice, jaccard, tversky):
        same(loss(p, y, squared=True), loss(p, y))


def test_only_the_squared_dice_is_smallest_at_a_soft_target() -> None:
    y = torch.full((1, 1, 8), 0.7, dtype=torch.float64)
    same(squared_dice(y, y), [[0.0]])
    same(dice(y, y, smooth=0.0), [[0.3]])


def test_log_cosh_dice_is_bounded() -> None:
    p, y = torch.zeros(1, 1, 9), torch.ones(1, 1, 9)
    assert log_cosh_dice(p, y, smooth=0.0).item() == pytest.approx(math.log(math.cosh(1)))


@pytest.mark.parametrize("loss", [tversky, focal_tversky])
def test_squared_tversky_stays_between_zero_and_one(loss: Callable[..., Tensor]) -> None:
    for p, y in itertools.product((0.0, 0.3, 0.7, 1.0), repeat=2):
        value = loss(
            torch.full((1, 1, 3), p), torch.full((1, 1, 3), y), fp=2.0, fn=0.1, squared=True
        )
        assert 0 <= value.item() <= 1
        assert p == y or value > 0


# --- shapes ---


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("space", [(), (6,), (3, 4), (2, 3, 2)])
def test_space_may_have_any_number_of_axes(
    loss: Callable[..., Tensor], space: tuple[int, ...]
) -> None:
    p, y = uniform(2, 3, *space), bits(2, 3, *space)
    flat = loss(p.reshape(2, 3, -1), y.reshape(2, 3, -1))
    assert flat.shape == (2, 3)
    same(loss(p, y), flat)


@pytest.mark.parametrize("over", ["image", "batch", "all"])
@pytest.mark.parametrize("background", [True, False])
def test_the_map_has_the_shape_of_its_type(over: Any, background: bool) -> None:
    sizes = {"B": 2, "C": 5, "C-1": 4}
    axes = map_type({"over": over, "background": background}).removeprefix("loss[").rstrip("]")
    expected = tuple(sizes[a] for a in axes.split(", ") if a)
    for loss in RATIOS:
        value = loss(uniform(2, 5, 3), bits(2, 5, 3), over=over, background=background)
        assert value.shape == expected
    assert map_type({}) == "loss[B, C]"


# --- masks ---


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("options", [{}, {"over": "batch"}, {"over": "all", "background": False}])
def test_masked_pixels_are_as_if_cut_out(
    loss: Callable[..., Tensor], options: dict[str, Any]
) -> None:
    p, y = uniform(2, 3, 8), bits(2, 3, 8)
    kept = torch.tensor([1.0, 0, 1, 1, 0, 0, 1, 1], dtype=torch.float64)
    expected = loss(p[..., kept > 0], y[..., kept > 0], **options)
    same(loss(p, y, mask=kept.expand(2, 1, 8), **options), expected)
    same(loss(p, y, mask=kept.expand(2, 3, 8), **options), expected)


@pytest.mark.parametrize("loss", RATIOS)
def test_what_is_masked_does_not_matter_even_if_it_is_no_number(
    loss: Callable[..., Tensor],
) -> None:
    p, y = uniform(2, 3, 8), bits(2, 3, 8)
    mask = bits(2, 1, 8, seed=9)
    value = loss(p, y, mask=mask)
    gone = (mask == 0).expand(2, 3, 8)
    broken = p.masked_fill(gone, math.nan).requires_grad_()
    same(loss(broken, y.masked_fill(gone, 255.0), mask=mask).detach(), value)
    (slope,) = torch.autograd.grad(loss(broken, y, mask=mask).sum(), broken)
    assert slope.isfinite().all()
    assert not slope[gone].any()


@pytest.mark.parametrize("loss", [*RATIOS, lovasz_softmax])
def test_a_mask_that_keeps_nothing_costs_nothing(loss: Callable[..., Tensor]) -> None:
    p = distribution(2, 3, 8).float().requires_grad_()
    y = labels(3, 2, 8) if loss is lovasz_softmax else bits(2, 3, 8).float()
    value = loss(p, y, mask=torch.zeros(2, 1, 8))
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert not value.any()
    assert not slope.any()


# --- extremes ---


def value_and_slope(
    loss: Callable[..., Tensor], p: Tensor, *targets: Tensor
) -> tuple[Tensor, Tensor]:
    p = p.clone().requires_grad_()
    value = loss(p, *targets)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    return value.detach(), slope


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("smooth", [0.0, SMOOTH])
def test_an_empty_mask_met_by_an_empty_prediction_costs_nothing(
    loss: Callable[..., Tensor], smooth: float
) -> None:
    empty = torch.zeros(1, 2, 9)
    value, slope = value_and_slope(partial(loss, smooth=smooth), empty, empty)
    assert not value.any()
    if smooth == 0:
        assert not slope.any()


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("smooth", [0.0, SMOOTH])
def test_false_alarms_on_an_empty_mask_cost_everything(
    loss: Callable[..., Tensor], smooth: float
) -> None:
    p = torch.full((1, 2, 9), 0.5)
    value, _ = value_and_slope(partial(loss, smooth=smooth), p, torch.zeros_like(p))
    worst = torch.full((1, 2), math.log(math.cosh(1)) if loss is log_cosh_dice else 1.0)
    torch.testing.assert_close(value, worst, rtol=1e-4, atol=0)


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("smooth", [0.0, SMOOTH])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_perfect_match_is_free(
    loss: Callable[..., Tensor], smooth: float, dtype: torch.dtype
) -> None:
    y = bits(2, 3, 50).to(dtype)
    value, slope = value_and_slope(partial(loss, smooth=smooth), y, y)
    assert not value.any()
    if loss in (log_cosh_dice, focal_tversky):
        assert not slope.any()
    elif loss is dice and smooth == 0:
        # Of 1 - 2 sum(py)/(sum p + sum y) at p = y.
        torch.testing.assert_close(slope, (0.5 - y) / y.sum(2, keepdim=True))


@pytest.mark.parametrize("loss", RATIOS)
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("size", [1, 37])
def test_every_extreme_is_finite(loss: Callable[..., Tensor], squared: bool, size: int) -> None:
    options = {} if loss is squared_dice else {"squared": squared}
    scores = [-1e4, -90.0, 0.0, 90.0, 1e4]
    for score, target, smooth in itertools.product(scores, (0.0, 0.5, 1.0), (0.0, SMOOTH)):
        p, y = torch.full((1, 1, size), score), torch.full((1, 1, size), target)
        form = partial(loss, smooth=smooth, **options)
        value_and_slope(lambda z, f=form, y=y: f(z.sigmoid(), y), p)


@pytest.mark.parametrize("gamma", [0.5, 4 / 3, 3.0, 50.0])
def test_the_focal_exponent_is_finite_near_a_perfect_match(gamma: float) -> None:
    y = bits(1, 1, 50).float()
    gammas = torch.tensor(gamma, requires_grad=True)
    for distance in (0.0, 1e-30, 1e-7, 1e-3):
        p = (y - distance).abs().requires_grad_()
        value = focal_tversky(p, y, gamma=gammas).sum()
        slopes = torch.autograd.grad(value, (p, gammas))
        assert value.isfinite()
        assert all(slope.isfinite().all() for slope in slopes)


# --- Lovasz ---


def lovasz_by_sets(p: Array, y: npt.NDArray[np.int64], absent_too: bool = False) -> float:
    """The definition: errors in falling order, each times the growth of the Jaccard loss of the
    set of pixels that are wrong so far. p is [C, N], y is [N]."""
    values = []
    for c in range(len(p)):
        truth = {i for i in range(len(y)) if y[i] == c}
        if not truth and not absent_too:
            continue
        errors = [abs((i in truth) - p[c, i]) for i in range(len(y))]
        wrong: set[int] = set()
        value = before = 0.0
        for i in np.argsort(errors)[::-1].tolist():
            wrong = wrong | {i}
            after = len(wrong) / len(truth | wrong)
            value += errors[i] * (after - before)
            before = after
        values.append(value)
    return sum(values) / len(values) if values else 0.0


@pytest.mark.parametrize("classes", ["present", "all"])
def test_lovasz_is_the_extension_of_the_jaccard_loss(classes: Any) -> None:
    p, y = distribution(3, 4, 7), labels(3, 3, 7)  # class 3 never occurs
    y[0] = 1
    absent_too = classes == "all"
    joined = p.transpose(0, 1).reshape(4, -1).numpy()
    expected = lovasz_by_sets(joined, y.flatten().numpy(), absent_too)
    same(lovasz_softmax(p, y, classes=classes), expected)
    each = [lovasz_by_sets(p[b].numpy(), y[b].numpy(), absent_too) for b in range(3)]
    same(lovasz_softmax(p, y, classes=classes, per_image=True), np.mean(each))


@pytest.mark.parametrize("space", [(), (7,), (2, 3), (2, 1, 3)])
def test_lovasz_takes_any_space(space: tuple[int, ...]) -> None:
    p, y = distribution(4, 3, *space), labels(3, 4, *space)
    joined = p.transpose(0, 1).reshape(3, -1).numpy()
    same(lovasz_softmax(p, y), lovasz_by_sets(joined, y.flatten().numpy()))


def test_lovasz_of_hard_predictions_is_one_minus_the_mean_iou() -> None:
    y, guess = labels(4, 2, 30), labels(4, 2, 30, seed=8)
    p = F.one_hot(guess, 4).movedim(-1, 1).double()
    iou = sklearn.metrics.jaccard_score(y.flatten(), guess.flatten(), average="macro")
    same(lovasz_softmax(p, y), 1 - iou)


@pytest.mark.parametrize("classes", ["present", "all"])
def test_lovasz_leaves_masked_pixels_out(classes: Any) -> None:
    p, y, mask = distribution(3, 4, 9), labels(4, 3, 9), bits(3, 1, 9, seed=9)
    mask[1] = 0
    kept = mask[:, 0] > 0
    absent_too = classes == "all"
    joined = p.movedim(1, 0)[:, kept].numpy()
    expected = lovasz_by_sets(joined, y[kept].numpy(), absent_too)
    same(lovasz_softmax(p, y, classes=classes, mask=mask), expected)
    each = [
        lovasz_by_sets(p[b][:, kept[b]].numpy(), y[b][kept[b]].numpy(), absent_too)
        for b in range(3)
    ]
    same(lovasz_softmax(p, y, classes=classes, mask=mask, per_image=True), np.mean(each))


def test_lovasz_keeps_its_digits_on_large_images() -> None:
    # All wrong by e: every pixel's growth counts, and together they are the whole loss.
    size, error = 1 << 20, 0.25
    y = (torch.arange(size) % 2).unsqueeze(0)
    own = torch.full((1, 1, size), 1 - error)
    p = torch.where(F.one_hot(y, 2).movedim(-1, 1).bool(), own, error).requires_grad_()
    value = lovasz_softmax(p, y)
    (slope,) = torch.autograd.grad(value, p)
    torch.testing.assert_close(value.detach(), torch.tensor(error), rtol=1e-5, atol=0)
    # A class's own pixels grow its loss by one over a union that lies between half and all.
    assert (slope[0, 0, ::2].abs() >= 0.5 / size).all()
    assert (slope[0, 0, ::2].abs() <= 1.0001 / size).all()


def test_lovasz_at_its_extremes() -> None:
    y = torch.tensor([[0, 1, 1]])
    right = torch.tensor([[[1e4, -1e4, -1e4], [-1e4, 1e4, 1e4]]])
    value, slope = value_and_slope(lambda z: lovasz_softmax(z.softmax(1), y), right)
    assert value == 0
    assert not slope.any()
    value, _ = value_and_slope(lambda z: lovasz_softmax(z.softmax(1), y), -right)
    assert value == 1
    for classes in ("present", "all"):
        value_and_slope(
            lambda z, c=classes: lovasz_softmax(z.softmax(1), y, classes=c), torch.zeros(1, 2, 3)
        )


# --- derivatives ---


def test_gradients_are_derivatives() -> None:
    p, y = uniform(2, 3, 4).requires_grad_(), uniform(2, 3, 4, seed=1).requires_grad_()
    smooth = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    mask = bits(2, 1, 4, seed=9)
    check = torch.autograd.gradcheck
    for loss in RATIOS:
        assert check(lambda p, y, s, f=loss: f(p, y, smooth=s), (p, y, smooth))
        assert check(lambda p, y, f=loss: f(p, y, over="batch", mask=mask), (p, y))
    for squared in (dice, log_cosh_dice, jaccard):
        assert check(lambda p, y, f=squared: f(p, y, squared=True), (p, y))
    numbers = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.4, 0.9, 1.7)]
    assert check(
        lambda p, y, fp, fn, gamma: focal_tversky(p, y, fp=fp, fn=fn, gamma=gamma),
        (p, y, *numbers),
    )
    scores = distribution(2, 3, 4).requires_grad_()
    assert check(lambda p: lovasz_softmax(p, labels(3, 2, 4)), (scores,))


# --- compilation ---


@pytest.mark.parametrize("loss", RATIOS)
def test_ratios_compile_in_one_graph(loss: Callable[..., Tensor]) -> None:
    torch._dynamo.reset()

    def several(p: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        plain = loss(p, y).sum() + loss(p, y, over="batch", background=False).sum()
        return plain + loss(p, y, mask=mask).sum()

    compiled = torch.compile(several, backend="aot_eager", fullgraph=True)
    for batch in (4, 3):
        p = uniform(batch, 3, 5).requires_grad_()
        y, mask = bits(batch, 3, 5), bits(batch, 1, 5, seed=9)
        value, expected = compiled(p, y, mask), several(p, y, mask)
        same(value.detach(), expected.detach())
        (slope,) = torch.autograd.grad(value, p)
        same(slope, torch.autograd.grad(expected, p)[0])


@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_compiles_in_one_graph(per_image: bool) -> None:
    torch._dynamo.reset()
    loss = partial(lovasz_softmax, per_image=per_image)
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (4, 3):
        p = distribution(batch, 3, 5).requires_grad_()
        y, mask = labels(3, batch, 5), bits(batch, 1, 5, seed=9)
        value, expected = compiled(p, y, mask=mask), loss(p, y, mask=mask)
        same(value.detach(), expected.detach())
        (slope,) = torch.autograd.grad(value, p)
        same(slope, torch.autograd.grad(expected, p)[0])


# --- records ---


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples = record(name).examples
    assert examples
    for example in examples:
        tree = ast.parse(example.text, mode="eval").body
        assert isinstance(tree, ast.Call)
        keywords = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg}
        y = torch.tensor(example.inputs["y"])
        p = torch.tensor(example.inputs["p"], dtype=torch.float64)
        value = record(name).function(p, y, **keywords).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)


def test_the_family_is_complete() -> None:
    assert tuple(n for n in NAMES if record(n).family == "overlap") == NAMES
    assert find("soft_iou") is find("jaccard")
    for name in NAMES:
        found = record(name)
        assert found.function is (lovasz_softmax if name == "lovasz_softmax" else RATIO[name])
        assert found.mask == "inside"
        assert all(p.range is not None for p in found.parameters if p.may_be_tensor)
        if name != "lovasz_softmax":
            assert found.class_weight == "classes"
            assert [o.function for o in found.overloads] == [found.function] * 2
            assert all(o.result is map_type for o in found.overloads)
