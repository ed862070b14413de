"""What the rules refuse: the code, and the part of the message that says why."""

from __future__ import annotations

from typing import Any

import pytest
from calling import Operand, call, symbol

from lossdsl.diagnostics.codes import CODES
from lossdsl.functions.record import Refused
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Tensor

REFUSED: list[tuple[str, tuple[Operand, ...], dict[str, Any], str, str]] = [
    # Class indices are not values.
    ("+", ("labels[B]", 1), {}, "E301", "`labels` are not values"),
    ("exp", ("labels[B]",), {}, "E301", "`labels` are not values"),
    ("mean", ("labels[B]",), {}, "E301", "not values"),
    ("*", ("count[B]", "real[B]"), {}, "E301", "`count` are not values"),
    ("dx", ("labels[B, H]",), {}, "E301", "not values"),
    ("avg_pool", ("labels[B, H, W]",), {"size": 2}, "E301", "not values"),
    ("@", ("labels[B]", "real[B]"), {}, "E301", "not values"),
    ("<", ("labels[B]", "real[B]"), {}, "E301", "compared with `real`"),
    ("cat", ("labels[B]", "real[B]"), {}, "E301", "do not mix"),
    ("stack", ("real[B]", "labels[B]"), {}, "E301", "do not mix"),
    ("where", ("mask[B]", "labels[B]", "real[B]"), {}, "E301", "class indices are not values"),
    ("where", ("mask[B]", "labels[B]", 0.5), {}, "E301", "0.5 is no value of `labels`"),
    ("pad", ("labels[B]",), {"over": 0, "value": -1}, "E301", "-1 is no value of `labels`"),
    ("interpolate", ("labels[B, H]",), {"size": 3, "mode": "linear"}, "E206", "by 'linear'"),
    # Activations.
    ("sigmoid", ("prob[B]",), {}, "E303", "already `prob`"),
    ("sigmoid", ("class_logits[B, C]",), {}, "E301", "takes `logits`"),
    ("softmax", ("class_prob[B, C]",), {}, "E303", "already `class_prob`"),
    ("log_softmax", ("logits[B, C]",), {}, "E301", "takes `class_logits`"),
    ("softmax", ("class_logits[B, 1]",), {}, "E304", "over one class"),
    ("softmax", ("real[]",), {}, "E404", "no axis 1"),
    ("logsigmoid", ("image[B, 3, H, W]",), {}, "E301", "this is `image`"),
    # Masks and indices.
    ("and", ("real[B]", "mask[B]"), {}, "E301", "combines masks"),
    ("not", ("prob[B]",), {}, "E301", "combines masks"),
    ("where", ("prob[B]", "real[B]", "real[B]"), {}, "E301", "condition is a mask"),
    ("mean", ("real[B]", "real[B]"), {}, "E301", "takes a mask"),
    ("one_hot", ("real[B]",), {"classes": 3}, "E301", "takes `labels`"),
    ("one_hot", ("labels[B]",), {"classes": 0}, "E206", "a whole number from 1"),
    ("gather", ("real[B, C]", "real[B]"), {}, "E301", "picks by `labels`"),
    # Broadcasting is explicit.
    ("+", ("real[B, 1]", "real[B]"), {}, "E403", "axes are not added"),
    ("-", ("real[B, H]", "real[H]"), {}, "E403", "axes are not added"),
    ("*", ("real[B]", "real[C]"), {}, "E401", "sizes differ"),
    ("maximum", ("real[3]", "real[4]"), {}, "E401", "sizes differ"),
    ("where", ("mask[B]", "real[B, H]", 0), {}, "E403", "axes are not added"),
    ("mean", ("real[B, H]", "mask[B]"), {}, "E407", "does not fit"),
    # Axes.
    ("mean", ("real[B, H]",), {"over": 2}, "E404", "no axis 2"),
    ("sum", ("real[B, H]",), {"over": symbol("W")}, "E404", "no axis `W`"),
    ("max", ("real[B, H]",), {"over": (1, -1)}, "E404", "named twice"),
    ("softmax", ("real[B, H]",), {"over": (0, 1)}, "E404", "along one axis"),
    ("permute", ("real[B, H]",), {"axes": (1,)}, "E404", "1 are named"),
    ("permute", ("real[B, H]",), {"axes": (1, 1)}, "E404", "named twice"),
    ("permute", ("real[B, H]",), {"axes": (1, "x")}, "E404", "a number or a dimension symbol"),
    ("transpose", ("real[B]",), {}, "E404", "no axis -2"),
    ("movedim", ("real[B, H]",), {"source": 0, "destination": 2}, "E404", "no axis 2"),
    ("flatten", ("real[B, H, W]",), {"start": 2, "end": 1}, "E404", "behind axis 1"),
    ("flip", ("real[B]",), {"over": (0, -1)}, "E404", "named twice"),
    ("stack", ("real[B]", "real[B]"), {"over": 2}, "E404", "no place 2"),
    ("stack", ("real[B]", "real[B]"), {"over": symbol("B")}, "E404", "is a number"),
    ("cumsum", ("real[B]",), {"over": 1}, "E404", "no axis 1"),
    ("cat", ("real[]", "real[]"), {}, "E404", "no axis 0"),
    ("size", ("real[B]",), {"over": symbol("H")}, "E404", "no axis `H`"),
    ("topk", ("real[B, 3]",), {"k": 4}, "E404", "no 4 largest"),
    # Shapes.
    ("reshape", ("real[B, 6]",), {"shape": (symbol("B"), 5)}, "E401", "numbers of elements differ"),
    ("reshape", ("real[2, 6]",), {"shape": (5, -1)}, "E401", "numbers of elements differ"),
    ("reshape", ("real[B, H]",), {"shape": (-1, -1)}, "E206", "only one size"),
    ("reshape", ("real[B, H]",), {"shape": (2.5, -1)}, "E206", "a whole number"),
    ("reshape", ("real[B, N]",), {"shape": (symbol("H"), -1)}, "E408", "cannot be read off"),
    ("cat", ("real[B, H]", "real[B, W]"), {}, "E401", "sizes differ"),
    ("cat", ("real[B, H]", "real[B]"), {}, "E402", "axes differ"),
    ("cat", ("real[B]", 3), {}, "E402", "not numbers"),
    ("stack", ("real[B]", "real[H]"), {}, "E401", "sizes differ"),
    ("cosine_similarity", ("real[N, D]", "real[N, K]"), {}, "E401", "sizes differ"),
    ("pairwise_distance", ("real[N, D]", "real[M, D]"), {}, "E401", "sizes differ"),
    ("cdist", ("real[N, D]", "real[M, K]"), {}, "E401", "sizes differ"),
    ("cdist", ("real[N, D]", "real[D]"), {}, "E402", "both are [N, D]"),
    ("cdist", ("real[N, D]", "real[M, D]"), {"p": -1.0}, "E206", "above 0"),
    ("@", ("real[B, C]", "real[D, B]"), {}, "E401", "C columns meet D rows"),
    ("@", ("real[B, H, C]", "real[N, C, D]"), {}, "E401", "sizes differ"),
    ("@", ("real[]", "real[B]"), {}, "E402", "matrices and vectors"),
    ("diagonal", ("real[B]",), {}, "E402", "square matrices"),
    ("diagonal", ("real[B, C]",), {}, "E401", "square matrices"),
    ("eye", ("real[B]",), {}, "E402", "takes matrices"),
    ("gather", ("real[B, C]", "labels[N]"), {}, "E401", "sizes differ"),
    ("gather", ("real[B, C, H]", "labels[B]"), {}, "E402", "axes differ"),
    ("dx", ("real[B, 1]",), {}, "E404", "needs 2 entries"),
    ("laplacian", ("real[B, C, 2, W]",), {}, "E404", "needs 3 entries"),
    ("dy", ("real[B]",), {}, "E402", "needs 2 axes"),
    ("avg_pool", ("real[B, C]",), {"size": 2}, "E402", "one to three axes"),
    ("avg_pool", ("real[B, C, 3]",), {"size": 4}, "E404", "needs 4 entries"),
    ("gaussian_blur", ("real[H, W]",), {"sigma": 1}, "E402", "one to three axes"),
    ("conv2d", ("real[B, C, 2, W]",), {"kernel": ((1,), (2,), (3,))}, "E404", "needs 3 entries"),
    ("interpolate", ("real[B, C, H, W]", "real[B]"), {}, "E402", "which axes are space"),
    ("interpolate", ("real[B, C, H, W]",), {"size": (3,)}, "E402", "1 sizes of space"),
    ("warmup", ("real[B]", 10), {}, "E402", "takes numbers"),
    # Classes that would be mixed or lost.
    ("avg_pool", ("class_prob[B, H, C]",), {"size": 2}, "E306", "would mix the classes"),
    ("interpolate", ("class_logits[B, H, W, C]",), {"size": (3, 3)}, "E306", "stand on axis 3"),
    ("cat", ("class_prob[B, C]", "class_prob[C, B]"), {}, "E306", "different class axes"),
    ("cat", ("boxes[B, 4]", "boxes(xywh)[B, 4]"), {}, "E307", "boxes(xywh)"),
    ("stack", ("image[B]", "image(-1, 1)[B]"), {}, "E307", "image(-1, 1)"),
    # Arguments.
    ("einsum", ("real[B, C]",), {"equation": "bc"}, "E206", "not an equation"),
    ("einsum", ("real[B, C]",), {"equation": "b c -> b1"}, "E206", "no axis of an operand"),
    ("einsum", ("real[B, C]",), {"equation": "...c->c"}, "E206", "not an equation"),
    ("einsum", ("real[B, C]",), {"equation": "bc->bb"}, "E206", "stands twice"),
    ("einsum", ("real[B, C]",), {"equation": "bc,cd->bd"}, "E204", "2 operands, the call 1"),
    ("einsum", ("real[B, C]",), {"equation": "bcd->b"}, "E402", "3 letters"),
    ("einsum", ("real[B, C]", "real[D, B]"), {"equation": "bc,cd->bd"}, "E401", "sizes differ"),
    ("einsum", ("real[B, C]",), {"equation": 3}, "E206", "is a text"),
    ("roll", ("real[B, H]",), {"shift": (1, 2), "over": 0}, "E406", "2 shifts"),
    ("roll", ("real[B, H]",), {"shift": 0.5, "over": 0}, "E206", "a whole number"),
    ("pad", ("real[B]",), {"over": 0, "before": -1}, "E206", "a whole number from 0"),
    ("pad", ("real[B]",), {"over": 0, "value": "x"}, "E206", "is a number"),
    ("topk", ("real[B]",), {"k": 0}, "E206", "a whole number from 1"),
    ("avg_pool", ("real[B, C, H]",), {"size": 1.5}, "E206", "a whole number from 1"),
    ("gaussian_blur", ("real[B, C, H]",), {"sigma": 0}, "E206", "above 0"),
    ("gaussian_blur", ("real[B, C, H]",), {"sigma": 1, "window": 4}, "E206", "is odd"),
    ("conv2d", ("real[H, W]",), {"kernel": ((1, 2), (3,))}, "E206", "rows of numbers"),
    ("conv2d", ("real[H, W]",), {"kernel": 3}, "E206", "rows of numbers"),
    ("interpolate", ("real[B, C, H]",), {}, "E204", "either `like=` or `size=`"),
    ("interpolate", ("real[B, C, H]",), {"size": 0}, "E206", "a whole number"),
    ("interpolate", ("real[B, C, H]",), {"size": 2, "mode": "cubic"}, "E206", "by 'cubic'"),
    ("warmup", ("real[]", 0), {}, "E206", "more than 0 steps"),
    ("exp_decay", ("real[]", 1, 0.5, -1), {}, "E206", "more than -1 steps"),
    ("linear", ("real[]", 1, 0, 10, 10), {}, "E206", "later than `t0`"),
    ("piecewise", ("real[]",), {"boundaries": (1, 2), "values": (1, 2)}, "E406", "3 pieces"),
    ("piecewise", ("real[]",), {"boundaries": (2, 1), "values": (1, 2, 3)}, "E206", "rise"),
    ("piecewise", ("real[]",), {"boundaries": 2, "values": (1, 2)}, "E206", "list of numbers"),
]


@pytest.mark.parametrize(("name", "operands", "literals", "code", "why"), REFUSED)
def test_refused(
    name: str, operands: tuple[Operand, ...], literals: dict[str, Any], code: str, why: str
) -> None:
    with pytest.raises(Refused) as refused:
        call(name, *operands, **literals)
    assert (refused.value.code, why in refused.value.message) == (code, True), refused.value.message
    assert code in CODES


@pytest.mark.parametrize(
    ("name", "literals"),
    [
        ("transpose", {}),
        ("flatten", {"start": 0, "end": 1}),
        ("reshape", {"shape": (-1, 10)}),
        ("movedim", {"source": 1, "destination": 0}),
        ("diagonal", {}),
        ("stack", {"over": 0}),
        ("sort", {"over": -1}),
    ],
)
def test_a_class_axis_is_not_guessed(name: str, literals: dict[str, Any]) -> None:
    """It is known, the number of axes is not, and the function may move it."""
    solver = Solver()
    type = Tensor("class_prob", solver.any_shape(), axis=1)
    with pytest.raises(Refused) as refused:
        call(name, type, solver=solver, **literals)
    assert refused.value.code == "E306"
    assert refused.value.help == "declare them: `input x: class_prob[B, C, H, W]`"


def test_a_class_axis_behind_the_one_picked_along_is_not_guessed() -> None:
    """Whether it moves depends on the number of axes of the index."""
    solver = Solver()
    type = Tensor("class_logits", solver.any_shape(), axis=2)
    with pytest.raises(Refused) as refused:
        call("gather", type, "labels", solver=solver, over=1)
    assert refused.value.code == "E306"
    type = Tensor("class_logits", solver.any_shape(), axis=1)
    assert call("gather", type, "labels", solver=solver, over=2).tensor.axis == 1


def test_sizes_are_judged_by_value_at_the_call() -> None:
    """Before the call a symbol may be anything; at the call it is 1."""
    assert call("dx", "real[B, T]")
    with pytest.raises(Refused, match="needs 2 entries"):
        call("dx", "real[B, T]", solver=Solver(values={symbol("T").atom: 1}))  # type: ignore[dict-item]


def test_a_list_is_not_a_tensor() -> None:
    from lossdsl.functions.record import CallSite, functions

    site = CallSite("exp", [Listing(())], [None], {}, Solver(), ["x"])
    with pytest.raises(Refused, match="takes a tensor here"):
        functions()["exp"].rule(site)


@pytest.mark.parametrize(
    ("name", "operands", "literals", "help"),
    [
        ("+", ("labels[B]", 1), {}, "real(x)"),
        ("+", ("real[B, 1]", "real[B]"), {}, "`x[..., 0]` is [B]"),
        ("gather", ("real[B, C]", "real[B]"), {}, "labels(y)"),
        ("avg_pool", ("class_prob[B, H, C]",), {"size": 2}, "movedim(x, 2, 1)"),
        ("sigmoid", ("class_logits[B, C]",), {}, "`softmax`"),
        ("reshape", ("real[2, 6]",), {"shape": (5, 2)}, "-1"),
    ],
)
def test_help(name: str, operands: Any, literals: dict[str, Any], help: str) -> None:
    with pytest.raises(Refused) as refused:
        call(name, *operands, **literals)
    assert help in (refused.value.help or "")
