"""What comes out of what: the tables of kinds."""

from __future__ import annotations

from typing import Any

import pytest
from calling import Operand, call, read, shown, symbol

from lossdsl.functions.record import functions
from lossdsl.types.kinds import KINDS
from lossdsl.types.solve import Solver
from lossdsl.types.values import Tensor

ARITHMETIC: list[tuple[str, tuple[Operand, ...], str]] = [
    # Probabilities and masks: the weaker of the two, and the complement.
    ("-", (1, "prob[B]"), "prob[B]"),
    ("-", (1.0, "mask[B]"), "mask[B]"),
    ("-", (1, "one_hot[B, C]"), "mask[B, C]"),
    ("-", (1, "class_prob[B, C]"), "prob[B, C]"),
    ("-", (2, "prob[B]"), "real[B]"),
    ("-", ("prob[B]", 1), "real[B]"),
    ("-", ("prob[B]", "prob[B]"), "real[B]"),
    ("*", ("mask[B]", "mask[B]"), "mask[B]"),
    ("*", ("prob[B]", "mask[B]"), "prob[B]"),
    ("*", ("class_prob[B, C]", "prob[B, C]"), "prob[B, C]"),
    ("*", ("one_hot[B, C]", "mask[B, 1]"), "mask[B, C]"),
    ("*", (0.5, "prob[B]"), "prob[B]"),
    ("*", ("mask[B]", 0.5), "prob[B]"),
    ("*", (2, "prob[B]"), "real[B]"),
    ("*", ("real[]", "prob[B]"), "real[B]"),
    ("+", ("prob[B]", "prob[B]"), "real[B]"),
    ("/", ("prob[B]", 2), "real[B]"),
    ("neg", ("prob[B]",), "real[B]"),
    # Scores stay scores under what a temperature or a prior does to them.
    ("+", ("logits[B]", "logits[B]"), "logits[B]"),
    ("-", ("logits[B]", "real[B]"), "logits[B]"),
    ("+", (0.3, "logits[B]"), "logits[B]"),
    ("neg", ("logits[B]",), "logits[B]"),
    ("*", (2, "logits[B]"), "logits[B]"),
    ("*", ("logits[B]", "real[]"), "logits[B]"),
    ("/", ("logits[B]", "real[]"), "logits[B]"),
    ("/", (1, "logits[B]"), "real[B]"),
    ("*", ("logits[B]", "logits[B]"), "real[B]"),
    ("*", ("logits[B]", "real[B]"), "real[B]"),
    ("+", ("logits[B]", "prob[B]"), "real[B]"),
    ("+", ("logits[B, C]", "class_logits[B, C]"), "real[B, C]"),
    ("/", ("class_logits[B, C]", 0.07), "class_logits[B, C]"),
    ("+", ("class_logits[B, C]", "real[1, C]"), "class_logits[B, C]"),
    ("neg", ("class_logits[B, T, C]",), "class_logits[B, T, C]"),
    # What stays above 0.
    ("+", ("positive[B]", "positive[B]"), "positive[B]"),
    ("*", ("positive[B]", "positive[B]"), "positive[B]"),
    ("/", ("positive[B]", "positive[B]"), "positive[B]"),
    ("*", (0.5, "positive[B]"), "positive[B]"),
    ("*", (-1, "positive[B]"), "real[B]"),
    ("-", ("positive[B]", "positive[B]"), "real[B]"),
    ("**", ("positive[B]", 2), "real[B]"),
    # Logarithms and back.
    ("log", ("prob[B]",), "log_prob[B]"),
    ("log", ("mask[B]",), "log_prob[B]"),
    ("log", ("class_prob[B, C]",), "class_log_prob[B, C]"),
    ("log", ("one_hot[B, C]",), "class_log_prob[B, C]"),
    ("log", ("real[B]",), "real[B]"),
    ("exp", ("log_prob[B]",), "prob[B]"),
    ("exp", ("class_log_prob[B, C]",), "class_prob[B, C]"),
    ("exp", ("real[B]",), "positive[B]"),
    ("softplus", ("real[B]",), "positive[B]"),
    ("sigmoid", ("logits[B]",), "prob[B]"),
    ("sigmoid", ("real[B]",), "prob[B]"),
    ("sigmoid", ("score[B]",), "prob[B]"),
    ("logsigmoid", ("logits[B]",), "log_prob[B]"),
    ("tanh", ("logits[B]",), "real[B]"),
    ("detach", ("labels(ignore=255)[B]",), "labels(ignore=255)[B]"),
    # Comparisons and logic.
    ("<", ("real[B]", "prob[B]"), "mask[B]"),
    (">", ("prob[B]", 0.5), "mask[B]"),
    ("==", ("labels[B]", 3), "mask[B]"),
    ("!=", ("labels[B]", "labels[B]"), "mask[B]"),
    ("<", ("count[B]", "count[B]"), "mask[B]"),
    ("and", ("mask[B]", "one_hot[B]"), "mask[B]"),
    ("not", ("mask[B]",), "mask[B]"),
    # Bounds.
    ("clamp", ("prob[B]", 1e-6, 1), "prob[B]"),
    ("clamp", ("class_prob[B, C]", 0, 0.5), "prob[B, C]"),
    ("clamp", ("mask[B]", 0.1, 0.9), "prob[B]"),
    ("clamp", ("logits[B]", -5, 5), "logits[B]"),
    ("clamp", ("sign[B]", -0.5, 0.5), "real[B]"),
    ("clamp", ("prob[B]", "prob[]"), "prob[B]"),
    ("clamp", ("prob[B]", "real[]"), "real[B]"),
    ("maximum", ("prob[B]", 0.5), "prob[B]"),
    ("maximum", ("prob[B]", 2), "real[B]"),
    ("minimum", ("prob[B]", 2), "prob[B]"),
    ("maximum", ("mask[B]", 0.5), "prob[B]"),
    ("maximum", ("mask[B]", "mask[B]"), "mask[B]"),
    ("maximum", ("class_prob[B, C]", "class_prob[B, C]"), "prob[B, C]"),
    ("maximum", ("one_hot[B, C]", "one_hot[B, C]"), "mask[B, C]"),
    ("maximum", ("prob[B]", "logits[B]"), "real[B]"),
    ("maximum", ("positive[B]", 0), "positive[B]"),
    ("maximum", (0, "logits[B]"), "logits[B]"),
    # Choices.
    ("where", ("mask[B]", "logits[B]", "logits[B]"), "logits[B]"),
    ("where", ("mask[B]", "prob[B]", 0), "prob[B]"),
    ("where", ("mask[B]", 0.5, "mask[B]"), "prob[B]"),
    ("where", ("mask[B]", "prob[B]", 7), "real[B]"),
    ("where", ("mask[B]", "mask[B]", "prob[B]"), "prob[B]"),
    ("where", ("mask[B]", "labels(ignore=255)[B]", 255), "labels(ignore=255)[B]"),
    ("where", ("mask[B, C]", "class_prob[B, C]", "class_prob[B, C]"), "prob[B, C]"),
    ("where", ("mask[B, 1]", "class_prob[B, C]", "class_prob[B, C]"), "class_prob[B, C]"),
    ("where", ("mask[B, C]", "class_prob[B, C]", 0), "prob[B, C]"),
    ("where", ("mask[B]", 1, 2), "real[B]"),
]


@pytest.mark.parametrize(("name", "operands", "expected"), ARITHMETIC)
def test_arithmetic(name: str, operands: tuple[Operand, ...], expected: str) -> None:
    assert shown(name, *operands) == expected


STRUCTURE: list[tuple[str, tuple[Operand, ...], dict[str, Any], str]] = [
    ("mean", ("prob[B, H]",), {"over": 1}, "prob[B]"),
    ("mean", ("mask[B, H]",), {}, "prob[]"),
    ("mean", ("class_logits[B, T, C]",), {"over": 1}, "class_logits[B, C]"),
    ("mean", ("class_logits[B, C, H]",), {"over": symbol("C")}, "real[B, H]"),
    ("max", ("class_prob[B, C]",), {"over": 1}, "prob[B]"),
    ("sum", ("prob[B, H]",), {"over": -1, "keepdim": True}, "real[B, 1]"),
    ("var", ("logits[B, H]",), {}, "real[]"),
    ("softmax", ("class_logits[B, T, C]",), {}, "class_prob[B, T, C]"),
    ("softmax", ("real[B, D]",), {"over": symbol("D")}, "class_prob[B, D]"),
    ("log_softmax", ("class_logits[B, C]",), {}, "class_log_prob[B, C]"),
    ("argmax", ("class_logits[B, T, C]",), {}, "labels[B, T]"),
    ("one_hot", ("labels[B, H]",), {"classes": 7}, "one_hot(7)[B, 7, H]"),
    ("normalize", ("embedding[N, D]",), {}, "unit[N, D]"),
    ("normalize", ("real[N, D, H]",), {"over": 1}, "real[N, D, H]"),
    ("cosine_similarity", ("real[N, D]", "unit[N, D]"), {}, "real[N]"),
    ("reshape", ("labels(ignore=0)[B, T]",), {"shape": -1}, "labels(ignore=0)[B*T]"),
    ("reshape", ("class_logits[B, T, C]",), {"shape": (-1, symbol("C"))}, "class_logits[B*T, C]"),
    ("reshape", ("class_logits[B, C]",), {"shape": (-1,)}, "real[B*C]"),
    ("reshape", ("boxes(cxcywh)[B, Q, 4]",), {"shape": (-1, 4)}, "boxes(cxcywh)[B*Q, 4]"),
    ("reshape", ("boxes[B, 4]",), {"shape": (-1,)}, "real[4*B]"),
    ("flatten", ("class_prob[B, C, H, W]",), {"start": 2}, "class_prob[B, C, H*W]"),
    ("flatten", ("class_prob[B, C, H, W]",), {"start": 1}, "prob[B, C*H*W]"),
    ("flatten", ("embedding[B, T, D]",), {"end": 1}, "embedding[B*T, D]"),
    ("permute", ("class_logits[B, H, W, C]",), {"axes": (0, 3, 1, 2)}, "class_logits[B, C, H, W]"),
    ("permute", ("class_logits[B, K, C]",), {"axes": (2, 0, 1)}, "class_logits[C, B, K]"),
    ("permute", ("series[B, T, D]",), {"axes": (0, 2, 1)}, "real[B, D, T]"),
    ("transpose", ("labels[B, T]",), {}, "labels[T, B]"),
    ("transpose", ("unit[N, D]",), {}, "real[D, N]"),
    ("movedim", ("one_hot[B, C, H]",), {"source": 1, "destination": -1}, "one_hot[B, H, C]"),
    ("flip", ("boxes[B, 4]",), {"over": 0}, "boxes[B, 4]"),
    ("flip", ("boxes[B, 4]",), {"over": 1}, "real[B, 4]"),
    ("roll", ("logits[B, H]",), {"shift": 1, "over": 1}, "logits[B, H]"),
    ("cat", ("mask[B]", "prob[N]"), {}, "prob[B + N]"),
    ("cat", ("class_prob[B, C]", "class_prob[N, C]"), {}, "class_prob[B + N, C]"),
    ("cat", ("class_prob[B, C]", "class_prob[B, C]"), {"over": 1}, "prob[B, 2*C]"),
    (
        "cat",
        ("class_logits[B, C]", "class_logits[B, 1]"),
        {"over": 1},
        "class_logits[B, C + 1]",
    ),
    ("cat", ("labels[B]", "labels[B]"), {}, "labels[2*B]"),
    ("stack", ("class_logits[B, C]", "class_logits[B, C]"), {}, "class_logits[2, B, C]"),
    ("stack", ("unit[B, D]", "unit[B, D]"), {"over": -1}, "real[B, D, 2]"),
    (
        "pad",
        ("labels(ignore=255)[T]",),
        {"over": 0, "after": 2, "value": 255},
        "labels(ignore=255)[T + 2]",
    ),
    ("pad", ("class_prob[B, C]",), {"over": 1, "after": 1}, "class_prob[B, C + 1]"),
    ("pad", ("class_prob[B, C]",), {"over": 0, "after": 1}, "prob[B + 1, C]"),
    ("pad", ("one_hot[B, C]",), {"over": 0, "after": 1}, "mask[B + 1, C]"),
    ("pad", ("image(-1, 1)[B, 3, H]",), {"over": 2, "before": 1}, "image(-1, 1)[B, 3, H + 1]"),
    ("pad", ("image[B, 3, H]",), {"over": 2, "before": 1, "value": 2}, "real[B, 3, H + 1]"),
    ("gather", ("class_logits[B, C, H]", "labels[B, H]"), {}, "logits[B, H]"),
    ("gather", ("class_log_prob[B, T, C]", "labels[B, T]"), {}, "log_prob[B, T]"),
    ("gather", ("real[N, D]", "count[K, D]"), {"over": 0}, "real[K, D]"),
    ("gather", ("labels[N, K]", "labels[N]"), {"over": 1}, "labels[N]"),
    ("diagonal", ("class_logits[B, C, N, N]",), {}, "class_logits[B, C, N]"),
    ("topk", ("prob[B, N]",), {"k": 3}, "prob[B, 3]"),
    ("topk", ("class_prob[B, C]",), {"k": 2, "over": 1}, "prob[B, 2]"),
    ("sort", ("one_hot[B, C]",), {"over": 0}, "mask[B, C]"),
    ("argsort", ("logits[B, N]",), {}, "count[B, N]"),
    ("cumsum", ("prob[B, T]",), {"over": 1}, "real[B, T]"),
    ("cumsum", ("positive[B, T]",), {"over": 1}, "positive[B, T]"),
    ("size", ("labels[B, T]",), {"over": 1}, "real[]"),
    ("arange", ("logits[B, T, D]",), {"over": symbol("T")}, "count[1, T, 1]"),
    ("eye", ("real[N, N]",), {}, "mask[N, N]"),
    ("dx", ("image[B, C, H, W]",), {}, "real[B, C, H, W - 1]"),
    ("dy", ("image[B, C, H, W]",), {}, "real[B, C, H - 1, W]"),
    ("laplacian", ("image[B, C, H, W]",), {}, "real[B, C, H - 2, W - 2]"),
    ("interpolate", ("labels[B, H, W]", "class_logits[B, C, h, w]"), {}, "labels[B, h, w]"),
    ("interpolate", ("mask[B, 1, H, W]", "logits[B, 1, h, w]"), {}, "mask[B, 1, h, w]"),
    (
        "interpolate",
        ("class_logits[B, C, H, W]", "labels[B, h, w]"),
        {},
        "class_logits[B, C, h, w]",
    ),
    ("interpolate", ("mask[B, 1, H]",), {"size": 9, "mode": "linear"}, "prob[B, 1, 9]"),
    ("interpolate", ("one_hot[B, C, H]",), {"size": 9, "mode": "linear"}, "class_prob[B, C, 9]"),
    ("interpolate", ("class_log_prob[B, C, H]",), {"size": 9}, "log_prob[B, C, 9]"),
    ("avg_pool", ("prob[B, 1, H, W]",), {"size": 2}, "prob[B, 1, H//2, W//2]"),
    (
        "avg_pool",
        ("one_hot[B, C, H]",),
        {"size": 3, "stride": 2},
        "class_prob[B, C, (H + 1)//2 - 1]",
    ),
    ("gaussian_blur", ("mask[B, 1, H, W]",), {"sigma": 2}, "prob[B, 1, H, W]"),
    ("conv2d", ("image[B, C, H, W]",), {"kernel": ((1, 0, -1),)}, "real[B, C, H, W - 2]"),
    ("einsum", ("prob[B, C]", "real[C, D]"), {"equation": "bc,cd->bd"}, "real[B, D]"),
    ("@", ("unit[N, D]", "unit[D, K]"), {}, "real[N, K]"),
]


@pytest.mark.parametrize(("name", "operands", "literals", "expected"), STRUCTURE)
def test_structure(
    name: str, operands: tuple[Operand, ...], literals: dict[str, Any], expected: str
) -> None:
    assert shown(name, *operands, **literals) == expected


# --- a class axis that is not named yet ---


def undeclared(kind: str) -> tuple[Tensor, Solver]:
    solver = Solver()
    return Tensor(kind, solver.any_shape()), solver


@pytest.mark.parametrize(
    ("name", "literals"),
    [
        ("permute", {"axes": (0, 3, 1, 2)}),
        ("reshape", {"shape": (-1, 10)}),
        ("flatten", {"start": 0, "end": 1}),
        ("transpose", {}),
        ("movedim", {"source": -1, "destination": 1}),
        ("stack", {"over": 0}),
        ("flip", {"over": -1}),
    ],
)
def test_an_axis_that_is_not_named_stays_unnamed(name: str, literals: dict[str, Any]) -> None:
    """The loss behind it says where it reads the classes, as it does of a bare input."""
    type, solver = undeclared("class_logits")
    result = call(name, type, solver=solver, **literals).tensor
    assert (result.kind, result.axis) == ("class_logits", None)


def test_an_axis_before_the_flattened_ones_stays() -> None:
    solver = Solver()
    type = Tensor("class_prob", solver.any_shape(), axis=1)
    result = call("flatten", type, solver=solver, start=2).tensor
    assert (result.kind, result.axis) == ("class_prob", 1)


def test_a_permutation_says_how_many_axes_there_are() -> None:
    type, solver = undeclared("real")
    call("permute", type, solver=solver, axes=(0, 2, 1))
    assert solver.shape(type.shape).rank == 3


def test_a_class_axis_counted_from_the_back_is_the_same_axis() -> None:
    declared = read("class_logits[B, *S, C]")
    assert declared.axis == -1
    known = read("class_logits[B, H, W, C]").shape
    type = Tensor("class_logits", known, axis=-1)
    assert str(call("max", type, over=symbol("C")).tensor) == "real[B, H, W]"
    assert call("mean", type, over=1).tensor.axis == 2


# --- records ---


def test_every_function_is_documented() -> None:
    for record in functions().values():
        first = record.docs.splitlines()[0]
        assert first, record.name
        assert first[0].isupper() or first[0] in "`1-0" or "log" in first or "max" in first


def test_what_a_function_prefers_is_a_kind() -> None:
    assert {kind for r in functions().values() for kind in r.prefers} <= set(KINDS)


def test_literals_are_parameters() -> None:
    for record in functions().values():
        assert record.literals <= set(record.signature.parameters), record.name


def test_the_equation_of_einsum_comes_first() -> None:
    assert list(functions()["einsum"].signature.parameters) == ["equation", "x", "y", "z"]
