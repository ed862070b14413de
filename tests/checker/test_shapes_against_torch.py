"""Random programs: what the checker accepts has, in torch, the shapes that the checker says."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.ir.build import build
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.solve import Solver
from lossdsl.types.values import Tensor as TensorType

SIZES = {"B": 3, "C": 4, "H": 8, "W": 6, "D": 5}
INPUTS = {
    "a": "real[B, C]",
    "b": "real[B, C, H, W]",
    "c": "real[B]",
    "d": "real[C]",
    "e": "real[B, D]",
    "p": "prob[B, C]",
    "q": "prob[B, C, H, W]",
    "m": "mask[B, 1, H, W]",
    "u": "real[2*H, W]",
    "r": "real[H, W]",
    "y": "labels[B]",
    "k": "class_logits[B, C]",
}
AXIS = ("0", "1", "-1", "2", "B", "C", "H")
AXES = ("[0]", "[1]", "[-1]", "[H, W]", "[C]", "[0, 1]", "[2, 3]")
FIRST = ("0", ":", ":2", "1:", "-1", "::2", "none", ":-1", "...", "..., 0")
SECOND = ("", ", 0", ", :", ", none", ", 1:", ", :-1", ", ::2")
EQUATIONS = (
    "ij->ji",
    "ij,ij->i",
    "bchw->bc",
    "bc,bd->cd",
    "i,j->ij",
    "bc->",
    "...i->...",
    "bchw,bc->bhw",
)

FORMS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("({x} {0} {x})", (("+", "-", "*", "/"),)),
    ("{0}({x})", (("exp", "abs", "relu", "tanh", "detach", "real"),)),
    ("{0}({x}, over={1})", (("mean", "sum", "max", "norm", "var", "logsumexp"), AXES)),
    ("{0}({x}, over={1}, keepdim=true)", (("mean", "sum", "min", "std"), AXES)),
    ("{x}[{0}{1}]", (FIRST, SECOND)),
    ("({x} @ {x})", ()),
    ("transpose({x})", ()),
    ("permute({x}, [{0}])", (("1, 0", "0, 2, 3, 1", "0, 2, 1", "3, 2, 1, 0"),)),
    ("flatten({x}{0})", (("", ", 1", ", start=1, end=2", ", 0, 1"),)),
    (
        "reshape({x}, [{0}])",
        (("-1", "B, -1", "-1, 2", "B, C, -1", "2, -1, 3", "B, C, H*W", "B*C, -1", "2*B, -1, W"),),
    ),
    ("cat({x}, {x}, over={0})", (AXIS,)),
    ("stack({x}, {x}, over={0})", (AXIS,)),
    ("where({x} > 0, {x}, {x})", ()),
    ("clamp({x}, min=0)", ()),
    ("maximum({x}, {x})", ()),
    ("movedim({x}, {0}, {1})", (AXIS, AXIS)),
    ("{0}({x}, over={1})", (("flip",), AXES)),
    ("roll({x}, 1, over={0})", (AXES,)),
    ("pad({x}, over={0}, before={1}, after=1)", (AXES, ("0", "1", "2"))),
    ("{0}({x})", (("dx", "dy", "laplacian", "diagonal", "eye", "normalize"),)),
    ("avg_pool({x}, {0}{1})", (("2", "3"), ("", ", stride=1"))),
    ("interpolate({x}, {0})", (("size=[4, 5]", "like=b", "like=q"),)),
    ("gaussian_blur({x}, 1.0)", ()),
    ("conv2d({x}, [[1, 2], [3, 4]])", ()),
    (
        '{0}({x}, {x}, reduction="{1}")',
        (("mse", "l1", "huber", "bce", "dice"), ("none", "batch", "mean")),
    ),
    ('{0}(k, y, reduction="none")', (("ce", "softmax_focal"),)),
    ("{0}({x}, over={1})", (("cumsum", "sort", "arange", "softmax"), AXIS)),
    ("topk({x}, {0}, over={1})", (("1", "2", "3"), AXIS)),
    ("cosine_similarity({x}, {x})", ()),
    ("gather({x}, {0})", (("y", "argmax(k)"),)),
    ("one_hot(y, 4)", ()),
    ("einsum('{0}', {x})", (EQUATIONS,)),
    ("einsum('{0}', {x}, {x})", (EQUATIONS,)),
)


def program(choose: random.Random, depth: int) -> str:
    if depth == 0 or choose.random() < 0.15:
        return choose.choice(list(INPUTS))
    form, choices = choose.choice(FORMS)
    text = form
    for index, options in enumerate(choices):
        text = text.replace(f"{{{index}}}", choose.choice(options))
    while "{x}" in text:
        text = text.replace("{x}", program(choose, depth - 1), 1)
    return text


def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    made = {}
    for name, type in INPUTS.items():
        words = type[type.index("[") + 1 : -1].replace("2*H", "16").split(", ")
        sizes = [SIZES.get(word) or int(word) for word in words]
        if type.startswith("labels"):
            made[name] = torch.randint(0, 4, sizes)
        elif type.startswith("mask"):
            made[name] = torch.randint(0, 2, sizes).float()
        else:
            made[name] = torch.rand(sizes)
    return made


def number(dim: Dim) -> int | None:
    return Solver(values={Symbol(name): size for name, size in SIZES.items()}).valued(dim).number


@pytest.mark.parametrize("seed", range(4))
def test_accepted_programs_have_the_shapes_that_they_are_given(
    seed: int, node_values: Callable[..., dict[int, Any]]
) -> None:
    choose, values, accepted = random.Random(seed), tensors(), 0
    for _ in range(250):
        text = f"mean({program(choose, choose.randint(1, 3))})"
        try:
            loss = lossdsl.compile(text, backend="eager", inputs=INPUTS)
        except lossdsl.LossError:
            continue
        nodes = build(loss._first.checked.program).nodes()
        try:
            found = node_values(nodes, values, {}, 0)
        except (RuntimeError, IndexError, ValueError):
            # What only sizes decide is told at the call, and by nobody but us.
            with pytest.raises(lossdsl.LossInputError):
                loss({name: values[name] for name in loss.contract.names})
            continue
        accepted += 1
        for node in nodes:
            # `align` gives axes of size 1, which stand for the sizes that its type has.
            if not isinstance(node.type, TensorType) or node.name == "align":
                continue
            shape = node.type.shape
            if shape.rest is None and isinstance(found[id(node)], Tensor):
                told = [number(dim) for dim in shape.dims]
                came = list(found[id(node)].shape)
                known = [c if t is None else t for t, c in zip(told, came, strict=False)]
                assert len(told) == len(came), (text, node.name, told, came)
                assert known == came, (text, node.name, told, came)
    assert accepted > 50
