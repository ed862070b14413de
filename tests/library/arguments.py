"""Legal arguments for any loss of the catalogue, made from its signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lossdsl.library import registry
from lossdsl.library.record import LossRecord, Overload
from lossdsl.types.signature import read_signature

SIZES = {
    "B": 2,
    "N": 11,
    "M": 5,
    "C": 3,
    "D": 6,
    "H": 8,
    "W": 8,
    "Q": 2,
    "4": 4,
    "5": 5,
    "T": 8,
    "L": 2,
    "K": 5,
    "2": 2,
}
PARAMETERS = {
    "spectral_convergence": ", window=4",
    "stft_magnitude": ", window=4",
    "mr_stft": ", window=4, scales=2",
    "ms_ssim": ", window=3, weights=[0.5, 0.5]",
    "ssim": ", window=3",
    "mase": ", season=1",
    "class_balanced": ", counts=[50, 10, 1]",
    "ldam": ", counts=[50, 10, 1]",
    "seesaw": ", counts=[50, 10, 1]",
}


@dataclass
class Call:
    """One form of a loss with declared inputs: `text` is its program."""

    record: LossRecord
    kinds: tuple[str, ...]
    shapes: list[list[int]]
    map_shape: list[int]
    inputs: dict[str, Tensor] = field(default_factory=dict)

    def text(self, keywords: str = "") -> str:
        lines = [
            f"input x{i}: {kind}[{', '.join(self._axes(kind, shape))}]"
            for i, (kind, shape) in enumerate(zip(self.kinds, self.shapes, strict=True))
        ]
        own = PARAMETERS.get(self.record.name, "")
        names = ", ".join(f"x{i}" for i in range(len(self.kinds)))
        return "\n".join([*lines, f"{self.record.name}({names}{own}{keywords})"])

    def _axes(self, kind: str, shape: list[int]) -> list[str]:
        axes = [str(size) for size in shape]
        return [axes[0], "C", *axes[2:]] if kind.startswith("class_") else axes


def sizes(text: str, space: tuple[int, ...], rows: int | None) -> list[int]:
    shape: list[int] = []
    for name in (part.strip() for part in text.split(",") if part.strip()):
        if name.startswith("*"):
            shape += space
        else:
            shape.append(rows if rows is not None and name in "BN" else SIZES[name])
    return shape


def calls(
    space: tuple[int, ...] = (4, 5), rows: int | None = None
) -> Iterator[tuple[str, Call, Overload]]:
    """Every form of every loss of tensors, by each kind that its first argument may have."""
    for record in registry.records().values():
        if record.family == "user" or "features" in record.overloads[0].signature:
            continue
        for form in record.overloads:
            if form.when is not None and not form.when({"q": 0.5}):
                continue
            signature = read_signature(form.signature)
            needed = [slot for slot in signature.slots if not slot.optional]
            for kind in dict.fromkeys(k for k in needed[0].kinds if k != "unit"):
                kinds = (kind, *(slot.kinds[0] for slot in needed[1:]))
                shapes = [sizes(slot.shape_text, space, rows) for slot in needed]
                for index, (own, slot) in enumerate(zip(kinds, needed, strict=True)):
                    if own == "labels" and slot.shape_text.startswith("B, C"):
                        del shapes[index][1]
                call = Call(record, kinds, shapes, sizes(signature.map_text, space, rows))
                yield f"{record.name}-{'-'.join(kinds)}", call, form


def ordinary(call: Call, dtype: torch.dtype = torch.float64, seed: int = 0) -> dict[str, Tensor]:
    """Unremarkable values of the kinds."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for index, (kind, shape) in enumerate(zip(call.kinds, call.shapes, strict=True)):
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        match kind:
            case "labels":
                made[f"x{index}"] = (uniform * SIZES["C"]).long()
                continue
            case "count":
                made[f"x{index}"] = 1 + (uniform * 8).long()
                continue
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
                value = normal.softmax(1)
            case "class_log_prob":
                value = normal.log_softmax(1)
            case "boxes":
                corner = uniform[..., :2]
                value = torch.cat((corner, corner + 0.1 + uniform[..., 2:]), -1)
            case _:
                value = normal
        made[f"x{index}"] = value.to(dtype)
    return with_covariance(call, made)


def extreme(call: Call, dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
    """The farthest legal values: scores of ±1e4, probabilities of 0 and 1, boxes of pixels."""
    made = ordinary(call, torch.float64, seed)
    for index, kind in enumerate(call.kinds):
        name = f"x{index}"
        x = made[name]
        match kind:
            case "labels" | "count" | "mask" | "sign":
                continue
            case "prob" | "image":
                x = x.round()
            case "log_prob":
                x = 1e4 * (x + 1).clamp(max=0)
            case "class_prob":
                x = (1e4 * x).softmax(1).round()
            case "class_log_prob":
                x = (1e4 * x.sign()).log_softmax(1)
            case "positive":
                x = 1e4 * x
            case "boxes":
                x = 1e3 * x
            case _:
                x = (50 if call.record.name == "kl_normal" else 1e4) * x.sign()
        made[name] = x.to(dtype)
    return with_covariance(call, made)


def alike(call: Call, dtype: torch.dtype) -> dict[str, Tensor]:
    """Everything equal: constant images, identical vectors, boxes that are points."""
    made = {}
    for index, (kind, shape) in enumerate(zip(call.kinds, call.shapes, strict=True)):
        value = torch.full(shape, 1.0, dtype=dtype)
        if kind in ("labels", "count"):
            value = torch.zeros(shape, dtype=torch.int64)
        elif kind == "log_prob":
            value = -value
        elif kind == "class_prob":
            value = value / shape[1]
        elif kind == "class_log_prob":
            value = value.log_softmax(1)
        made[f"x{index}"] = value
    return with_covariance(call, made)


def with_covariance(call: Call, made: dict[str, Tensor]) -> dict[str, Tensor]:
    """The values, with a matrix that is a covariance where the loss needs one."""
    if call.record.name == "mahalanobis":
        matrix = made["x2"].clamp(-3, 3)
        made["x2"] = matrix @ matrix.mT + torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    return made
