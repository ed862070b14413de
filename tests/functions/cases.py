"""One table of calls that covers every function of the language.

Sizes are symbols, so that each call can be made at many sizes; `least` says which ones need more
than one entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from calling import Operand, read, record, sample, sizes_of, symbol

from lossdsl.types.dims import Dim
from lossdsl.types.values import NUMBER, Tensor


@dataclass(frozen=True)
class Case:
    """A call: the types of the operands (or numbers), and the literals."""

    name: str
    operands: tuple[Operand, ...]
    literals: Mapping[str, Any] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [str(x) for x in self.operands]
        parts += [f"{key}={_written(value)}" for key, value in self.literals.items()]
        return f"{self.name}({', '.join(parts)})"

    def axis(self, name: Dim) -> int:
        """Where the first operand has a size."""
        return self.types()[0].shape.dims.index(name)

    def types(self) -> list[Tensor]:
        return [read(x) if isinstance(x, str) else NUMBER for x in self.operands]

    def tensors(self, sizes: Mapping[str, int], seed: int = 0) -> list[Any]:
        """Random operands at these sizes."""
        generator = torch.Generator().manual_seed(seed)
        return [
            sample(read(x), sizes_of(read(x).shape, sizes), generator) if isinstance(x, str) else x
            for x in self.operands
        ]

    def run(self, tensors: list[Any], literals: Mapping[str, Any]) -> Any:
        return record(self.name).run(*tensors, **literals)


def _written(value: Any) -> str:
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, tuple) else str(value)


def case(
    name: str, *operands: Operand, least: Mapping[str, int] | None = None, **literals: Any
) -> Case:
    return Case(name, operands, literals, least or {})


SIZES: tuple[dict[str, int], ...] = (
    {"B": 2, "C": 3, "D": 4, "H": 5, "W": 7, "N": 4, "K": 3, "T": 6},
    {"B": 1, "C": 1, "D": 1, "H": 1, "W": 1, "N": 1, "K": 1, "T": 1},
    {"B": 3, "C": 2, "D": 6, "H": 4, "W": 4, "N": 2, "K": 5, "T": 1},
    {"B": 4, "C": 5, "D": 3, "H": 8, "W": 3, "N": 5, "K": 2, "T": 3},
)


def sizes_for(one: Case) -> list[dict[str, int]]:
    """All assignments of sizes, raised to what the call needs."""
    return [{k: max(v, one.least.get(k, 1)) for k, v in sizes.items()} for sizes in SIZES]


_UNARY = {
    "neg": "real",
    "exp": "real",
    "log": "positive",
    "log1p": "positive",
    "sqrt": "positive",
    "abs": "real",
    "sign": "real",
    "floor": "real",
    "relu": "real",
    "sigmoid": "logits",
    "logsigmoid": "logits",
    "softplus": "real",
    "tanh": "real",
    "sin": "real",
    "cos": "real",
    "atan": "real",
    "acos": "prob",
    "lgamma": "positive",
    "detach": "real",
    "not": "mask",
}
_BROADCAST = ("+", "-", "*", "/", "minimum", "maximum", "<", "<=", ">", ">=", "==", "!=")
_REDUCED = ("mean", "sum", "max", "min", "norm", "var", "std", "logsumexp")
_IMAGE = "real[B, C, H, W]"
_CLASSES = "class_logits[B, C, H, W]"

OPERATORS = (
    *(case(name, f"{kind}[B, H]") for name, kind in _UNARY.items()),
    *(case(name, "real[B, H]", "real[B, H]") for name in _BROADCAST),
    *(case(name, "real[B, 1, W]", "real[1, C, W]") for name in _BROADCAST),
    *(case(name, "real[B]", 0.25) for name in _BROADCAST),
    *(case(name, 0.25, "real[B, C]") for name in _BROADCAST),
    *(case(name, "labels[B, H]", "labels[B, H]") for name in ("==", "!=", "<")),
    case("==", "labels[B, H]", 2),
    case("**", "positive[B, H]", "real[B, H]"),
    case("**", "real[B]", 2),
    case("and", "mask[B, H]", "mask[B, H]"),
    case("or", "mask[B, H]", "mask[B, 1]"),
    case("where", "mask[B, H]", "real[B, H]", "real[B, H]"),
    case("where", "mask[B, 1]", "real[1, H]", 0.5),
    case("where", "mask[B, H]", 0.1, 0.2),
    case("where", "mask[B, H]", "labels[B, H]", 3),
    case("where", "mask[B, 1, H]", "class_prob[B, C, H]", "class_prob[B, C, H]"),
    case("where", "mask[B, C, H]", "class_prob[B, C, H]", "class_prob[B, C, H]"),
    case("where", "mask[B, C]", "one_hot[B, C]", 0),
    case("clamp", "real[B, H]", -0.5, 0.5),
    case("clamp", "real[B, H]", "real[]", 2.0),
    case("clamp", "real[B, H]", "real[]", "positive[]"),
    case("clamp", "mask[B, H]", 0.1, 0.9),
    case("clamp", "class_prob[B, C]", 0.2, 1.0),
    case("maximum", "mask[B, H]", 0.5),
    case("maximum", "mask[B, H]", 0),
    case("maximum", "prob[B, H]", 2),
    case("minimum", "prob[B, H]", 2),
    case("minimum", "class_prob[B, C]", "class_prob[B, C]"),
    case("maximum", "one_hot[B, C]", "one_hot[B, C]"),
    case("maximum", "positive[B]", 0),
    case("minimum", "positive[B]", 0),
    case("@", "real[B, C]", "real[C, D]"),
    case("@", "real[B]", "real[B]"),
    case("@", "real[B, C]", "real[C]"),
    case("@", "real[C]", "real[C, D]"),
    case("@", "real[B, H, C]", "real[B, C, W]"),
    case("@", "real[B, H, C]", "real[C, W]"),
    case("@", "real[B, H, C]", "real[C]"),
    case("@", "real[H, C]", "real[B, C, W]"),
    case("matmul", "real[B, C]", "real[C, D]"),
    case("einsum", "real[B, C]", "real[B, D]", equation="bi,bj->bij"),
    case("einsum", "real[B, C, H, W]", "real[B, D, H, W]", equation="bchw, bdhw -> bcd"),
    case("einsum", "real[N, N]", equation="ii->"),
    case("einsum", "real[B, C]", "real[C, D]", "real[D]", equation="ab,bc,c->a"),
)

REDUCTIONS = (
    *(case(name, "real[B, C, H]", least={"B": 2}) for name in _REDUCED),
    *(case(name, "real[B, C, H]", over=(symbol("C"), 2), least={"C": 2}) for name in _REDUCED),
    *(case(name, "real[B, C, H]", over=-1, keepdim=True, least={"H": 2}) for name in _REDUCED),
    *(case(name, "real[B, C]", keepdim=True, least={"B": 2}) for name in _REDUCED),
    *(case(name, "real[B, H]", "mask[B, H]") for name in ("mean", "sum")),
    *(case(name, "real[B, H]", "mask[B, 1]", over=(1,)) for name in ("mean", "sum")),
    *(case(name, "prob[B, H]", over=0) for name in ("mean", "max", "min")),
    *(case(name, "class_prob[B, C, H]", over=0) for name in ("mean", "max", "min")),
    *(case(name, "class_logits[B, C, H]", over=2) for name in ("mean", "max")),
    case("norm", "real[B, D]", p=1.0, over=1),
    case("var", "real[B, D]", correction=0),
    case("std", "real[B, D]", correction=0, over=0),
)

CLASSES = (
    case("softmax", _CLASSES, least={"C": 2}),
    case("softmax", "class_logits[B, T, C]", least={"C": 2}),
    case("softmax", "real[B, D]", over=-1, least={"D": 2}),
    case("log_softmax", _CLASSES, least={"C": 2}),
    case("log_softmax", "real[B, D]", over=(symbol("D"),), least={"D": 2}),
    case("argmax", _CLASSES),
    case("argmax", "class_logits[B, T, C]"),
    case("argmax", "real[B, D]", over=0),
    case("one_hot", "labels[B, H, W]", classes=4),
    case("one_hot", "labels[]", classes=4),
    case("normalize", "real[B, D]"),
    case("normalize", _IMAGE, over=1),
    case("cosine_similarity", "real[B, D]", "real[B, D]"),
    case("pairwise_distance", "real[B, D]", "real[B, D]"),
    case("pairwise_distance", "real[B, N, D]", "real[B, N, D]", p=1.0),
    case("cdist", "real[N, D]", "real[K, D]"),
    case("cdist", "real[B, N, D]", "real[B, K, D]", p=3.0),
    case("cosine_similarity", _IMAGE, _IMAGE, over=symbol("C")),
)

SHAPING = (
    case("reshape", _IMAGE, shape=(symbol("B"), -1)),
    case("reshape", _IMAGE, shape=(symbol("B"), symbol("C"), -1)),
    case("reshape", _IMAGE, shape=(-1, symbol("W"))),
    case("reshape", _IMAGE, shape=-1),
    case("reshape", "real[B, 6, H]", shape=(-1, 2, 3, symbol("H"))),
    case("reshape", "real[B, 6]", shape=(symbol("B"), 3, 2)),
    case("reshape", "real[2, 6]", shape=(3, -1)),
    case("reshape", "class_logits[B, T, C]", shape=(-1, symbol("C"))),
    case("reshape", "labels[B, T]", shape=(-1,)),
    case("reshape", "real[]", shape=(1, 1)),
    case("flatten", _IMAGE),
    case("flatten", _IMAGE, start=1),
    case("flatten", _IMAGE, start=1, end=2),
    case("flatten", _IMAGE, start=-2, end=-2),
    case("flatten", "real[]"),
    case("flatten", "class_logits[B, T, C]", start=0, end=1),
    case("permute", _IMAGE, axes=(0, 2, 3, 1)),
    case("permute", _IMAGE, axes=(symbol("W"), symbol("B"), -2, 1)),
    case("permute", _CLASSES, axes=(0, 2, 3, 1)),
    case("transpose", _IMAGE),
    case("transpose", _CLASSES, a=1, b=2),
    case("movedim", _CLASSES, source=1, destination=-1),
    case("movedim", _IMAGE, source=symbol("W"), destination=0),
    case("flip", _IMAGE, over=(symbol("W"),)),
    case("flip", "class_prob[B, C]", over=1),
    case("roll", _IMAGE, shift=2, over=-1),
    case("roll", _IMAGE, shift=(1, -1), over=(2, 3)),
    case("cat", "real[B, C]", "real[B, D]", "real[B, 2]", over=1),
    case("cat", "real[B, C]", "real[N, C]"),
    case("cat", "class_prob[B, C]", "class_prob[B, C]", over=1),
    case("cat", "one_hot[B, C]", "one_hot[N, C]"),
    case("cat", "labels[B]", "labels[N]"),
    case("cat", "mask[B, H]", "prob[B, W]", over=-1),
    case("stack", "real[B, C]", "real[B, C]"),
    case("stack", "class_logits[B, C]", "class_logits[B, C]", over=1),
    case("stack", "class_prob[B, C]", "class_prob[B, C]", "class_prob[B, C]", over=-1),
    case("pad", _IMAGE, over=(2, 3), before=1, after=2),
    case("pad", "real[B, T]", over=symbol("T"), after=3, value=-1.5),
    case("pad", "prob[B, T]", over=0, before=1, value=2),
    case("pad", "mask[B, T]", over=1, before=1, value=0.5),
    case("pad", "class_prob[B, C]", over=1, before=2),
    case("pad", "class_prob[B, C]", over=0, before=2),
    case("pad", "one_hot[B, C, H]", over=2, after=1),
    case("pad", "class_log_prob[B, C]", over=1, before=2),
    case("pad", "unit[B, D]", over=0, after=1),
    case("pad", "image[B, C, H, W]", over=3, after=1, value=2),
    case("pad", "labels[B, T]", over=1, after=2, value=-100),
)

PICKING = (
    case("gather", _CLASSES, "labels[B, H, W]"),
    case("gather", "class_log_prob[B, C]", "labels[B]"),
    case("gather", "class_prob[B, T, C]", "labels[B, T]"),
    case("gather", "class_prob[B, C, T]", "labels[B, C]", over=2),
    case("gather", "one_hot[B, C, T]", "labels[B, C, 2]", over=-1),
    case("gather", "real[B, D]", "count[B, D]", over=0),
    case("gather", "real[D]", "labels[3]", over=0),
    case("gather", "labels[B, N]", "labels[B, 1]", over=1, least={"N": 4}),
    case("diagonal", "real[N, N]"),
    case("diagonal", "class_prob[B, C, N, N]"),
    case("cumsum", "real[B, T]", over=1),
    case("cumsum", "prob[B, T]", over=symbol("B")),
    case("sort", "real[B, T]"),
    case("sort", "class_prob[B, C]", over=0, descending=True),
    case("sort", "class_prob[B, C]", over=1),
    case("argsort", "real[B, T]"),
    case("argsort", "real[B, T]", over=0, descending=True),
    case("topk", "real[B, T]", k=2, least={"T": 2}),
    case("topk", _CLASSES, k=1, over=1),
    case("topk", "one_hot[B, C]", k=1, over=0),
)

POSITIONS = (
    case("size", _IMAGE, over=1),
    case("size", "labels[B, T]", over=symbol("T")),
    case("arange", _IMAGE, over=2),
    case("arange", "labels[B, T]"),
    case("eye", "real[N, N]"),
    case("eye", "real[B, H, W]"),
)

SPATIAL = (
    case("dx", _IMAGE, least={"W": 2}),
    case("dx", "prob[B, T]", least={"T": 2}),
    case("dy", _IMAGE, least={"H": 2}),
    case("laplacian", _IMAGE, least={"H": 3, "W": 3}),
    case("laplacian", "real[H, W]", least={"H": 3, "W": 3}),
    case("interpolate", _IMAGE, "real[B, C, K, D]"),
    case("interpolate", _CLASSES, "labels[B, K, D]"),
    case("interpolate", "labels[B, H, W]", "class_logits[B, C, K, D]"),
    case("interpolate", "mask[B, H, W]", "logits[B, 1, K, D]"),
    case("interpolate", "mask[B, 1, H, W]", "mask[B, K, D]"),
    case("interpolate", "prob[B, H, W]", "logits[B, 1, K, D]"),
    case("interpolate", "mask[B, 1, H, W]", size=(3, 9), mode="linear"),
    case("interpolate", "one_hot[B, C, H, W]", size=(3, 9)),
    case("interpolate", "one_hot[B, C, H, W]", size=(3, 9), mode="linear"),
    case("interpolate", "class_log_prob[B, C, H, W]", size=(3, 9)),
    case("interpolate", "class_log_prob[B, C, H, W]", size=(3, 9), mode="nearest"),
    case("interpolate", "real[B, C, T]", size=8),
    case("interpolate", "real[B, C, H, W, K]", size=(2, 3, 4)),
    case("interpolate", _IMAGE, size=(3, 9), mode="nearest"),
    case("avg_pool", "class_prob[B, C, H, W]", size=2, least={"H": 2, "W": 2}),
    case("avg_pool", "mask[B, 1, H, W]", size=3, stride=2, least={"H": 3, "W": 3}),
    case("avg_pool", "real[B, C, T]", size=2, stride=1, least={"T": 2}),
    case("avg_pool", "positive[B, C, H, W, K]", size=1, stride=2),
    case("gaussian_blur", "class_prob[B, C, H, W]", sigma=1.5, window=5),
    case("gaussian_blur", "mask[B, 1, H, W]", sigma=0.7),
    case("gaussian_blur", "real[B, C, T]", sigma=2, window=1),
    case("conv2d", _IMAGE, kernel=((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), least={"H": 3, "W": 3}),
    case("conv2d", "real[H, W]", kernel=((0.5,), (0.5,)), least={"H": 2}),
)

FREQUENCY = (
    case("fft", "real[B, T]"),
    case("fft", _IMAGE, over=(symbol("H"), 3), ortho=True),
    case("rfft", "real[B, T]"),
    case("rfft", _IMAGE, over=(-1, 2)),
    case("rfft", "real[B, C, T]", over=symbol("T"), ortho=True),
    case("stft", "real[B, T]", window=4, least={"T": 3}),
    case("stft", "real[T]", window=6, hop=3, least={"T": 4}),
)

STATE = (
    case("between", _IMAGE, _IMAGE),
    case("between", "prob[B]", "prob[B]"),
    case("around", "real[B, D]", scale=0.1),
    case("ema", "real[D]"),
    case("ema", "positive[B, D]", decay=0.5, lag=True),
)

SCHEDULES = (
    case("warmup", "real[]", 10),
    case("linear", "real[]", 1.0, 0.5, 0, 10),
    case("cosine", "real[]", 1.0, 0.5, 0, 10),
    case("exp_decay", "real[]", 1.0, 0.5, 10),
    case("piecewise", "real[]", boundaries=(1, 5), values=(1.0, 0.1, 0.01)),
    case("cyclic", "real[]", 0.1, 1.0, 8),
)

CASES = (
    *OPERATORS,
    *REDUCTIONS,
    *CLASSES,
    *SHAPING,
    *PICKING,
    *POSITIONS,
    *SPATIAL,
    *FREQUENCY,
    *STATE,
    *SCHEDULES,
)
