"""The value of every function against NumPy and SciPy in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.special
import torch
from calling import call, record, symbol
from numpy.typing import NDArray
from scipy.spatial import distance

Array = NDArray[Any]
Reference = Callable[..., Any]

A = np.random.default_rng(0).normal(size=(4, 5))
B = np.random.default_rng(1).normal(size=(4, 5))
POSITIVE = np.abs(A) + 0.1
UNIT = np.tanh(A)
MASK = (A > 0).astype(float)
OTHER_MASK = (B > 0).astype(float)
IMAGE = np.random.default_rng(2).normal(size=(2, 3, 6, 5))
LABELS = np.array([2, 0, 4, 1])
TIES = np.array([[2.0, 1.0, 2.0, 0.0, 1.0]])

KINDS = {"f": "real", "i": "labels"}


def apply(name: str, *arrays: Any, kind: str | None = None, **literals: Any) -> Array:
    """A function of the language on arrays, its literals prepared by its rule."""
    types = [
        f"{kind or KINDS[x.dtype.kind]}{list(x.shape)}" if isinstance(x, np.ndarray) else x
        for x in arrays
    ]
    outcome = call(name, *types, **literals)
    operands = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in arrays]
    result = record(name).run(*operands, **outcome.literals)
    assert result.dtype in (torch.float64, torch.int64)
    array: Array = result.numpy()
    return array


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-14, strict=False)


# --- one value at a time ---

ELEMENTWISE: Mapping[str, tuple[Reference, tuple[Any, ...]]] = {
    "+": (np.add, (A, B)),
    "-": (np.subtract, (A, B)),
    "*": (np.multiply, (A, B)),
    "/": (np.divide, (A, B)),
    "**": (np.power, (POSITIVE, B)),
    "neg": (np.negative, (A,)),
    "<": (np.less, (A, B)),
    "<=": (np.less_equal, (TIES, TIES[:, ::-1].copy())),
    ">": (np.greater, (A, B)),
    ">=": (np.greater_equal, (TIES, TIES[:, ::-1].copy())),
    "==": (np.equal, (TIES, TIES[:, ::-1].copy())),
    "!=": (np.not_equal, (TIES, TIES[:, ::-1].copy())),
    "exp": (np.exp, (A,)),
    "log": (np.log, (POSITIVE,)),
    "log1p": (np.log1p, (POSITIVE,)),
    "sqrt": (np.sqrt, (POSITIVE,)),
    "abs": (np.abs, (A,)),
    "sign": (np.sign, (np.array([-2.0, 0.0, 3.0]),)),
    "floor": (np.floor, (A,)),
    "relu": (lambda x: np.maximum(x, 0), (A,)),
    "sigmoid": (scipy.special.expit, (A,)),
    "logsigmoid": (scipy.special.log_expit, (A,)),
    "softplus": (lambda x: np.logaddexp(0, x), (A,)),
    "tanh": (np.tanh, (A,)),
    "sin": (np.sin, (A,)),
    "cos": (np.cos, (A,)),
    "atan": (np.arctan, (A,)),
    "acos": (np.arccos, (UNIT,)),
    "lgamma": (scipy.special.gammaln, (POSITIVE,)),
    "minimum": (np.minimum, (A, B)),
    "maximum": (np.maximum, (A, B)),
    "detach": (np.copy, (A,)),
    "@": (np.matmul, (A, B.T)),
    "matmul": (np.matmul, (A, B.T)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    reference, arrays = ELEMENTWISE[name]
    close(apply(name, *arrays), reference(*arrays))


@pytest.mark.parametrize("name", ["logsigmoid", "softplus", "sigmoid"])
@pytest.mark.parametrize("x", [-1e4, -50.0, 0.0, 50.0, 1e4])
def test_activations_of_extremes(name: str, x: float) -> None:
    value = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    result = record(name).run(value)
    result.backward()
    close(result.detach().numpy(), ELEMENTWISE[name][0](x))
    assert value.grad is not None
    assert torch.isfinite(value.grad)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("and", np.logical_and), ("or", np.logical_or)],
)
def test_logic(name: str, reference: Reference) -> None:
    close(apply(name, MASK, OTHER_MASK, kind="mask"), reference(MASK, OTHER_MASK))


def test_not() -> None:
    close(apply("not", MASK, kind="mask"), 1 - MASK)


def test_where_takes_from_both_sides() -> None:
    run = record("where").run
    close(run(torch.tensor(MASK), torch.tensor(A), torch.tensor(B)), np.where(MASK, A, B))


def test_where_of_two_numbers_is_exact_in_double_precision() -> None:
    close(record("where").run(torch.tensor(MASK), 0.1, 0.2), np.where(MASK, 0.1, 0.2))


def test_comparisons_with_a_number_on_either_side() -> None:
    close(apply("<", A, 0.25), A < 0.25)
    close(apply("<", 0.25, A), A > 0.25)


def test_class_indices_are_compared_exactly() -> None:
    assert record("==").run(torch.tensor(LABELS), 4).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (None, 0.5), (-0.5, None)])
def test_clamp(low: float | None, high: float | None) -> None:
    bounds = {"min": low, "max": high}
    value = record("clamp").run(
        torch.tensor(A), **{k: v for k, v in bounds.items() if v is not None}
    )
    close(value, np.clip(A, low, high))


def test_clamp_takes_a_tensor_and_a_number() -> None:
    run, low, high = record("clamp").run, torch.tensor(-0.5), torch.tensor(0.5)
    close(run(torch.tensor(A), min=low.double(), max=0.5), np.clip(A, -0.5, 0.5))
    close(run(torch.tensor(A), min=-0.5, max=high.double()), np.clip(A, -0.5, 0.5))


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_extremes_with_a_number_on_either_side(name: str) -> None:
    reference = ELEMENTWISE[name][0]
    close(apply(name, A, 0.25), reference(A, 0.25))
    close(apply(name, 0.25, A), reference(A, 0.25))


def test_detach_stops_the_gradient() -> None:
    x = torch.ones(3, requires_grad=True)
    assert not record("detach").run(x).requires_grad


# --- fewer values of many ---

REDUCED: Mapping[str, Reference] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "norm": lambda x, axis, keepdims: np.sqrt(np.sum(x**2, axis=axis, keepdims=keepdims)),
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims, ddof=1),
    "logsumexp": scipy.special.logsumexp,
}


@pytest.mark.parametrize("name", REDUCED)
@pytest.mark.parametrize("over", [None, 1, (0, 2), (-1,)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_reductions(name: str, over: Any, keepdim: bool) -> None:
    literals = {} if over is None else {"over": over}
    value = apply(name, IMAGE, keepdim=keepdim, **literals)
    close(value, REDUCED[name](IMAGE, axis=over, keepdims=keepdim))


def test_norm_of_another_order() -> None:
    close(apply("norm", A, p=1, over=1), np.abs(A).sum(axis=1))
    close(apply("norm", A, p=3, over=1), np.linalg.norm(A, ord=3, axis=1))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_gradient_of_a_norm_is_0_at_0(p: float) -> None:
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    record("norm").run(x, p=p).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 0]


def test_variance_of_the_whole_population() -> None:
    close(apply("var", A, correction=0, over=0), A.var(axis=0))
    close(apply("std", A, correction=0, over=0), A.std(axis=0))


@pytest.mark.parametrize("name", ["mean", "sum"])
def test_masked_reductions(name: str) -> None:
    run = record(name).run
    for axis in (None, 0, 1):
        over = None if axis is None else (axis,)
        value = run(torch.tensor(A), torch.tensor(MASK), over=over)
        close(value, REDUCED[name](A, axis=axis, keepdims=False, where=MASK.astype(bool)))


def test_the_mask_of_a_reduction_is_repeated_over_axes_of_size_1() -> None:
    rows = MASK[:, :1]
    value = record("mean").run(torch.tensor(A), torch.tensor(rows))
    close(value, A[rows[:, 0] == 1].mean())


def test_nothing_selected_is_0_whatever_stands_there() -> None:
    x = torch.full((2, 3), math.nan, dtype=torch.float64, requires_grad=True)
    for name in ("mean", "sum"):
        value = record(name).run(x, torch.zeros(2, 3, dtype=torch.float64))
        (slope,) = torch.autograd.grad(value, x)
        assert value == 0
        assert (slope == 0).all()


def test_logsumexp_of_extremes() -> None:
    assert apply("logsumexp", np.array([1e4, 1e4])) == 1e4 + math.log(2)
    assert apply("logsumexp", np.array([-1e4, -1e4])) == -1e4 + math.log(2)


# --- along the class axis ---


def test_softmax() -> None:
    close(apply("softmax", IMAGE, over=1), scipy.special.softmax(IMAGE, axis=1))
    close(apply("log_softmax", IMAGE, over=-1), scipy.special.log_softmax(IMAGE, axis=-1))


def test_softmax_of_extremes() -> None:
    x = np.array([[1e4, 0.0, -1e4]])
    close(apply("softmax", x), [[1, 0, 0]])
    close(apply("log_softmax", x), [[0, -1e4, -2e4]])


def test_argmax_is_the_class() -> None:
    assert (apply("argmax", IMAGE, over=1) == IMAGE.argmax(axis=1)).all()


def test_one_hot() -> None:
    value = record("one_hot").run(torch.tensor(LABELS), 5)
    assert (value.numpy() == np.eye(5)[LABELS]).all()


def test_one_hot_of_an_index_outside_is_0() -> None:
    value = record("one_hot").run(torch.tensor([[-100, 2], [255, 0]]), 3)
    assert value.shape == (2, 3, 2)
    assert value[:, :, 0].sum() == 0
    assert value[:, :, 1].tolist() == [[0, 0, 1], [1, 0, 0]]


def test_vectors() -> None:
    unit = A / np.linalg.norm(A, axis=1, keepdims=True)
    other = B / np.linalg.norm(B, axis=1, keepdims=True)
    close(apply("normalize", A), unit)
    close(apply("normalize", A, over=0), A / np.linalg.norm(A, axis=0))
    close(apply("cosine_similarity", A, B), (unit * other).sum(axis=1))
    close(apply("cosine_similarity", A.T.copy(), B.T.copy(), over=(0,)), (unit * other).sum(axis=1))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_distances(p: float) -> None:
    rows = np.abs(A - B) ** p
    close(apply("pairwise_distance", A, B, p=p), rows.sum(axis=1) ** (1 / p))
    pairs = distance.cdist(A, B[:2], "minkowski", p=p)
    close(apply("cdist", A, B[:2], p=p), pairs)
    close(
        apply("cdist", np.stack([A, B]), np.stack([B, A]), p=p)[1],
        distance.cdist(B, A, "minkowski", p=p),
    )


@pytest.mark.parametrize("name", ["pairwise_distance", "cdist"])
def test_equal_vectors_have_the_gradient_0(name: str) -> None:
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(record(name).run(x, x.detach()).sum(), x)
    assert (slope == 0).all()


def test_a_zero_vector_has_a_finite_gradient() -> None:
    x = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    value = record("normalize").run(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert (value == 0).all()
    assert torch.isfinite(slope).all()


# --- products ---


@pytest.mark.parametrize(
    ("equation", "arrays"),
    [
        ("bi,bj->bij", (A, B)),
        ("bi, bj -> ij", (A, B)),
        ("ij->ji", (A,)),
        ("ii->i", (A[:, :4].copy(),)),
        ("bchw,bdhw->bcd", (IMAGE, IMAGE)),
        ("ij,kj,j->ik", (A, B, A[0])),
        ("ij->", (A,)),
    ],
)
def test_einsum(equation: str, arrays: tuple[Array, ...]) -> None:
    close(apply("einsum", *arrays, equation=equation), np.einsum(equation, *arrays))


@pytest.mark.parametrize(("name", "literals"), [("@", {}), ("einsum", {"equation": "ij,jk->ik"})])
def test_products_of_two_precisions_are_double(name: str, literals: Mapping[str, Any]) -> None:
    value = record(name).run(torch.tensor(MASK).float(), torch.tensor(B.T), **literals)
    close(value, MASK @ B.T)


# --- values on other axes, in another order ---

MOVED: list[tuple[str, Mapping[str, Any], Reference]] = [
    ("reshape", {"shape": (2, -1)}, lambda x: x.reshape(2, -1)),
    ("reshape", {"shape": (3, 4, 15)}, lambda x: x.reshape(3, 4, 15)),
    ("reshape", {"shape": -1}, np.ravel),
    ("flatten", {}, np.ravel),
    ("flatten", {"start": 1, "end": 2}, lambda x: x.reshape(2, 18, 5)),
    ("permute", {"axes": (0, 3, 1, 2)}, lambda x: x.transpose(0, 3, 1, 2)),
    ("permute", {"axes": (-1, 2, 1, -4)}, lambda x: x.transpose(3, 2, 1, 0)),
    ("transpose", {}, lambda x: x.swapaxes(-1, -2)),
    ("transpose", {"a": 0, "b": 2}, lambda x: x.swapaxes(0, 2)),
    ("movedim", {"source": 1, "destination": -1}, lambda x: np.moveaxis(x, 1, -1)),
    ("movedim", {"source": 3, "destination": 0}, lambda x: np.moveaxis(x, 3, 0)),
    ("flip", {"over": (2, -1)}, lambda x: np.flip(x, (2, -1))),
    ("flip", {"over": 1}, lambda x: np.flip(x, 1)),
    ("roll", {"shift": 2, "over": 3}, lambda x: np.roll(x, 2, 3)),
    ("roll", {"shift": (1, -2), "over": (-1, 2)}, lambda x: np.roll(x, (1, -2), (-1, 2))),
    ("pad", {"over": 3, "before": 1}, lambda x: np.pad(x, ((0, 0),) * 3 + ((1, 0),))),
    (
        "pad",
        {"over": (-1, 1), "before": 1, "after": 2, "value": 7},
        lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0), (1, 2)), constant_values=7),
    ),
    ("cumsum", {"over": 2}, lambda x: np.cumsum(x, 2)),
    ("sort", {}, np.sort),
    ("sort", {"over": 1, "descending": True}, lambda x: -np.sort(-x, axis=1)),
    ("argsort", {"over": -2}, lambda x: np.argsort(x, axis=-2)),
    ("argsort", {"descending": True}, lambda x: np.argsort(-x, axis=-1)),
    ("topk", {"k": 2}, lambda x: -np.sort(-x, axis=-1)[..., :2]),
    ("topk", {"k": 3, "over": 2}, lambda x: -np.sort(-x, axis=2)[:, :, :3]),
    ("size", {"over": -2}, lambda x: x.shape[-2]),
    ("arange", {"over": 2}, lambda x: np.arange(6).reshape(1, 1, 6, 1)),
    ("eye", {}, lambda x: np.broadcast_to(np.eye(6, 5), x.shape)),
]


@pytest.mark.parametrize(("name", "literals", "reference"), MOVED)
def test_moved_values(name: str, literals: Mapping[str, Any], reference: Reference) -> None:
    value, expected = apply(name, IMAGE, **literals), reference(IMAGE)
    assert np.shape(value) == np.shape(expected)
    assert (value == expected).all()


def test_equal_values_keep_their_order() -> None:
    assert apply("argsort", TIES).tolist() == [[3, 1, 4, 0, 2]]
    assert apply("argsort", TIES, descending=True).tolist() == [[0, 2, 1, 4, 3]]


def test_ordering_one_tensor_by_another() -> None:
    order = record("argsort").run(torch.tensor(A), over=1)
    value = record("gather").run(torch.tensor(B), order, over=1)
    assert (value.numpy() == np.take_along_axis(B, np.argsort(A, axis=1), axis=1)).all()


def test_joined_tensors() -> None:
    assert (apply("cat", A, B, A) == np.concatenate([A, B, A])).all()
    assert (apply("cat", A, A[:, :2].copy(), over=-1) == np.concatenate([A, A[:, :2]], 1)).all()
    assert (apply("stack", A, B) == np.stack([A, B])).all()
    assert (apply("stack", A, B, over=-1) == np.stack([A, B], axis=-1)).all()


def test_diagonal() -> None:
    square = IMAGE[..., :5, :]
    assert (apply("diagonal", square) == np.diagonal(square, axis1=-2, axis2=-1)).all()


def test_reshape_of_no_samples() -> None:
    outcome = call("reshape", "real[B, 3, 4]", shape=(symbol("B"), -1))
    assert record("reshape").run(torch.zeros(0, 3, 4), **outcome.literals).shape == (0, 12)


# --- gather ---


def test_gather_picks_the_class_of_each_sample() -> None:
    picked = apply("gather", A, LABELS, over=1)
    assert (picked == A[np.arange(4), LABELS]).all()


def test_gather_picks_the_class_of_each_pixel() -> None:
    classes = np.random.default_rng(3).integers(0, 3, size=(2, 6, 5))
    expected = np.take_along_axis(IMAGE, classes[:, None], axis=1)[:, 0]
    assert (apply("gather", IMAGE, classes) == expected).all()


def test_gather_with_all_axes_is_take_along_axis() -> None:
    index = np.random.default_rng(3).integers(0, 4, size=(7, 5))
    assert (apply("gather", A, index, over=0) == np.take_along_axis(A, index, axis=0)).all()


@pytest.mark.parametrize("ignored", [-100, 255])
def test_gather_of_an_ignored_index_is_0_without_gradient(ignored: int) -> None:
    x = torch.tensor(A, requires_grad=True)
    value = record("gather").run(x, torch.tensor([1, ignored, ignored, 0]))
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert value.tolist() == [A[0, 1], 0, 0, A[3, 0]]
    assert slope.nonzero().tolist() == [[0, 1], [3, 0]]


# --- neighbours ---


def test_differences() -> None:
    close(apply("dx", IMAGE), np.diff(IMAGE, axis=-1))
    close(apply("dy", IMAGE), np.diff(IMAGE, axis=-2))


def test_laplacian() -> None:
    expected = [[scipy.ndimage.laplace(c)[1:-1, 1:-1] for c in image] for image in IMAGE]
    close(apply("laplacian", IMAGE), expected)


def linear_weights(old: int, new: int) -> Array:
    """Row i holds the weights of the old pixels in new pixel i, both with centres at halves."""
    weights = np.zeros((new, old))
    for i in range(new):
        place = max((i + 0.5) * old / new - 0.5, 0.0)
        left = min(int(place), old - 1)
        right = min(left + 1, old - 1)
        weights[i, left] += 1 - (place - left)
        weights[i, right] += place - left
    return weights


@pytest.mark.parametrize("size", [(3, 9), (12, 10), (6, 5), (1, 1)])
def test_linear_interpolation(size: tuple[int, int]) -> None:
    expected = linear_weights(6, size[0]) @ IMAGE @ linear_weights(5, size[1]).T
    close(apply("interpolate", IMAGE, size=size), expected)


def test_interpolation_along_one_and_three_axes() -> None:
    row = IMAGE[:, :, 0]
    close(apply("interpolate", row, size=8), row @ linear_weights(5, 8).T)
    volume = IMAGE[None]
    expected = np.einsum(
        "ai,bj,ck,nmijk->nmabc",
        *(linear_weights(old, new) for old, new in ((3, 2), (6, 7), (5, 4))),
        volume,
    )
    close(apply("interpolate", volume, size=(2, 7, 4)), expected)


def test_interpolation_to_the_size_of_another_tensor() -> None:
    expected = linear_weights(6, 4) @ IMAGE @ linear_weights(5, 5).T
    close(apply("interpolate", IMAGE, np.zeros((2, 1, 4, 5))), expected)
    close(apply("interpolate", IMAGE, np.zeros((2, 4, 5), dtype=int)), expected)


@pytest.mark.parametrize("size", [(3, 9), (12, 10), (4, 7), (1, 1)])
def test_labels_and_masks_take_the_nearest_value(size: tuple[int, int]) -> None:
    rows = [i * 6 // size[0] for i in range(size[0])]
    columns = [j * 5 // size[1] for j in range(size[1])]
    labels = np.random.default_rng(3).integers(0, 9, size=(2, 6, 5))
    assert (apply("interpolate", labels, size=size) == labels[:, rows][:, :, columns]).all()
    masks = (IMAGE > 0).astype(float)
    value = apply("interpolate", masks, size=size, kind="mask")
    assert (value == masks[:, :, rows][:, :, :, columns]).all()


def test_the_nearest_value_is_that_of_torch() -> None:
    x = torch.tensor(IMAGE)
    for size in ((2, 3), (9, 4), (12, 15)):
        ours = record("interpolate").run(x, size=size, mode="nearest")
        assert torch.equal(ours, torch.nn.functional.interpolate(x, size, mode="nearest"))


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 1), (2, 3), (1, 1)])
def test_average_pooling(size: int, stride: int | None) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, (size, size), axis=(2, 3))
    step = stride or size
    expected = windows[:, :, ::step, ::step].mean(axis=(-2, -1))
    close(apply("avg_pool", IMAGE, size=size, stride=stride), expected)


def blurred(x: Array, sigma: float, window: int, axis: int) -> Array:
    """Along one axis: the weighted sum of what exists over the sum of its weights."""
    weights = np.exp(-((np.arange(window) - window // 2) ** 2) / (2 * sigma**2))
    sums = scipy.ndimage.correlate1d(x, weights, axis=axis, mode="constant")
    return sums / scipy.ndimage.correlate1d(np.ones_like(x), weights, axis=axis, mode="constant")


@pytest.mark.parametrize(("sigma", "window"), [(1.5, 5), (0.5, 3), (3.0, 11), (1.0, 1)])
def test_gaussian_blur(sigma: float, window: int) -> None:
    expected = blurred(blurred(IMAGE, sigma, window, 2), sigma, window, 3)
    close(apply("gaussian_blur", IMAGE, sigma=sigma, window=window), expected)


def test_gaussian_blur_reaches_3_sigma() -> None:
    close(
        apply("gaussian_blur", IMAGE, sigma=0.8),
        apply("gaussian_blur", IMAGE, sigma=0.8, window=7),
    )


def test_a_constant_image_stays_constant() -> None:
    close(apply("gaussian_blur", np.full((1, 1, 3, 4), 0.3), sigma=2.0), np.full((1, 1, 3, 4), 0.3))


def test_conv2d() -> None:
    kernel = ((-1.0, 0.5, 1.0), (-2.0, 0.25, 2.0))
    expected = [[scipy.signal.correlate2d(c, kernel, mode="valid") for c in x] for x in IMAGE]
    close(apply("conv2d", IMAGE, kernel=kernel), expected)


# --- schedules ---


@pytest.mark.parametrize(
    ("name", "arguments", "points"),
    [
        ("warmup", (10,), {0: 0, 5: 0.5, 10: 1, 99: 1}),
        ("linear", (1, 0.2, 10, 20), {0: 1, 10: 1, 15: 0.6, 20: 0.2, 99: 0.2}),
        ("cosine", (1, 0, 0, 10), {0: 1, 2.5: 0.5 + 0.25 * math.sqrt(2), 5: 0.5, 10: 0, 99: 0}),
        ("exp_decay", (2, 0.5, 10), {0: 2, 10: 1, 20: 0.5, 5: math.sqrt(2)}),
        ("cyclic", (0.1, 0.9, 8), {0: 0.1, 2: 0.5, 4: 0.9, 6: 0.5, 8: 0.1, 10: 0.5}),
    ],
)
def test_schedules(name: str, arguments: tuple[float, ...], points: Mapping[float, float]) -> None:
    for t, expected in points.items():
        close(record(name).run(torch.tensor(t, dtype=torch.float64), *arguments), expected)


def test_piecewise_changes_at_its_boundaries() -> None:
    expected = {0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01, 99: 0.01}
    for t, value in expected.items():
        time = torch.tensor(t, dtype=torch.float64)
        run = record("piecewise").run
        close(run(time, boundaries=(30, 60), values=(1.0, 0.1, 0.01)), value)
