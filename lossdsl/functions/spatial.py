"""Functions of neighbouring values: differences, resampling, smoothing.

An image is `[B, C, H, W]`: the axes behind the first two are those of space, one, two or three.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.axes import whole_number
from lossdsl.functions.numbers import is_number, is_whole
from lossdsl.functions.record import CallSite, Rule, function
from lossdsl.functions.rules import floating
from lossdsl.types.dims import Dim
from lossdsl.types.kinds import KINDS, is_sub
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type

# What weighted means of neighbours are; all that is not named here becomes `real`.
_AVERAGED = {
    "logits": "logits",
    "class_logits": "class_logits",
    "prob": "prob",
    "mask": "prob",
    "class_prob": "class_prob",
    "one_hot": "class_prob",
    "log_prob": "log_prob",
    "class_log_prob": "log_prob",
    "score": "score",
    "positive": "positive",
    "image": "image",
}

# --- differences ---


def _shorter(site: CallSite, tensor: TensorType, less: dict[int, int]) -> Shape:
    """The shape with some axes, counted from the back, shorter by so many entries."""
    shape = tensor.shape
    if shape.rank is not None and shape.rank < -min(less):
        site.refuse(
            "E402", f"`{site.name}` needs {-min(less)} axes of space, and this is {shape}", 0
        )
    for axis, count in less.items():
        size = shape.axis(axis)
        if size is None:
            return site.solver.any_shape()
        _enough(site, size, count + 1)
        shape = shape.replaced(axis, size - Dim.of(count))
    return shape


def _enough(site: CallSite, size: Dim, needed: int) -> None:
    known = site.solver.valued(size).number
    if known is not None and known < needed:
        site.refuse("E404", f"`{site.name}` needs {needed} entries on an axis, not {known}", 0)


def _difference(less: dict[int, int]) -> Rule:
    def rule(site: CallSite) -> Type:
        return TensorType("real", _shorter(site, floating(site, 0), less))

    return rule


@function("dx", _difference({-1: 1}), latex=r"\partial_x")
def dx(x: Tensor) -> Tensor:
    """Each value's right neighbour minus the value: x[…, j+1] - x[…, j], one column fewer."""
    return x[..., 1:] - x[..., :-1]


@function("dy", _difference({-2: 1}), latex=r"\partial_y")
def dy(x: Tensor) -> Tensor:
    """Each value's lower neighbour minus the value: x[…, i+1, j] - x[…, i, j], one row fewer."""
    return x[..., 1:, :] - x[..., :-1, :]


@function("laplacian", _difference({-2: 2, -1: 2}), latex=r"\Delta")
def laplacian(x: Tensor) -> Tensor:
    """The four neighbours minus four times the value, at inner points: two rows and columns
    fewer."""
    middle = x[..., 1:-1, 1:-1]
    upper, lower = x[..., :-2, 1:-1], x[..., 2:, 1:-1]
    left, right = x[..., 1:-1, :-2], x[..., 1:-1, 2:]
    return upper + lower + left + right - 4 * middle


# --- resampling ---


def _space(site: CallSite, tensor: TensorType) -> int | None:
    """How many axes of space there are; None where that is unknown."""
    rank = tensor.shape.rank
    if rank is None:
        return None
    if not 3 <= rank <= 5:
        site.refuse(
            "E402",
            f"`{site.name}` takes [B, C, …] with one to three axes of space, not {tensor.shape}",
            0,
            "a missing axis is added by indexing: `x[:, none]`",
        )
    return rank - 2


def _averaged(site: CallSite, tensor: TensorType, shape: Shape) -> TensorType:
    kind = _AVERAGED.get(tensor.kind, "real")
    return _apart_from_classes(site, tensor).of_kind(kind).with_shape(shape)


def _apart_from_classes(site: CallSite, tensor: TensorType) -> TensorType:
    if tensor.axis not in (None, 0, 1):
        site.refuse(
            "E306",
            f"`{site.name}` would mix the classes: they stand on axis {tensor.axis}",
            0,
            f"move them: `movedim({site.texts[0]}, {tensor.axis}, 1)`",
        )
    return tensor


def _interpolate(site: CallSite) -> Type:
    tensor = site.tensor(0)
    like = site.tensor(1) if len(site.operands) > 1 else None
    given = site.literals.get("size")
    if (like is None) == (given is None):
        site.refuse("E204", "`interpolate` takes either `like=` or `size=`", None)
    stepped = KINDS[tensor.kind].integer or is_sub(tensor.kind, "mask")
    mode = site.literals.setdefault("mode", "nearest" if stepped else "linear")
    if mode not in ("linear", "nearest") or (mode == "linear" and KINDS[tensor.kind].integer):
        site.refuse(
            "E206",
            f"`{tensor.kind}` cannot be interpolated by {mode!r}",
            "mode",
            "the modes are 'linear' and 'nearest'; class indices only take 'nearest'",
        )
    shape = _resampled(site, tensor, like)
    if mode == "nearest":
        whole = KINDS[tensor.kind].integer
        kind = tensor.kind if tensor.kind in _AVERAGED or whole else "real"
        return _apart_from_classes(site, tensor).of_kind(kind).with_shape(shape)
    return _averaged(site, tensor, shape)


def _resampled(site: CallSite, tensor: TensorType, like: TensorType | None) -> Shape:
    """The shape with the sizes of space from the partner or from `size`."""
    shape = tensor.shape
    if like is None:
        given = site.literals["size"]
        sizes = given if isinstance(given, tuple) else (given,)
        if not all(is_whole(s) and s > 0 for s in sizes):
            site.refuse("E206", "`size` is a whole number for each axis of space", "size")
        site.literals["size"] = sizes
        new = tuple(Dim.of(size) for size in sizes)
    else:
        ranks = [_full_rank(t) for t in (tensor, like)]
        if ranks[0] is None or ranks[1] is None:
            return site.solver.any_shape()
        space = max(ranks[0], ranks[1]) - 2
        if not 1 <= space <= 3 or min(shape.rank or 0, like.shape.rank or 0) <= space:
            site.refuse(
                "E402",
                f"`interpolate` of {shape} like {like.shape}: which axes are space?",
                None,
                "both are [B, C, …] with the same axes of space; one may lack the C",
            )
        new = like.shape.dims[-space:]
    if shape.rank is None:
        return site.solver.any_shape()
    if not len(new) + 1 <= shape.rank <= len(new) + 2:
        site.refuse("E402", f"`interpolate` of {shape} to {len(new)} sizes of space", "size")
    return Shape((*shape.dims[: -len(new)], *new))


def _full_rank(tensor: TensorType) -> int | None:
    """The number of axes, counting the channel that class indices lack."""
    rank = tensor.shape.rank
    return None if rank is None else rank + KINDS[tensor.kind].integer


@function("interpolate", _interpolate, literals=("size", "mode"))
def interpolate(
    x: Tensor, like: Tensor | None = None, size: Any = None, mode: str = "linear"
) -> Tensor:
    """Values resampled to the size of another tensor, `interpolate(p, like=y)`, or to a given
    one, `interpolate(p, size=[64, 64])`.

    Floats are interpolated linearly between pixel centres (torch's `align_corners=False`);
    labels and masks take the nearest value, and so does all else with `mode='nearest'`.
    """
    if size is None:
        assert like is not None
        ranks = (t.dim() + (not t.is_floating_point()) for t in (x, like))
        size = like.shape[2 - max(ranks) :]
    if mode == "nearest":
        for axis, new in zip(range(-len(size), 0), size, strict=True):
            x = _nearest(x, axis, new)
        return x
    name = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    if x.dim() == len(size) + 1:
        return F.interpolate(x[:, None], size=tuple(size), mode=name)[:, 0]
    return F.interpolate(x, size=tuple(size), mode=name)


def _nearest(x: Tensor, axis: int, new: int) -> Tensor:
    """Entry i comes from entry floor(i*old/new), in whole numbers and for every dtype."""
    places = torch.arange(new, device=x.device) * x.shape[axis] // new
    return x.index_select(axis, places)


# --- smoothing ---


def _avg_pool(site: CallSite) -> Type:
    tensor = floating(site, 0)
    window = whole_number(site, "size", None, 1)
    stride = window if site.literals.get("stride") is None else whole_number(site, "stride", 1, 1)
    site.literals["stride"] = stride
    space = _space(site, tensor)
    if space is None:
        return _averaged(site, tensor, site.solver.any_shape())
    dims = list(tensor.shape.dims)
    for axis in range(2, 2 + space):
        _enough(site, dims[axis], window)
        dims[axis] = (dims[axis] + Dim.of(stride - window)) // stride
    return _averaged(site, tensor, Shape(tuple(dims)))


@function("avg_pool", _avg_pool, literals=("size", "stride"), keeps=True)
def avg_pool(x: Tensor, size: int, stride: int | None = None) -> Tensor:
    """Means of windows of `size` entries an axis of space, `stride` apart (as far as they are
    long, if nothing is said); an incomplete last window is left out."""
    pools: dict[int, Callable[..., Tensor]] = {
        1: F.avg_pool1d,
        2: F.avg_pool2d,
        3: F.avg_pool3d,
    }
    return pools[x.dim() - 2](x, size, stride)


def _gaussian_blur(site: CallSite) -> Type:
    tensor = floating(site, 0)
    sigma = site.literals["sigma"]
    if not is_number(sigma) or not 0 < sigma < math.inf:
        site.refuse("E206", "`sigma` is a number above 0", "sigma")
    if site.literals.get("window") is None:
        site.literals["window"] = _window(sigma)
    window = whole_number(site, "window", None, 1)
    if window % 2 == 0:
        site.refuse("E206", "`window` is odd, so that it has a middle", "window")
    _space(site, tensor)
    return _averaged(site, tensor, tensor.shape)


def _window(sigma: float) -> int:
    return 2 * math.ceil(3 * sigma) + 1


@function("gaussian_blur", _gaussian_blur, literals=("sigma", "window"), keeps=True)
def gaussian_blur(x: Tensor, sigma: float, window: int | None = None) -> Tensor:
    """Means of neighbours with Gaussian weights, exp(-d²/(2 sigma²)), on the axes of space.

    `window` is how many neighbours an axis, itself among them; by default it reaches 3 sigma. At
    the border the weights of the pixels that exist sum to 1, so a constant stays a constant.
    """
    window = _window(sigma) if window is None else window
    offsets = torch.arange(window, dtype=x.dtype, device=x.device) - window // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    for axis in range(2, x.dim()):
        x = _smoothed(x, axis, weights)
    return x


def _smoothed(x: Tensor, axis: int, weights: Tensor) -> Tensor:
    """Weighted means along one axis; weights that fall outside do not count."""
    size, reach = x.shape[axis], weights.shape[0] // 2
    kernel = weights.view(1, 1, -1)
    ones = torch.ones(1, 1, size, dtype=x.dtype, device=x.device)
    total = F.conv1d(ones, kernel, padding=reach).view(-1)
    last = x.movedim(axis, -1)
    sums = F.conv1d(last.reshape(-1, 1, size), kernel, padding=reach)
    return (sums.reshape(last.shape) / total).movedim(-1, axis)


def _conv2d(site: CallSite) -> Type:
    tensor = floating(site, 0)
    kernel = site.literals["kernel"]
    rows = kernel if isinstance(kernel, tuple) else ()
    widths = {len(row) if isinstance(row, tuple) else 0 for row in rows}
    if len(widths) != 1 or 0 in widths or not all(is_number(v) for row in rows for v in row):
        site.refuse("E206", "a kernel is a list of rows of numbers: `[[-1, 0, 1]]`", "kernel")
    return TensorType("real", _shorter(site, tensor, {-2: len(rows) - 1, -1: widths.pop() - 1}))


@function("conv2d", _conv2d, literals=("kernel",))
def conv2d(x: Tensor, kernel: Any) -> Tensor:
    """Weighted sums of neighbours, the same for every channel, where the kernel lies inside:
    sum over a, b of kernel[a][b]*x[…, i+a, j+b]."""
    height, width = x.shape[-2:]
    rows, columns = len(kernel), len(kernel[0])
    weights = torch.tensor(kernel, dtype=x.dtype, device=x.device).view(1, 1, rows, columns)
    sums = F.conv2d(x.reshape(-1, 1, height, width), weights)
    return sums.reshape(*x.shape[:-2], height - rows + 1, width - columns + 1)
