"""Legal values of a call's inputs: unremarkable ones, and the extremes of each kind."""

from __future__ import annotations

import torch
from arguments import SIZES, Call
from torch import Tensor

NEVER_NEGATIVE = frozenset({"msle", "attention_target"})
"""Losses of values that have no kind of their own; what is below 0 counts as 0."""
INTEGERS = frozenset({"labels", "count"})


def ordinary(call: Call, dtype: torch.dtype = torch.float64, seed: int = 0) -> dict[str, Tensor]:
    """Unremarkable values of the kinds."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, kind, shape in zip(call.names, call.kinds, call.shapes, strict=True):
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        match kind:
            case "labels":
                value = (uniform * call.sizes.get("C", SIZES["C"])).long()
            case "count":
                value = 1 + (uniform * 8).long()
            case "prob" | "image":
                value = uniform
            case "positive":
                value = uniform + 0.5
            case "mask":
                value = uniform.round()
            case "sign":
                value = 2 * uniform.round() - 1
            case "log_prob":
                value = -normal.abs()
            case "class_prob":
                value = normal.softmax(class_axis(call, name))
            case "class_log_prob":
                value = normal.log_softmax(class_axis(call, name))
            case "one_hot":
                value = torch.nn.functional.one_hot(normal.argmax(1), shape[1]).movedim(-1, 1)
            case "unit":
                value = torch.nn.functional.normalize(normal, dim=-1)
            case "boxes":
                corner = uniform[..., :2]
                value = torch.cat((corner, corner + 0.1 + uniform[..., 2:]), -1)
            case _:
                value = normal.abs() if call.record.name in NEVER_NEGATIVE else normal
        made[name] = value if kind in INTEGERS else value.to(dtype)
    return legal(call, made)


def extreme(call: Call, dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
    """The farthest legal values: scores of ±1e4, probabilities of 0 and 1, boxes of pixels."""
    made = ordinary(call, torch.float64, seed)
    for name, kind in zip(call.names, call.kinds, strict=True):
        x = made[name]
        match kind:
            case "labels" | "count" | "mask" | "sign" | "one_hot":
                pass
            case "prob" | "image":
                x = x.round()
            case "log_prob":
                x = 1e4 * (x + 1).clamp(max=0)
            case "class_prob":
                x = (1e4 * x).softmax(class_axis(call, name)).round()
            case "class_log_prob":
                x = (1e4 * x.sign()).log_softmax(class_axis(call, name))
            case "positive":
                x = 1e4 * x
            case "boxes":
                x = 1e3 * x
            case "unit":
                x = torch.zeros_like(x).index_fill(-1, torch.tensor(0), 1.0)
            case _:
                x = (50 if call.record.name == "kl_normal" else 1e4) * x.sign()
        made[name] = x if kind in INTEGERS else x.to(dtype)
    return legal(call, made)


def filled(call: Call, dtype: torch.dtype, number: float) -> dict[str, Tensor]:
    """Everything equal: constant images, identical vectors, boxes that are points."""
    made = {}
    for name, kind, shape in zip(call.names, call.kinds, call.shapes, strict=True):
        value = torch.full(shape, number, dtype=dtype)
        match kind:
            case "labels" | "count":
                value = torch.zeros(shape, dtype=torch.int64)
            case "sign" | "positive":
                value = torch.ones_like(value)
            case "log_prob":
                value = -value
            case "class_prob":
                value = torch.ones_like(value) / shape[class_axis(call, name)]
            case "class_log_prob":
                value = value.log_softmax(class_axis(call, name))
            case "one_hot":
                value = torch.zeros_like(value)
                value[:, 0] = 1
            case "unit":
                value = torch.nn.functional.normalize(torch.ones_like(value), dim=-1)
        made[name] = value
    return legal(call, made)


def class_axis(call: Call, name: str) -> int:
    """Where an input has its classes."""
    return call.axes[call.names.index(name)].index("C")


def alike(call: Call, dtype: torch.dtype) -> dict[str, Tensor]:
    return filled(call, dtype, 1.0)


def nothing(call: Call, dtype: torch.dtype) -> dict[str, Tensor]:
    """Zero scores, vectors and images, boxes without sides at the origin."""
    return filled(call, dtype, 0.0)


def legal(call: Call, made: dict[str, Tensor]) -> dict[str, Tensor]:
    """The values, where a loss asks for more than kinds say: a square matrix is a covariance."""
    for name, axes in zip(call.names, call.axes, strict=True):
        if len(axes) > 1 and axes[-1] == axes[-2] and axes[-1].isalpha():
            matrix = made[name].clamp(-3, 3)
            made[name] = matrix @ matrix.mT + torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    if call.record.name == "ctc":  # Labels but the blank, in transcripts that fit their frames.
        made["x1"] = 1 + made["x1"] % (call.sizes["C"] - 1)
        made["x2"] = call.sizes["T"] - made["x2"] % 2
        made["x3"] = 1 + made["x3"] % call.sizes["L"]
    return made
