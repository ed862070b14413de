"""Feature maps: the papers' formulas in NumPy, and how the normalisations are related."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform
from torch import Tensor

import lossdsl
from lossdsl.library.image import perceptual
from lossdsl.library.layers import content, contextual, feature_matching, lpips, style

Loss = Callable[..., Tensor]
NAMES = ("content", "style", "feature_matching", "lpips", "contextual")
MAPS = [normal(2, 3, 4, 5, seed=1), normal(2, 6, 2, 3, seed=2)]
OTHERS = [normal(2, 3, 4, 5, seed=3), normal(2, 6, 2, 3, seed=4)]
WEIGHTS = uniform(9, seed=5)


def grams(maps: Tensor) -> np.ndarray:
    flat = maps.flatten(2).numpy()
    return np.einsum("bim,bjm->bij", flat, flat)


@pytest.mark.parametrize("weights", [None, [0.2, 1.5]])
def test_style_is_the_papers(weights: list[float] | None) -> None:
    gatys, johnson = 0.0, 0.0
    for ours, theirs, weight in zip(MAPS, OTHERS, weights or [1.0, 1.0], strict=True):
        n, m = ours.shape[1], ours[0, 0].numel()
        square = ((grams(ours) - grams(theirs)) ** 2).sum((1, 2))
        gatys = gatys + weight * square / (4 * n**2 * m**2)
        johnson = johnson + weight * square / (n * m) ** 2
    same(style(MAPS, OTHERS, weights=weights, scale="gatys"), gatys)
    same(style(MAPS, OTHERS, weights=weights), johnson)


def test_the_scales_of_style_are_factors() -> None:
    for ours, theirs in zip(MAPS, OTHERS, strict=True):
        value = style([ours], [theirs])
        same(style([ours], [theirs], scale="gatys"), value / 4)
        same(style([ours], [theirs], scale="mean"), value / ours.shape[1] ** 2)


def test_style_does_not_know_places_nor_sizes() -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    moved = MAPS[0].flatten(2)[..., order].reshape(MAPS[0].shape)
    same(style([moved], [MAPS[0]]), torch.zeros(2), atol=1e-25)
    twice = torch.cat([MAPS[0], MAPS[0]], 2)
    same(style([twice], [MAPS[0]]), torch.zeros(2), atol=1e-25)


def test_content_is_half_a_sum_of_squares() -> None:
    expected = 0.5 * ((MAPS[0] - OTHERS[0]).numpy() ** 2).sum((1, 2, 3))
    same(content(MAPS[0], OTHERS[0]), expected)


def test_feature_matching_is_a_mean_of_each_layer() -> None:
    means = [np.abs((a - b).numpy()).mean((1, 2, 3)) for a, b in zip(MAPS, OTHERS, strict=True)]
    same(feature_matching(MAPS, OTHERS), means[0] + means[1])
    same(feature_matching(MAPS, OTHERS, weights=[2.0, 0.5]), 2 * means[0] + 0.5 * means[1])
    same(feature_matching(MAPS, OTHERS), perceptual(MAPS, OTHERS, p="l1"))


@pytest.mark.parametrize("weighted", [False, True])
def test_lpips_is_the_papers(weighted: bool) -> None:
    total, start = np.zeros(2), 0
    for ours, theirs in zip(MAPS, OTHERS, strict=True):
        a, b = ours.numpy(), theirs.numpy()
        a = a / np.linalg.norm(a, axis=1, keepdims=True)
        b = b / np.linalg.norm(b, axis=1, keepdims=True)
        channels = ours.shape[1]
        own = WEIGHTS[start : start + channels].numpy() if weighted else np.ones(channels)
        total += np.einsum("c,bchw->bhw", own, (a - b) ** 2).mean((1, 2))
        start += channels
    same(lpips(MAPS, OTHERS, WEIGHTS if weighted else None), total)


@pytest.mark.parametrize("bandwidth", [0.1, 0.5])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_contextual_is_the_papers(bandwidth: float, eps: float) -> None:
    p, y = MAPS[0].flatten(2).numpy(), OTHERS[0].flatten(2).numpy()
    mean = y.mean((0, 2))[:, None]
    expected = []
    for a, b in zip(p - mean, y - mean, strict=True):
        a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
        distance = 1 - a.T @ b
        relative = distance / (distance.min(1, keepdims=True) + eps)
        near = np.exp((1 - relative) / bandwidth)
        share = near / near.sum(1, keepdims=True)
        expected.append(-math.log(share.max(0).mean()))
    same(contextual(MAPS[0], OTHERS[0], bandwidth=bandwidth, eps=eps), expected, rtol=1e-9)


def test_equal_images_are_in_the_same_context() -> None:
    assert (contextual(MAPS[0], MAPS[0]) < 1e-6).all()
    assert (contextual(MAPS[0], OTHERS[0]) > 0.1).all()


def test_features_that_are_zero_have_no_direction() -> None:
    for given in ((0.0, 0.0), (0.0, 1.0)):
        maps = [torch.full((1, 3, 2, 2), x, requires_grad=True) for x in given]
        value = lpips(maps[:1], maps[1:]).sum()
        assert value.isfinite()
        for slope in torch.autograd.grad(value, maps):
            assert slope.isfinite().all()


def test_targets_get_no_gradient() -> None:
    for loss in (style, feature_matching):
        ours, theirs = MAPS[0].clone().requires_grad_(), OTHERS[0].clone().requires_grad_()
        slopes = torch.autograd.grad(
            loss([ours], [theirs]).sum(), (ours, theirs), allow_unused=True
        )
        assert slopes[0].any()
        assert slopes[1] is None


def test_lists_that_do_not_match_are_refused() -> None:
    for loss in (style, feature_matching, lpips):
        with pytest.raises(ValueError, match="two lists of equally many maps"):
            loss(MAPS, OTHERS[:1])
    with pytest.raises(ValueError, match="8 weights for 9 channels"):
        lpips(MAPS, OTHERS, WEIGHTS[:8])


def test_maps_come_from_a_bound_network() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh()).double()

    class Maps(torch.nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [network(x), network(x)[..., ::2, ::2]]

    x, y = uniform(2, 3, 8, 8, seed=1), uniform(2, 3, 8, 8, seed=2)
    declared = (
        "input net: module(image[B, 3, H, W]) -> features\n"
        "input x: image[B, 3, H, W]\ninput y: image[B, 3, H, W]\n"
    )
    functions: dict[str, Loss] = {
        "style": style,
        "feature_matching": feature_matching,
        "lpips": lpips,
    }
    for name, function in functions.items():
        text = f"{declared}{name}(net(x), net(y))"
        loss = lossdsl.compile(text, modules={"net": Maps()}, backend="eager")
        same(loss(x=x, y=y), function(Maps()(x), Maps()(y)).mean())


# --- gradients, compilation, records ---


def listed(loss: Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]) -> Loss:
    return lambda a, b: loss([a, a[:, :, ::2]], [b.detach(), b.detach()[:, :, ::2]])


@pytest.mark.parametrize(
    "loss",
    [
        listed(style),
        listed(feature_matching),
        lambda a, b: lpips([a], [b]),
        lambda a, b: content(a, b.detach()),
    ],
)
def test_derivatives_and_one_graph(loss: Loss) -> None:
    is_derivative(lambda a: loss(a, OTHERS[0]), MAPS[0])
    one_graph(loss, (MAPS[0], OTHERS[0]), (normal(3, 3, 4, 6, seed=7), normal(3, 3, 4, 6, seed=8)))


def test_contextual_has_its_gradient_in_one_graph() -> None:
    p, y = MAPS[0][:1, :, :2, :3], OTHERS[0][:1, :, :2, :3]
    is_derivative(lambda a: contextual(a, y, eps=0.1), p)
    one_graph(lambda a, b: contextual(a, b.detach()), (p, y), (MAPS[0].clone(), OTHERS[0].clone()))


def test_parameters_may_move() -> None:
    for name in ("bandwidth", "eps"):
        takes_tensor(contextual, name, 0.3, MAPS[0], OTHERS[0])


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
