"""What the compiler inserts to turn one kind into another. Each shows as a node of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.classes import log_softmax, softmax, unit_vectors
from lossdsl.functions.op import Op
from lossdsl.functions.pointwise import exp, logsigmoid, sigmoid


def one_hot_like(y: Tensor, like: Tensor, *, axis: int) -> Tensor:
    """Class indices as 0/1 per class, with as many classes as `like` has along its axis."""
    classes = like.shape[axis]
    shape = [1] * like.dim()
    shape[axis] = classes
    numbers = torch.arange(classes, device=y.device).view(shape)
    return (y.unsqueeze(axis) == numbers).to(like.dtype)


def mask_to_sign(y: Tensor) -> Tensor:
    """0/1 to -1/1."""
    return 2 * y - 1


def move_class_axis(x: Tensor, *, source: int, destination: int) -> Tensor:
    """The class axis where a loss expects it; a view."""
    return torch.movedim(x, source, destination)


def as_float(x: Tensor) -> Tensor:
    """Values in the precision that losses calculate in: float64 stays, all else is float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.to(torch.float32)


def as_floats(features: list[Tensor]) -> list[Tensor]:
    """Feature maps in the precision that losses calculate in."""
    return [as_float(x) for x in features]


def as_floating(x: Tensor) -> Tensor:
    """Values in their own precision (`compute_dtype: input`); bool and int become float32."""
    return x if x.is_floating_point() else x.to(torch.float32)


def as_index(y: Tensor) -> Tensor:
    """Class indices as int64."""
    return y if y.dtype == torch.int64 else y.to(torch.int64)


def real_part(x: Tensor) -> Tensor:
    """The real part of a spectrum."""
    return x.real


def as_tensor(value: float) -> Tensor:
    """A number as a 0-dim tensor, which takes the precision of whatever it meets."""
    return torch.full((), value, dtype=torch.float64)


def as_scalar(value: Tensor, like: Tensor) -> Tensor:
    """A param or schedule in the precision of the tensors that it meets."""
    return value.to(like.dtype)


def filled_like(value: Tensor | float, like: Tensor) -> Tensor:
    """A number standing for a tensor: as many times as the partner has elements."""
    if isinstance(value, Tensor):
        return value.expand_as(like)
    return torch.full_like(like, value)


def filled_rows(value: Tensor | float, like: Tensor, *, axes: int) -> Tensor:
    """A number standing for one value of each of the first axes of its partner."""
    if isinstance(value, Tensor):
        return value.expand(like.shape[:axes])
    return torch.full(like.shape[:axes], value, dtype=like.dtype, device=like.device)


def kept_labels(y: Tensor, *, ignore: int) -> Tensor:
    """1 where a label counts, 0 where it is the ignored index."""
    return (y != ignore).to(torch.float32)


def known_labels(y: Tensor, *, ignore: int) -> Tensor:
    """Labels with the ignored ones replaced by class 0, which a mask then leaves out."""
    return torch.where(y == ignore, 0, y)


def class_weight_of(y: Tensor, weights: Tensor) -> Tensor:
    """The weight of each element's class."""
    return weights[y]


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Centre and size to corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Corner and size to corners."""
    corner = boxes[..., :2]
    return torch.cat((corner, corner + boxes[..., 2:]), dim=-1)


def align(x: Tensor, like: Tensor, *, axis: int) -> Tensor:
    """A mask or weight with axes of size 1 where the map has axes that it lacks: the class or
    channel axis, or all but the first."""
    if x.dim() == like.dim() or x.dim() == 0:
        return x
    if x.dim() == 1:
        return x.reshape(-1, *[1] * (like.dim() - 1))
    return x.unsqueeze(axis if axis >= 0 else like.dim() + axis)


def hidden(x: Tensor, mask: Tensor, *, fill: float) -> Tensor:
    """Values with a harmless number where the mask is 0: what is not counted cannot spoil the
    gradient of what is, be it NaN (a missing target) or infinite."""
    return torch.where(mask != 0, x, fill)


def hidden_maps(maps: list[Tensor], mask: Tensor) -> list[Tensor]:
    """Feature maps with 0 in the samples for which the mask is 0."""
    kept = mask != 0
    return [
        torch.where(kept.reshape(-1, *[1] * (x.dim() - 1)) if kept.dim() else kept, x, 0.0)
        for x in maps
    ]


def listed_like(like: Tensor, *, values: tuple[float, ...]) -> Tensor:
    """A list of numbers as a tensor on the device and in the precision of another."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def class_weight_like(weights: Tensor, like: Tensor, *, axis: int, skip: int) -> Tensor:
    """Class weights along the class axis of a map; `skip` drops the background's."""
    shape = [1] * like.dim()
    shape[axis] = -1
    return weights[skip:].view(shape)


def _op(function: Callable[..., Any]) -> Op:
    return Op(function.__name__, function, "convert")


SIGMOID = _op(sigmoid)
LOGSIGMOID = _op(logsigmoid)
SOFTMAX = _op(softmax)
LOG_SOFTMAX = _op(log_softmax)
EXP = _op(exp)
UNIT = _op(unit_vectors)
ONE_HOT = _op(one_hot_like)
MASK_TO_SIGN = _op(mask_to_sign)
MOVE_CLASS_AXIS = _op(move_class_axis)
AS_FLOAT = _op(as_float)
AS_FLOATS = _op(as_floats)
AS_FLOATING = _op(as_floating)
AS_INDEX = _op(as_index)
REAL_PART = _op(real_part)
AS_TENSOR = _op(as_tensor)
AS_SCALAR = _op(as_scalar)
FILLED_LIKE = _op(filled_like)
FILLED_ROWS = _op(filled_rows)
KEPT_LABELS = _op(kept_labels)
KNOWN_LABELS = _op(known_labels)
CLASS_WEIGHT_OF = _op(class_weight_of)
ALIGN = _op(align)
HIDDEN = _op(hidden)
HIDDEN_MAPS = _op(hidden_maps)
LISTED_LIKE = _op(listed_like)
CLASS_WEIGHT_LIKE = _op(class_weight_like)

BOX_OPS = {"cxcywh": _op(cxcywh_to_xyxy), "xywh": _op(xywh_to_xyxy)}

CONVERSIONS = {
    "sigmoid": SIGMOID,
    "logsigmoid": LOGSIGMOID,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "exp": EXP,
    "unit_vectors": UNIT,
    "mask_to_sign": MASK_TO_SIGN,
}
"""The operations that the kinds table names, without the ones that need a partner."""
