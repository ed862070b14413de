"""Image losses: against scikit-image, the papers window by window, and loops over neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library import image
from lossdsl.library.image import WANG_WEIGHTS, ms_ssim, perceptual, ssim, tv
from lossdsl.library.registry import find
from lossdsl.library.windows import Slide, blur, gaussian_taps, slide

Loss = Callable[..., Tensor]
traces_an_autograd_function = pytest.mark.filterwarnings(
    # torch's own: Dynamo makes an instance of the class, which the class then deprecates.
    "ignore:.*should not be instantiated:DeprecationWarning"
)
small_ssim = partial(ssim, window=3, sigma=0.8)
small_ms_ssim = partial(ms_ssim, window=3, sigma=0.8, weights=[0.3, 0.5, 0.4])


def uniform(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def likeness(*shape: int, seed: int = 0, noise: float = 0.2) -> tuple[Tensor, Tensor]:
    """Two images with something in common at every scale."""
    coarse = uniform(*shape[:2], 5, 5, seed=seed)
    scene = F.interpolate(coarse, size=shape[2:], mode="bicubic").clamp(0, 1)
    first = (scene + noise * (uniform(*shape, seed=seed + 1) - 0.5)).clamp(0, 1)
    return first, (scene + noise * (uniform(*shape, seed=seed + 2) - 0.5)).clamp(0, 1)


def random_mask(*shape: int, seed: int = 0) -> Tensor:
    return (uniform(*shape, seed=seed) > 0.4).double()


def same(actual: Tensor, expected: Any, rtol: float = 1e-11) -> None:
    expected = torch.as_tensor(np.asarray(expected), dtype=torch.float64)
    torch.testing.assert_close(actual.detach(), expected, rtol=rtol, atol=1e-13)


# --- the papers, window by window ---


def window_weights(size: int, sigma: float) -> np.ndarray:
    k = np.arange(size) - (size - 1) / 2
    square = k[:, None] ** 2 + k[None, :] ** 2
    weights = np.exp(-square / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def paper_maps(
    a: np.ndarray,
    b: np.ndarray,
    window: np.ndarray,
    c1: float,
    c2: float,
    keep: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its contrast-structure part at every window of two [H, W] images; with `keep`
    of the window's pixels that it keeps, by their shares, and NaN where there are none."""
    size = len(window)
    keep = np.ones_like(a) if keep is None else keep
    height, width = a.shape[0] - size + 1, a.shape[1] - size + 1
    similarity, contrast = np.full((2, height, width), np.nan)
    for i, j in itertools.product(range(height), range(width)):
        x, y = a[i : i + size, j : j + size], b[i : i + size, j : j + size]
        weights = window * keep[i : i + size, j : j + size]
        if not weights.any():
            continue
        weights = weights / weights.sum()
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
        covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
        contrast[i, j] = (2 * covariance + c2) / (var_x + var_y + c2)
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        similarity[i, j] = luminance * contrast[i, j]
    return similarity, contrast


def blocks(a: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks, the image continued by its mirror at an odd border."""
    a = np.pad(a, [(0, side % 2) for side in a.shape], mode="symmetric")
    return np.asarray((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4)


def paper_ms_ssim(
    a: np.ndarray, b: np.ndarray, size: int, sigma: float, exponents: Sequence[float]
) -> float:
    weights, product = window_weights(size, sigma), 1.0
    for scale, exponent in enumerate(exponents):
        similarity, contrast = paper_maps(a, b, weights, 0.01**2, 0.03**2)
        mean = similarity.mean() if scale == len(exponents) - 1 else contrast.mean()
        product *= max(mean, 0.0) ** exponent
        a, b = blocks(a), blocks(b)
    return 1 - product


# --- ssim ---


@pytest.mark.parametrize(("window", "sigma"), [(11, 1.5), (7, 0.8), (5, 0.6)])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-1, 1)])
def test_ssim_is_that_of_scikit_image(window: int, sigma: float, low: int, high: int) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    x, y = (low + (high - low) * given for given in likeness(2, 3, 24, 31, seed=1))
    border, expected = window // 2, []
    for a, b in zip(x.numpy(), y.numpy(), strict=True):
        _, similarity = metrics.structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
            data_range=high - low,
            channel_axis=0,
            full=True,
        )
        expected.append(1 - similarity[:, border:-border, border:-border].mean())
    same(ssim(x, y, window=window, sigma=sigma, data_range=high - low), expected)


@pytest.mark.parametrize("window", [1, 4, 11])
@pytest.mark.parametrize(("k1", "k2"), [(0.01, 0.03), (0.05, 0.2)])
def test_ssim_is_the_papers(window: int, k1: float, k2: float) -> None:
    x, y = likeness(2, 2, 13, 12, seed=2)
    weights = window_weights(window, 1.5)
    expected = [
        1 - np.mean([paper_maps(a, b, weights, k1**2, k2**2)[0] for a, b in zip(p, q, strict=True)])
        for p, q in zip(x.numpy(), y.numpy(), strict=True)
    ]
    same(ssim(x, y, window=window, k1=k1, k2=k2), expected)


@pytest.mark.parametrize(("window", "centre"), [(5, 2), (4, 2), (1, 0)])
def test_a_mask_keeps_the_windows_whose_centre_it_keeps(window: int, centre: int) -> None:
    x, y = likeness(2, 3, 9, 10, seed=3)
    mask = random_mask(2, 1, 9, 10, seed=4)
    weights, expected = window_weights(window, 1.5), []
    for p, q, m in zip(x.numpy(), y.numpy(), mask.numpy(), strict=True):
        kept = []
        for a, b in zip(p, q, strict=True):
            similarity, _ = paper_maps(a, b, weights, 0.01**2, 0.03**2, m[0])
            for i, j in itertools.product(*map(range, similarity.shape)):
                if m[0, i + centre, j + centre]:
                    kept.append(1 - similarity[i, j])
        expected.append(np.mean(kept))
    same(ssim(x, y, window=window, mask=mask), expected)
    same(ssim(x, y, window=window, mask=mask.expand(2, 3, 9, 10)), expected)


def test_bright_flat_areas_keep_their_digits() -> None:
    # Flat images differ in luminance alone.
    a, b = 1.0, 0.95
    expected = 1 - (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    x, y = torch.full((1, 1, 32, 32), a), torch.full((1, 1, 32, 32), b)
    assert ssim(x, y).item() == pytest.approx(expected, rel=1e-4)
    assert ssim(255 * x, 255 * y, data_range=255).item() == pytest.approx(expected, rel=1e-4)
    noisy = x - 0.1 * uniform(1, 1, 32, 32, seed=5).float()
    faint = noisy - 0.02 * uniform(1, 1, 32, 32, seed=6).float()
    exact = ssim(noisy.double(), faint.double()).item()
    assert ssim(noisy, faint).item() == pytest.approx(exact, rel=2e-6)


@pytest.mark.parametrize("scale", [(1, 1.0), (255, 255.0), (2, 2.0)])
def test_ssim_scales_with_the_range(scale: tuple[int, float]) -> None:
    x, y = likeness(2, 1, 12, 12, seed=7)
    factor, width = scale
    same(ssim(factor * x, factor * y, data_range=width), ssim(x, y))
    same(ssim(factor * x, factor * y, data_range=torch.tensor(width).double()), ssim(x, y))


def test_the_blur_and_its_adjoint_are_a_convolution() -> None:
    x = uniform(2, 3, 7, 6, seed=8).requires_grad_()
    taps = gaussian_taps(4, 1.1)
    kernel = torch.tensor(window_weights(4, 1.1))[None, None]
    expected = F.conv2d(x.reshape(6, 1, 7, 6), kernel)
    same(blur(x, taps).reshape(expected.shape), expected.detach())
    for dim in (-2, -1):
        plain = x.detach()
        same(Slide.apply(plain, taps, dim), slide(plain, taps, dim))
        assert torch.autograd.gradcheck(lambda a, d=dim: Slide.apply(a, taps, d), (x,))
        assert torch.autograd.gradgradcheck(lambda a, d=dim: Slide.apply(a, taps, d), (x,))


# --- ms_ssim ---


@pytest.mark.parametrize("shape", [(24, 20), (17, 23)])
@pytest.mark.parametrize("exponents", [(1.0,), (0.4, 0.6), (0.3, 0.5, 0.4)])
def test_ms_ssim_is_the_papers(shape: tuple[int, int], exponents: tuple[float, ...]) -> None:
    x, y = likeness(2, 2, *shape, seed=9)
    expected = [
        np.mean([paper_ms_ssim(a, b, 5, 1.2, exponents) for a, b in zip(p, q, strict=True)])
        for p, q in zip(x.numpy(), y.numpy(), strict=True)
    ]
    same(ms_ssim(x, y, window=5, sigma=1.2, weights=exponents), expected)
    exponents_tensor = torch.tensor(exponents, dtype=torch.float64)
    same(ms_ssim(x, y, window=5, sigma=1.2, weights=exponents_tensor), expected)


def test_ms_ssim_has_wangs_five_scales() -> None:
    x, y = likeness(1, 1, 161, 170, seed=10)
    expected = paper_ms_ssim(x[0, 0].numpy(), y[0, 0].numpy(), 11, 1.5, WANG_WEIGHTS)
    assert 0.1 < expected < 0.9
    same(ms_ssim(x, y), [expected])
    assert sum(WANG_WEIGHTS) == pytest.approx(1.0, abs=2e-4)


def test_one_scale_of_ms_ssim_is_ssim() -> None:
    x, y = likeness(2, 3, 15, 14, seed=11)
    same(ms_ssim(x, y, weights=[1.0]), ssim(x, y))


@pytest.mark.parametrize(
    ("loss", "name", "parameters", "side"),
    [
        (ssim, "ssim", {"window": 11}, 11),
        (ssim, "ssim", {"window": 4}, 4),
        (ms_ssim, "ms_ssim", {"window": 11, "weights": list(WANG_WEIGHTS)}, 161),
        (ms_ssim, "ms_ssim", {"window": 11, "weights": [0.3, 0.4, 0.3]}, 41),
        (ms_ssim, "ms_ssim", {"window": 5, "weights": [0.5, 0.5]}, 9),
    ],
)
def test_the_record_says_the_least_side(
    loss: Loss, name: str, parameters: dict[str, Any], side: int
) -> None:
    record = find(name)
    assert record is not None
    assert record.least is not None
    assert record.least(parameters) == {"H": side, "W": side}
    enough = uniform(1, 1, side, side + 3)
    assert loss(enough, enough, **parameters).item() == 0
    # Below it there is no window to take a mean over.
    assert loss(enough[:, :, 1:], enough[:, :, 1:], **parameters).isnan().all()


def test_a_negative_contrast_gives_loss_one_and_no_gradient() -> None:
    x = uniform(1, 2, 12, 12, seed=12)
    free = x.clone().requires_grad_()
    value = small_ms_ssim(free, 1 - x)
    value.sum().backward()
    assert value.item() == 1
    assert free.grad is not None
    assert not free.grad.any()


def test_ms_ssim_counts_windows_by_the_kept_share_of_their_centre() -> None:
    x, y = likeness(1, 1, 8, 8, seed=13)
    mask = random_mask(1, 1, 8, 8, seed=14)
    a, b, m = x[0, 0].numpy(), y[0, 0].numpy(), mask[0, 0].numpy()
    weights = window_weights(3, 1.5)
    _, contrast = paper_maps(a, b, weights, 1e-4, 9e-4, m)
    share = blocks(m)
    a, b = (blocks(image * m) / np.where(share > 0, share, 1) for image in (a, b))
    similarity, _ = paper_maps(a, b, weights, 1e-4, 9e-4, share)
    fine = np.average(np.nan_to_num(contrast), weights=m[1:-1, 1:-1])
    coarse = np.average(np.nan_to_num(similarity), weights=share[1:-1, 1:-1])
    expected = 1 - fine**0.4 * coarse**0.6
    same(ms_ssim(x, y, window=3, weights=[0.4, 0.6], mask=mask), [expected])


# --- tv ---


def paper_tv(x: np.ndarray, mask: np.ndarray) -> float:
    """Of one image [C, *S]: a loop over neighbours, counted per axis."""
    total = 0.0
    for axis in range(1, x.ndim):
        differences = []
        for place in itertools.product(*map(range, x.shape)):
            following = tuple(k + (a == axis) for a, k in enumerate(place))
            if following[axis] < x.shape[axis] and mask[place] and mask[following]:
                differences.append(abs(x[following] - x[place]))
        total += np.mean(differences) if differences else 0.0
    return total


def paper_isotropic_tv(x: np.ndarray, mask: np.ndarray) -> float:
    lengths = []
    for place in itertools.product(*map(range, x.shape)):
        ahead = [tuple(k + (a == axis) for a, k in enumerate(place)) for axis in range(1, x.ndim)]
        inside = all(k < n for f in ahead for k, n in zip(f, x.shape, strict=True))
        if inside and mask[place] and all(mask[f] for f in ahead):
            lengths.append(np.sqrt(sum((x[f] - x[place]) ** 2 for f in ahead)))
    return float(np.mean(lengths)) if lengths else 0.0


@pytest.mark.parametrize("shape", [(9,), (5, 6), (3, 4, 5)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("isotropic", [False, True])
def test_tv_is_a_loop_over_neighbours(
    shape: tuple[int, ...], masked: bool, isotropic: bool
) -> None:
    x = uniform(3, 2, *shape, seed=15)
    mask = random_mask(3, 1, *shape, seed=16) if masked else torch.ones(3, 1, *shape).double()
    reference = paper_isotropic_tv if isotropic else paper_tv
    full = mask.expand_as(x).numpy()
    expected = [reference(a, m) for a, m in zip(x.numpy(), full, strict=True)]
    same(tv(x, isotropic=isotropic, mask=mask if masked else None), expected)


def test_tv_of_simple_images() -> None:
    ramp = torch.arange(6.0).expand(1, 1, 4, 6)
    assert tv(ramp).item() == 1
    assert tv(3 * ramp).item() == 3
    assert tv(ramp, isotropic=True).item() == 1
    assert tv(ramp + ramp[..., :4].mT.repeat(1, 1, 1, 2)[..., :6]).item() == 2
    assert tv(torch.full((2, 3, 4, 5), 7.0)).tolist() == [0, 0]


def test_both_tvs_agree_on_a_signal() -> None:
    x = uniform(2, 3, 12, seed=17)
    same(tv(x, isotropic=True), tv(x))
    same(tv(x[..., None], isotropic=True), tv(x))
    same(tv(x[..., None]), tv(x))


@pytest.mark.parametrize("isotropic", [False, True])
def test_tv_does_not_read_what_the_mask_drops(isotropic: bool) -> None:
    x = uniform(1, 1, 4, 4, seed=18)
    mask = torch.ones_like(x)
    mask[0, 0, 1, 2] = 0
    holed = x.clone()
    holed[0, 0, 1, 2] = torch.nan
    holed.requires_grad_()
    value = tv(holed, isotropic=isotropic, mask=mask)
    value.sum().backward()
    same(value, tv(x, isotropic=isotropic, mask=mask))
    assert holed.grad is not None
    assert holed.grad.isfinite().all()
    assert holed.grad[0, 0, 1, 2] == 0


# --- perceptual ---


def feature_maps(batch: int, seed: int) -> list[Tensor]:
    shapes = ((batch, 4, 6, 6), (batch, 8, 3, 3), (batch, 5))
    return [uniform(*shape, seed=seed + k) for k, shape in enumerate(shapes)]


@pytest.mark.parametrize(("p", "error"), [("l1", F.l1_loss), ("l2", F.mse_loss)])
@pytest.mark.parametrize("weights", [None, (1.0, 0.5, 0.25)])
def test_perceptual_adds_the_mean_errors_of_the_maps(
    p: str, error: Callable[..., Tensor], weights: tuple[float, ...] | None
) -> None:
    ours, theirs = feature_maps(3, seed=19), feature_maps(3, seed=29)
    factors = weights or (1.0, 1.0, 1.0)
    expected = [
        sum(w * error(a[n], b[n]).item() for w, a, b in zip(factors, ours, theirs, strict=True))
        for n in range(3)
    ]
    same(perceptual(ours, theirs, weights=weights, p=p), expected)
    if weights:
        same(perceptual(ours, theirs, weights=torch.tensor(weights), p=p), expected)


def test_the_target_of_perceptual_is_a_constant() -> None:
    ours = [x.requires_grad_() for x in feature_maps(2, seed=20)]
    theirs = [x.requires_grad_() for x in feature_maps(2, seed=30)]
    perceptual(ours, theirs).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None
        torch.testing.assert_close(a.grad, 2 * (a - b).detach() * 2 / a.numel())
        assert b.grad is None


def test_perceptual_refuses_lists_that_do_not_match() -> None:
    maps = feature_maps(2, seed=21)
    with pytest.raises(ValueError, match="got 3 and 2"):
        perceptual(maps, maps[:2])
    with pytest.raises(ValueError, match="got 0 and 0"):
        perceptual([], [])
    with pytest.raises(ValueError, match="2 weights for 3 maps"):
        perceptual(maps, maps, weights=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"map 0 as \[2, 4, 6, 6\] and as \[2, 4, 6, 1\]"):
        perceptual(maps, [maps[0][..., :1], *maps[1:]])


# --- extremes, gradients ---


@pytest.mark.parametrize("loss", [ssim, small_ms_ssim])
def test_equal_images_cost_nothing_and_pull_nowhere(loss: Loss) -> None:
    for x in (likeness(2, 3, 16, 16, seed=22)[0], torch.full((1, 1, 16, 16), 0.7).double()):
        for dtype, slack in ((torch.float64, 1e-13), (torch.float32, 1e-5)):
            free = x.to(dtype, copy=True).requires_grad_()
            value = loss(free, x.to(dtype))
            value.sum().backward()
            assert not value.any()
            assert free.grad is not None
            assert free.grad.abs().max() < slack


@pytest.mark.parametrize("loss", [ssim, small_ms_ssim])
def test_symmetric_and_bounded(loss: Loss) -> None:
    x, y = uniform(4, 2, 14, 14, seed=23), uniform(4, 2, 14, 14, seed=24)
    for other in (y, 1 - x, x, (x + y) / 2):
        same(loss(x, other), loss(other, x))
        assert ((loss(x, other) >= 0) & (loss(x, other) <= 2)).all()


def extremes() -> dict[str, Tensor]:
    noise = uniform(1, 2, 16, 16, seed=25).float()
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    return {
        "black": torch.zeros(1, 2, 16, 16),
        "white": torch.ones(1, 2, 16, 16),
        "grey": torch.full((1, 2, 16, 16), 0.3),
        "noise": noise,
        "negative": 1 - noise,
        "chessboard": checks.float().expand(1, 2, 16, 16).clone(),
        "faint": 0.5 + 1e-4 * noise,
    }


@pytest.mark.parametrize("loss", [ssim, small_ms_ssim])
@pytest.mark.parametrize("width", [1.0, 255.0])
def test_extreme_images_are_finite(loss: Loss, width: float) -> None:
    images = {name: width * pixels for name, pixels in extremes().items()}
    for first, second in itertools.product(images.values(), repeat=2):
        x, y = first.clone().requires_grad_(), second.clone().requires_grad_()
        value = loss(x, y, data_range=width)
        value.sum().backward()
        assert value.isfinite().all()
        for pixels in (x, y):
            assert pixels.grad is not None
            assert pixels.grad.isfinite().all()


@pytest.mark.parametrize("isotropic", [False, True])
def test_tv_is_finite_and_flat_images_are_at_rest(isotropic: bool) -> None:
    for name, pixels in extremes().items():
        x = (1e4 * pixels).requires_grad_()
        value = tv(x, isotropic=isotropic)
        value.sum().backward()
        assert value.isfinite().all()
        assert x.grad is not None
        assert x.grad.isfinite().all()
        if name in ("black", "white", "grey"):
            assert value.item() == 0
            assert not x.grad.any()


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 1, 5), (2, 3, 1), (1, 1, 4, 1, 1)])
def test_tv_of_single_pixels_and_lines(isotropic: bool, shape: tuple[int, ...]) -> None:
    x = uniform(*shape, seed=26).requires_grad_()
    value = tv(x, isotropic=isotropic)
    value.sum().backward()
    expected = [paper_tv(a, np.ones_like(a)) for a in x.detach().numpy()]
    same(value, expected)
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("loss", [ssim, small_ms_ssim])
def test_a_mask_without_pixels_gives_zero(loss: Loss) -> None:
    x, y = likeness(2, 3, 16, 16, seed=27)
    mask = torch.ones(2, 1, 16, 16)
    mask[0] = 0
    free = x.clone().requires_grad_()
    value = loss(free, y, mask=mask)
    value.sum().backward()
    assert value[0] == 0
    same(value[1], loss(x, y)[1])
    assert free.grad is not None
    assert not free.grad[0].any()
    assert free.grad[1].any()


@pytest.mark.parametrize(
    "loss", [small_ssim, small_ms_ssim, lambda x, y: tv(x), lambda x, y: tv(x, isotropic=True)]
)
def test_a_broken_pixel_is_not_hidden(loss: Loss) -> None:
    x, y = likeness(2, 1, 16, 16, seed=37)
    x[1, 0, 7, 7] = torch.nan
    assert loss(x, y).isnan().tolist() == [False, True]


@pytest.mark.parametrize("isotropic", [False, True])
def test_tv_of_an_empty_mask_gives_zero(isotropic: bool) -> None:
    x = uniform(1, 2, 5, 5, seed=28).requires_grad_()
    value = tv(x, isotropic=isotropic, mask=torch.zeros(1, 1, 5, 5))
    value.sum().backward()
    assert value.item() == 0
    assert x.grad is not None
    assert not x.grad.any()


def test_gradients_are_derivatives() -> None:
    check, check_twice = torch.autograd.gradcheck, torch.autograd.gradgradcheck
    x, y = likeness(1, 2, 6, 5, seed=31)
    x, y = x.requires_grad_(), y.requires_grad_()
    mask = random_mask(1, 1, 6, 5, seed=32)
    assert check(partial(small_ssim, mask=mask), (x, y))
    two_scales = partial(ms_ssim, window=3, weights=[0.3, 0.7], mask=mask)
    assert 0.01 < two_scales(x, y).item() < 0.99
    assert check(two_scales, (x, y))
    for isotropic in (False, True):
        assert check(partial(tv, isotropic=isotropic), (x,))
        assert check(partial(tv, isotropic=isotropic, mask=mask), (x,))
    one, other = likeness(1, 1, 4, 3, seed=33)
    assert check(small_ssim, (one.requires_grad_(), other.requires_grad_()))
    assert check_twice(small_ssim, (one, other))
    for p in ("l1", "l2"):
        assert check(lambda a, b, p=p: perceptual([a], [b.detach()], p=p), (x, y.detach()))


def test_transforms_of_torch_func() -> None:
    x, y = likeness(3, 1, 8, 8, seed=34)
    free = x.clone().requires_grad_()
    small_ssim(free, y).sum().backward()

    def one(a: Tensor, b: Tensor) -> Tensor:
        return small_ssim(a[None], b[None])[0]

    torch.testing.assert_close(torch.func.vmap(torch.func.grad(one))(x, y), free.grad)
    direction = torch.ones_like(x)
    _, forward = torch.func.jvp(lambda a: small_ssim(a, y), (x,), (direction,))
    assert free.grad is not None
    torch.testing.assert_close(forward, free.grad.sum((1, 2, 3)))


# --- compiled, recorded ---


def of_maps(a: Tensor, b: Tensor) -> Tensor:
    return perceptual([a, a[..., 0]], [b, b[..., 0]], weights=[1.0, 0.5])


def tv_of_both(a: Tensor, b: Tensor) -> Tensor:
    return tv(a) + tv(b) + tv(a * b, isotropic=True)


def masked(a: Tensor, b: Tensor) -> Tensor:
    mask = (a[:, :1].detach() > 0.4).to(a.dtype)
    similarity = ssim(a, b, window=2, mask=mask)
    return similarity + tv(a, mask=mask) + tv(b, mask=mask, isotropic=True)


def masked_at_two_scales(a: Tensor, b: Tensor) -> Tensor:
    mask = (a[:, :1].detach() > 0.4).to(a.dtype)
    return ms_ssim(a, b, window=2, weights=[0.3, 0.7], mask=mask)


@traces_an_autograd_function
@pytest.mark.parametrize("loss", [small_ssim, masked_at_two_scales, tv_of_both, of_maps, masked])
def test_compiles_in_one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (2, 5):
        x, y = likeness(batch, 2, 12, 13, seed=35)
        ours = [x.clone().requires_grad_(), y.clone().requires_grad_()]
        theirs = [x.clone().requires_grad_(), y.clone().requires_grad_()]
        value, expected = compiled(*ours), loss(*theirs)
        value.sum().backward()
        expected.sum().backward()
        same(value, expected.detach())
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-11, atol=1e-13)


@traces_an_autograd_function
def test_ssim_compiles_with_dynamic_numbers_and_within_a_derivative() -> None:
    torch._dynamo.reset()
    x, y = likeness(2, 1, 14, 15, seed=36)
    loss = partial(ssim, window=3)
    dynamic = torch.compile(loss, backend="aot_eager", fullgraph=True, dynamic=True)
    same(dynamic(x, y), loss(x, y))
    derivative = torch.func.grad(lambda a: small_ssim(a, y).sum())
    compiled = torch.compile(derivative, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), derivative(x), rtol=1e-11, atol=1e-13)


def as_tensors(value: Any, feature_lists: bool) -> Any:
    if feature_lists:
        return [torch.tensor(level, dtype=torch.float64) for level in value]
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("name", ["ssim", "ms_ssim", "tv", "perceptual"])
def test_examples_have_their_value(name: str) -> None:
    record = find(name)
    assert record is not None
    assert record.function is getattr(image, name)
    assert record.examples
    for example in record.examples:
        inputs = {k: as_tensors(v, name == "perceptual") for k, v in example.inputs.items()}
        value = eval(example.text, {name: record.function, "true": True}, inputs).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)


def test_ssim_takes_the_width_of_the_images_range() -> None:
    for name in ("ssim", "ms_ssim"):
        record = find(name)
        assert record is not None
        assert record.image_range == "data_range"
        assert record.mask == "inside"
        assert "mask" not in [parameter.name for parameter in record.parameters]
