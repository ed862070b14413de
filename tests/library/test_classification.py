"""Classification losses: against PyTorch, SciPy, scikit-learn and the papers' sums, and at
probabilities of exactly 0 and 1."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library import classification, margins, relative_entropy
from lossdsl.library.classification import (
    bce,
    bce_of_prob,
    ce,
    ce_of_prob,
    focal,
    focal_of_prob,
    poly1,
    poly1_of_prob,
    soft_ce,
    soft_ce_of_prob,
    softmax_focal,
    softmax_focal_of_prob,
)
from lossdsl.library.margins import hinge
from lossdsl.library.record import LossRecord
from lossdsl.library.registry import find
from lossdsl.library.relative_entropy import js, kl_div, kl_div_of_prob

NAMES = ("bce", "ce", "focal", "softmax_focal", "kl_div", "js", "hinge", "poly1")

Loss = Callable[..., Tensor]

ELEMENTWISE: tuple[Loss, ...] = (bce, bce_of_prob, focal, focal_of_prob)
WITH_LABELS: tuple[Loss, ...] = (
    ce,
    ce_of_prob,
    softmax_focal,
    softmax_focal_of_prob,
    poly1,
    poly1_of_prob,
)
WITH_TARGET_DISTRIBUTION: tuple[Loss, ...] = (soft_ce, soft_ce_of_prob, kl_div, kl_div_of_prob, js)
OF_PROBABILITY: tuple[Loss, ...] = (
    bce_of_prob,
    focal_of_prob,
    ce_of_prob,
    softmax_focal_of_prob,
    poly1_of_prob,
    soft_ce_of_prob,
    kl_div_of_prob,
    js,
)


def record(name: str) -> LossRecord:
    found = find(name)
    assert found is not None
    return found


def normal(*shape: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def distribution(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed, scale=1.0).softmax(1)


def labels(classes: int, *shape: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, shape, generator=generator)


def same(actual: Tensor, expected: Any, rtol: float = 1e-12) -> None:
    torch.testing.assert_close(
        actual, torch.as_tensor(expected, dtype=torch.float64), rtol=rtol, atol=1e-13
    )


def delivered(loss: Loss, logits: Tensor) -> Tensor:
    """What the compiler hands over for these logits: log-probabilities or probabilities."""
    if loss in (*ELEMENTWISE, hinge):
        return logits.sigmoid() if loss in OF_PROBABILITY else logits
    return logits.softmax(1) if loss in OF_PROBABILITY else logits.log_softmax(1)


# --- binary ---


@pytest.mark.parametrize("pos_weight", [1.0, 0.3, 4.0])
def test_bce_is_that_of_pytorch(pos_weight: float) -> None:
    p, y = normal(4, 3, 5, seed=1), uniform(4, 3, 5)
    expected = F.binary_cross_entropy_with_logits(
        p, y, reduction="none", pos_weight=torch.tensor(pos_weight, dtype=torch.float64)
    )
    same(bce(p, y, pos_weight=pos_weight), expected)
    same(bce_of_prob(p.sigmoid(), y, pos_weight=pos_weight), expected)


def test_bce_of_probabilities_is_the_log_loss() -> None:
    q, y = uniform(50, seed=1), labels(2, 50)
    expected = sklearn.metrics.log_loss(y, q)
    same(bce_of_prob(q, y.double()).mean(), expected)
    same(F.binary_cross_entropy(q, y.double()), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.7])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
def test_focal_is_the_papers_formula(gamma: float, alpha: float | None) -> None:
    z, y = normal(30, seed=1), labels(2, 30)
    expected = []
    for logit, target in zip(z.tolist(), y.tolist(), strict=True):
        probability = 1 / (1 + math.exp(-logit))
        p_t = probability if target else 1 - probability
        alpha_t = 1.0 if alpha is None else (alpha if target else 1 - alpha)
        expected.append(-alpha_t * (1 - p_t) ** gamma * math.log(p_t))
    same(focal(z, y.double(), alpha=alpha, gamma=gamma), expected)
    same(focal_of_prob(z.sigmoid(), y.double(), alpha=alpha, gamma=gamma), expected)


def test_a_soft_target_mixes_the_losses_of_the_hard_ones() -> None:
    z, y = normal(30, seed=1), uniform(30)
    zero, one = torch.zeros_like(y), torch.ones_like(y)
    for loss in ELEMENTWISE:
        p = delivered(loss, z)
        same(loss(p, y), y * loss(p, one) + (1 - y) * loss(p, zero))


def test_hinge_is_that_of_scikit_learn() -> None:
    score, y = normal(40, seed=1), 2 * labels(2, 40) - 1
    same(hinge(score, y.double()).mean(), sklearn.metrics.hinge_loss(y, score))
    same(hinge(score, y.double(), margin=0.0), np.maximum(0, -(y * score).numpy()))


# --- labels ---


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("space", [(), (5,), (2, 3)])
def test_ce_is_that_of_pytorch(
    label_smoothing: float, weighted: bool, space: tuple[int, ...]
) -> None:
    z, y = normal(6, 4, *space, seed=1), labels(4, 6, *space)
    weight = torch.tensor([1.0, 0.2, 3.0, 0.0], dtype=torch.float64) if weighted else None
    expected = F.cross_entropy(
        z, y, weight=weight, label_smoothing=label_smoothing, reduction="none"
    )
    options: dict[str, Any] = {"label_smoothing": label_smoothing, "class_weight": weight}
    same(ce(z.log_softmax(1), y, **options), expected)
    same(ce_of_prob(z.softmax(1), y, **options), expected)
    moving = {**options, "label_smoothing": torch.tensor(label_smoothing, dtype=torch.float64)}
    same(ce(z.log_softmax(1), y, **moving), expected)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("space", [(), (2, 3)])
def test_ce_of_a_target_distribution_is_that_of_pytorch(
    label_smoothing: float, weighted: bool, space: tuple[int, ...]
) -> None:
    z, y = normal(6, 4, *space, seed=1), distribution(6, 4, *space, seed=2)
    weight = torch.tensor([1.0, 0.2, 3.0, 0.0], dtype=torch.float64) if weighted else None
    expected = F.cross_entropy(
        z, y, weight=weight, label_smoothing=label_smoothing, reduction="none"
    )
    options: dict[str, Any] = {"label_smoothing": label_smoothing, "class_weight": weight}
    same(soft_ce(z.log_softmax(1), y, **options), expected)
    same(soft_ce_of_prob(z.softmax(1), y, **options), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_softmax_focal_is_the_formula(gamma: float) -> None:
    z, y = normal(5, 3, 4, seed=1), labels(3, 5, 4)
    q = scipy.special.softmax(z.numpy(), axis=1)
    expected = np.empty((5, 4))
    for n, i in np.ndindex(5, 4):
        own = q[n, int(y[n, i]), i]
        expected[n, i] = -((1 - own) ** gamma) * math.log(own)
    same(softmax_focal(z.log_softmax(1), y, gamma=gamma), expected)
    same(softmax_focal_of_prob(z.softmax(1), y, gamma=gamma), expected)


@pytest.mark.parametrize("eps", [-1.0, 1.0, 2.5])
def test_poly1_adds_to_the_first_coefficient(eps: float) -> None:
    z, y = normal(5, 3, 4, seed=1, scale=1.0), labels(3, 5, 4)
    own = scipy.special.softmax(z.numpy(), axis=1)
    own = np.take_along_axis(own, y.unsqueeze(1).numpy(), 1)[:, 0]
    # The paper's series of cross entropy, sum of (1 - q)^j / j, with its first term changed.
    j = np.arange(1, 6000)
    missing = (1 - own)[..., None]
    series = (missing**j / j).sum(-1) + eps * missing[..., 0]
    same(poly1(z.log_softmax(1), y, eps=eps), series, rtol=1e-11)
    same(poly1_of_prob(z.softmax(1), y, eps=eps), series, rtol=1e-11)


# --- distributions ---


def test_kl_div_is_that_of_scipy_and_pytorch() -> None:
    z, y = normal(6, 4, seed=1), distribution(6, 4, seed=2)
    y[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    expected = scipy.special.rel_entr(y.numpy(), z.softmax(1).numpy()).sum(1)
    for value in (kl_div(z.log_softmax(1), y), kl_div_of_prob(z.softmax(1), y)):
        same(value, expected)
        same(value.mean(), F.kl_div(z.log_softmax(1), y, reduction="batchmean"))


def test_js_is_the_square_of_scipys_distance() -> None:
    p, y = distribution(6, 4, seed=1), distribution(6, 4, seed=2)
    p[0] = torch.tensor([0.0, 0.5, 0.5, 0.0])
    y[0] = torch.tensor([0.0, 0.0, 0.3, 0.7])
    expected = scipy.spatial.distance.jensenshannon(p.numpy(), y.numpy(), axis=1) ** 2
    same(js(p, y), expected)
    same(js(y, p), expected)


# --- identities ---


def test_focal_without_focus_is_bce() -> None:
    z, y = normal(30, seed=1), uniform(30)
    same(focal(z, y, alpha=None, gamma=0), bce(z, y))
    same(focal(z, y, alpha=0.5, gamma=0), 0.5 * bce(z, y))
    q = z.sigmoid()
    same(focal_of_prob(q, y, alpha=None, gamma=0), bce_of_prob(q, y))


def test_softmax_focal_and_poly1_contain_cross_entropy() -> None:
    z, y = normal(5, 3, 4, seed=1), labels(3, 5, 4)
    for focused, poly, plain in (
        (softmax_focal, poly1, ce),
        (softmax_focal_of_prob, poly1_of_prob, ce_of_prob),
    ):
        p = delivered(plain, z)
        same(focused(p, y, gamma=0), plain(p, y))
        same(poly(p, y, eps=0), plain(p, y))


def test_a_one_hot_target_is_a_label() -> None:
    z, y = normal(5, 3, 4, seed=1).log_softmax(1), labels(3, 5, 4)
    one_hot = F.one_hot(y, 3).movedim(-1, 1).double()
    weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    options: dict[str, Any] = {"label_smoothing": 0.2, "class_weight": weight}
    same(soft_ce(z, one_hot, **options), ce(z, y, **options))
    same(kl_div(z, one_hot), ce(z, y))


def test_kl_div_is_cross_entropy_less_entropy() -> None:
    z, y = normal(6, 4, seed=1).log_softmax(1), distribution(6, 4, seed=2)
    same(kl_div(z, y), soft_ce(z, y).numpy() - scipy.stats.entropy(y.numpy(), axis=1))


def test_bce_is_the_logistic_loss_of_signs() -> None:
    z, y = normal(30, seed=1), labels(2, 30).double()
    same(bce(z, y), np.logaddexp(0, -((2 * y - 1) * z).numpy()))


def test_two_classes_of_a_softmax_are_a_sigmoid_of_the_difference() -> None:
    z, y = normal(30, 2, seed=1), labels(2, 30)
    difference = z[:, 1] - z[:, 0]
    same(ce(z.log_softmax(1), y), bce(difference, y.double()))
    same(softmax_focal(z.log_softmax(1), y), focal(difference, y.double(), alpha=None))


# --- extremes ---


def finite_with_gradient(loss: Loss, p: Tensor, *targets: Tensor) -> Tensor:
    p = p.clone().requires_grad_()
    value = loss(p, *targets)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    return slope


PARAMETERS: dict[Loss, list[dict[str, Any]]] = {
    bce: [{}, {"pos_weight": 5.0}],
    focal: [{}, {"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 5.0, "alpha": None}],
    ce: [{}, {"label_smoothing": 0.1}],
    softmax_focal: [{}, {"gamma": 0.0}, {"gamma": 0.1}, {"gamma": 5.0}],
    poly1: [{}, {"eps": -1.0}],
    soft_ce: [{}, {"label_smoothing": 0.1}],
}
PARAMETERS[bce_of_prob] = PARAMETERS[bce]
PARAMETERS[focal_of_prob] = PARAMETERS[focal]
PARAMETERS[ce_of_prob] = PARAMETERS[ce]
PARAMETERS[softmax_focal_of_prob] = PARAMETERS[softmax_focal]
PARAMETERS[poly1_of_prob] = PARAMETERS[poly1]
PARAMETERS[soft_ce_of_prob] = PARAMETERS[soft_ce]


def forms(losses: tuple[Loss, ...]) -> list[Loss]:
    return [partial(f, **options) for f in losses for options in PARAMETERS.get(f, [{}])]


def core(loss: Loss) -> Loss:
    return loss.func if isinstance(loss, partial) else loss


@pytest.mark.parametrize("loss", forms(ELEMENTWISE))
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_binary_losses_are_finite_at_every_score(loss: Loss, target: float) -> None:
    z = torch.tensor([-1e4, -200.0, -17.0, 0.0, 17.0, 200.0, 1e4])
    finite_with_gradient(loss, delivered(core(loss), z), torch.full_like(z, target))
    if core(loss) in OF_PROBABILITY:
        q = torch.tensor([0.0, 1e-40, 1e-20, 0.5, 1 - 6e-8, 1.0])
        finite_with_gradient(loss, q, torch.full_like(q, target))


@pytest.mark.parametrize("loss", forms(WITH_LABELS))
@pytest.mark.parametrize("batch", [1, 3])
def test_class_losses_are_finite_at_every_score(loss: Loss, batch: int) -> None:
    z = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0], [-1e4, -1e4, -1e4]])[:batch]
    for label in range(3):
        y = torch.full((batch,), label)
        finite_with_gradient(lambda z, y=y: loss(delivered(core(loss), z), y), z)
        if core(loss) in OF_PROBABILITY:
            finite_with_gradient(loss, z.softmax(1), y)


@pytest.mark.parametrize("loss", forms(WITH_TARGET_DISTRIBUTION))
@pytest.mark.parametrize("batch", [1, 3])
def test_divergences_are_finite_at_every_score(loss: Loss, batch: int) -> None:
    z = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0], [-1e4, -1e4, -1e4]])[:batch]
    for y in (*torch.eye(3), torch.tensor([0.5, 0.5, 0.0])):
        y = y.expand(batch, 3)
        finite_with_gradient(lambda z, y=y: loss(delivered(core(loss), z), y), z)
        finite_with_gradient(lambda y, z=z: loss(delivered(core(loss), z), y), y)
        if core(loss) in OF_PROBABILITY:
            finite_with_gradient(loss, z.softmax(1), y)


def test_the_gradient_at_a_score_of_zero() -> None:
    y = torch.tensor([0.0, 1.0, 0.25], dtype=torch.float64)
    z = torch.zeros(3, dtype=torch.float64)
    same(finite_with_gradient(bce, z, y), 0.5 - y)
    weighted = finite_with_gradient(partial(bce, pos_weight=3.0), z, y)
    same(weighted, 0.5 * (1 - y) - 1.5 * y)
    # Of -(1 - s)² log s at s = 1/2, with ds/dz = 1/4, and its mirror image.
    unit = 0.25 * (math.log(2) + 0.5)
    focused = finite_with_gradient(partial(focal, alpha=None), z, y)
    same(focused, unit * (1 - 2 * y))


def test_wrong_and_certain_scores_keep_their_gradient() -> None:
    z, y = torch.tensor([-1e4, 1e4]), torch.tensor([1.0, 0.0])
    assert bce(z, y).tolist() == [1e4, 1e4]
    assert finite_with_gradient(bce, z, y).tolist() == [-1, 1]
    both = torch.tensor([[1e4, -1e4]])
    slope = finite_with_gradient(lambda z: ce(z.log_softmax(1), torch.tensor([1])), both)
    assert slope.tolist() == [[1, -1]]


def test_right_and_nearly_certain_scores_keep_their_digits() -> None:
    z = torch.tensor([-40.0, 40.0], dtype=torch.float32)
    y = torch.tensor([0.0, 1.0])
    value = bce(z, y)
    torch.testing.assert_close(value, torch.full((2,), math.exp(-40)), rtol=1e-6, atol=0)
    slope = finite_with_gradient(bce, z, y)
    torch.testing.assert_close(slope, torch.tensor([1.0, -1.0]) * math.exp(-40), rtol=1e-6, atol=0)


def test_probabilities_of_zero_and_one_are_bounded_as_in_pytorch() -> None:
    q = torch.tensor([0.0, 1e-20, 1.0, 1.0])
    y = torch.tensor([1.0, 1.0, 0.0, 1.0])
    torch.testing.assert_close(bce_of_prob(q, y), F.binary_cross_entropy(q, y, reduction="none"))
    slope = finite_with_gradient(bce_of_prob, q, y)
    torch.testing.assert_close(slope, torch.tensor([-1e12, -1e12, 1e12, -1.0]))
    right = finite_with_gradient(bce_of_prob, torch.tensor([0.0]), torch.tensor([0.0]))
    assert right.tolist() == [1]


def test_probabilities_that_rounding_took_out_of_range_are_ones_and_zeros() -> None:
    q, y = torch.tensor([1 + 1e-7, -1e-9]), torch.tensor([0.0, 1.0])
    for loss in (bce_of_prob, partial(focal_of_prob, alpha=None, gamma=1.5)):
        finite_with_gradient(loss, q, y)
        torch.testing.assert_close(loss(q, y), torch.tensor([100.0, 100.0]), rtol=1e-3, atol=0)


def test_a_perfect_match_costs_nothing_and_pulls_nowhere() -> None:
    z = torch.tensor([[1e4, -1e4, 0.0], [0.0, 1e4, 0.0]])
    y = torch.tensor([0, 1])
    for loss in WITH_LABELS:

        def whole(z: Tensor, loss: Loss = loss) -> Tensor:
            return loss(delivered(loss, z), y)

        assert whole(z).tolist() == [0, 0]
        assert not finite_with_gradient(whole, z).any()


def test_equal_distributions_cost_nothing_and_pull_nowhere() -> None:
    z = normal(4, 5, seed=1)
    y = z.softmax(1)
    for loss in (kl_div, kl_div_of_prob, js):

        def whole(z: Tensor, loss: Loss = loss) -> Tensor:
            return loss(delivered(loss, z), y)

        same(whole(z), torch.zeros(4))
        same(finite_with_gradient(whole, z), torch.zeros(4, 5))


def test_js_is_never_below_zero() -> None:
    p = normal(2000, 5, seed=1).float()
    y = p + 1e-4 * normal(2000, 5, seed=2).float()
    value = js(p.softmax(1), y.softmax(1))
    assert (value >= 0).all()
    assert (value <= math.log(2)).all()


def test_js_keeps_its_gradient_where_rounding_hides_its_value() -> None:
    p = distribution(200, 5, seed=1)
    y = (p.log() + 1e-4 * normal(200, 5, seed=2)).softmax(1).float()
    exact = finite_with_gradient(js, p.float().double(), y.double())
    slope = finite_with_gradient(js, p.float(), y)
    torch.testing.assert_close(slope.double(), exact, rtol=0, atol=5e-7)
    assert (exact.abs() > 5e-6).float().mean() > 0.9


def test_without_focus_the_gradient_is_that_of_ce_at_full_confidence() -> None:
    z, y = torch.tensor([[0.0, -18.0]]), torch.tensor([0])
    plain = finite_with_gradient(lambda z: ce(z.log_softmax(1), y), z)
    assert plain[0, 1] > 1e-8
    for gamma in (0.0, torch.tensor(0.0)):
        focused = finite_with_gradient(
            lambda z, g=gamma: softmax_focal(z.log_softmax(1), y, gamma=g), z
        )
        assert torch.equal(focused, plain)


def test_disjoint_distributions_are_log_2_apart() -> None:
    p = torch.eye(3, dtype=torch.float64)
    same(js(p, p.roll(1, 0)), [math.log(2)] * 3)
    finite_with_gradient(js, p, p.roll(1, 0))


def test_a_class_that_is_masked_out_costs_nothing() -> None:
    z = torch.tensor([[0.0, -math.inf, 0.0]])
    label, target = torch.tensor([0]), torch.tensor([[0.5, 0.0, 0.5]])
    for loss, y in ((ce, label), (softmax_focal, label), (soft_ce, target), (kl_div, target)):
        finite_with_gradient(lambda z, f=loss, y=y: f(z.log_softmax(1), y), z)
    torch.testing.assert_close(soft_ce(z.log_softmax(1), target), torch.tensor([math.log(2)]))


def test_on_the_margin_the_gradient_is_zero() -> None:
    slope = finite_with_gradient(hinge, torch.tensor([1.0, -1.0]), torch.tensor([1.0, -1.0]))
    assert not slope.any()
    finite_with_gradient(hinge, torch.tensor([1e4, -1e4]), torch.tensor([-1.0, -1.0]))


# --- derivatives ---


def test_gradients_of_binary_losses_are_derivatives() -> None:
    z, y = normal(4, 5, seed=1).requires_grad_(), uniform(4, 5).requires_grad_()
    q = z.detach().sigmoid().requires_grad_()
    number = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    for weighted, p in ((bce, z), (bce_of_prob, q)):
        assert check(lambda p, y, n, f=weighted: f(p, y, pos_weight=n), (p, y, number))
    for focused, p in ((focal, z), (focal_of_prob, q)):
        assert check(lambda p, y, n, f=focused: f(p, y, alpha=n, gamma=3 * n), (p, y, number))
    assert check(lambda p, n: hinge(p, y.detach().round() * 2 - 1, margin=n), (z, number))


def test_gradients_of_class_losses_are_derivatives() -> None:
    z, y = normal(3, 4, 2, seed=1), labels(4, 3, 2)
    target = distribution(3, 4, 2, seed=2).requires_grad_()
    number = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    names = {ce: "label_smoothing", softmax_focal: "gamma", poly1: "eps"}
    names |= {ce_of_prob: "label_smoothing", softmax_focal_of_prob: "gamma"}
    names |= {poly1_of_prob: "eps"}
    for loss in WITH_LABELS:
        p = delivered(loss, z).requires_grad_()
        assert check(lambda p, n, f=loss: f(p, y, **{names[f]: n}), (p, number))
    for loss in WITH_TARGET_DISTRIBUTION:
        p = delivered(loss, z).requires_grad_()
        assert check(loss, (p, target))


def test_the_focal_exponent_can_be_learnt_at_a_perfect_match() -> None:
    gamma = torch.tensor(0.5, requires_grad=True)
    z = torch.tensor([[1e4, -1e4]])
    for loss in (softmax_focal, softmax_focal_of_prob):
        value = loss(delivered(loss, z), torch.tensor([0]), gamma=gamma).sum()
        (slope,) = torch.autograd.grad(value, gamma)
        assert slope == 0
    for loss in (focal, focal_of_prob):
        value = loss(delivered(loss, z), torch.tensor([[1.0, 0.0]]), gamma=gamma).sum()
        (slope,) = torch.autograd.grad(value, gamma)
        assert slope.isfinite()


# --- compilation ---


@pytest.mark.parametrize("loss", [*ELEMENTWISE, *WITH_LABELS, *WITH_TARGET_DISTRIBUTION, hinge])
def test_compiles_in_one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (4, 3):
        p = delivered(loss, normal(batch, 3, 5, seed=1)).requires_grad_()
        y = distribution(batch, 3, 5, seed=2)
        if loss in WITH_LABELS:
            y = labels(3, batch, 5)
        value, expected = compiled(p, y), loss(p, y)
        same(value.detach(), expected.detach())
        (slope,) = torch.autograd.grad(value.sum(), p)
        same(slope, torch.autograd.grad(expected.sum(), p)[0])


def test_class_weights_and_smoothing_compile_in_one_graph() -> None:
    torch._dynamo.reset()
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)

    def both(p: Tensor, y: Tensor, target: Tensor) -> Tensor:
        options: dict[str, Any] = {"label_smoothing": 0.1, "class_weight": weight}
        return ce(p, y, **options) + soft_ce(p, target, **options)

    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    for batch in (4, 3):
        z = normal(batch, 3, 5, seed=1).log_softmax(1)
        y, target = labels(3, batch, 5), distribution(batch, 3, 5, seed=2)
        same(compiled(z, y, target), both(z, y, target))


# --- records ---


def call(example: str, inputs: dict[str, Any], record: LossRecord) -> Tensor:
    """Evaluate `name(a, b, k=literal)`; `prob(a)` or `class_prob(a)` asks for that overload."""
    tree = ast.parse(example, mode="eval").body
    assert isinstance(tree, ast.Call)
    first, *rest = (ast.unparse(a) for a in tree.args)
    kind, _, name = first.rstrip(")").rpartition("(")
    form = next(o for o in record.overloads if o.signature.startswith(kind))
    slot = form.signature.split("[")[0]
    p = torch.tensor(inputs[name], dtype=torch.float64)
    if not kind and slot.endswith("class_log_prob"):
        p = p.log_softmax(1)
    targets = [torch.tensor(inputs[name]) for name in rest]
    keywords = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg}
    return form.function(p, *targets, **keywords)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples = record(name).examples
    assert examples
    for example in examples:
        value = call(example.text, dict(example.inputs), record(name)).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)


def test_the_family_is_complete() -> None:
    assert tuple(n for n in NAMES if record(n).family == "classification") == NAMES
    assert find("binary_cross_entropy") is find("bce")
    assert find("cross_entropy") is find("ce")
    assert find("softmax_cross_entropy") is find("ce")
    homes = {"hinge": margins, "js": relative_entropy, "kl_div": relative_entropy}
    for name in NAMES:
        assert record(name).function is getattr(homes.get(name, classification), name)
        assert all(p.range is not None for p in record(name).parameters if p.may_be_tensor)


def test_preferred_kinds_come_first() -> None:
    def order(name: str) -> list[str]:
        return [overload.signature for overload in record(name).overloads]

    assert [s.split("[")[0] for s in order("bce")] == ["logits", "prob"]
    assert [s.split("[")[0] for s in order("js")] == ["class_prob", "class_logits|class_prob"]
    assert ["labels" in s for s in order("ce")] == [True, True, False, False]
    assert order("ce")[0].startswith("class_logits|class_log_prob[B, C, *S]")
