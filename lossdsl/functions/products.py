"""Products of tensors along axes that they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.operators import matmul, matrix_product, promoted
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import floating
from lossdsl.types.dims import Dim
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type

function("matmul", matrix_product)(matmul)


def _einsum(site: CallSite) -> Type:
    """Each letter is one size, so that the equation fixes the shapes of all operands."""
    tensors = [floating(site, index) for index in range(len(site.operands))]
    inputs, output = _letters(site, len(tensors))
    sizes: dict[str, Dim] = {}
    for letters, tensor in zip(inputs, tensors, strict=True):
        rank = tensor.shape.rank
        if rank is not None and rank != len(letters):
            site.refuse(
                "E402",
                f"`{letters}` has {len(letters)} letters, and {tensor.shape} has {rank} axes",
                "equation",
                "each axis is one letter",
            )
        for letter in letters:
            if letter not in sizes:
                sizes[letter] = site.solver.unknown(letter)
        site.unify(tensor.shape, Shape(tuple(sizes[letter] for letter in letters)), "equation")
    return TensorType("real", site.solver.shape(Shape(tuple(sizes[letter] for letter in output))))


def _letters(site: CallSite, operands: int) -> tuple[list[str], str]:
    """The two sides of the equation, checked and without blanks."""
    equation = site.literals["equation"]
    if not isinstance(equation, str):
        site.refuse("E206", "the equation is a text: `'bi,bj->bij'`", "equation")
    left, arrow, output = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow or not all(side.isalpha() and side.isascii() for side in inputs if side):
        site.refuse(
            "E206",
            f"`{equation}` is not an equation of letters",
            "equation",
            "write the axes of each operand, `->`, and those of the result: `'bi,bj->bij'`",
        )
    if len(inputs) != operands:
        site.refuse(
            "E204", f"the equation has {len(inputs)} operands, the call {operands}", "equation"
        )
    if len(set(output)) != len(output) or not set(output) <= set(left):
        wrong = next(a for a in output if output.count(a) > 1 or a not in left)
        why = "stands twice in the result" if wrong in left else "is no axis of an operand"
        site.refuse("E206", f"`{wrong}` {why}", "equation")
    site.literals["equation"] = f"{left}->{output}"
    return inputs, output


@function(
    "einsum",
    _einsum,
    literals=("equation",),
    order=("equation", "x", "y", "z"),
    latex=r"\operatorname{einsum}",
)
def einsum(x: Tensor, y: Any = None, z: Any = None, *, equation: str) -> Tensor:
    """Products summed over the axes that the result lacks: `einsum('bi,bj->bij', x, y)`.

    Each axis is one letter, equal letters are equal sizes, and the result is written out.
    """
    operands = [operand for operand in (x, y, z) if operand is not None]
    return torch.einsum(equation, *promoted(*operands))
