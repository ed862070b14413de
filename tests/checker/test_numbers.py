"""Numbers where tensors, powers, parameters and axes stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

import lossdsl

P = torch.tensor([[0.1, 0.7, -0.4], [0.3, -0.9, 0.5]], dtype=torch.float64)
Y = torch.tensor([[0.2, 0.1, 0.6], [-0.3, 0.8, 0.4]], dtype=torch.float64)
AXES = "input p: real[B, C]\n"

MOST_CALLS = 5_000_000
"""What refusing a text may cost."""


def value(text: str, **options: Any) -> float:
    loss = lossdsl.compile(text, backend="eager", **options)
    came = {"p": P, "y": Y}
    return loss(**{name: came[name] for name in loss.contract.names}).item()


def refused(text: str, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(lossdsl.LossError) as raised:
        lossdsl.compile(text, backend="eager", **options)
    return [(d.code, d.span.text) for d in raised.value.diagnostics]


# --- large numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "underlined"),
    [
        ("9**9**9*mse(p, y)", "9**9**9"),
        ("mse(p, y)*9**9**9**9", "9**9**9"),
        ("(-9)**9**9*mse(p, y)", "(-9)**9**9"),
        ("10**400*mse(p, y)", "10**400"),
        ("1e300*1e300*mse(p, y)", "1e300*1e300"),
        ("(-8)**0.5*mse(p, y)", "(-8)**0.5"),
        ("0**-1*mse(p, y)", "0**-1"),
        ("mean(clamp(p, 0, 1e300))", "1e300"),
        ("mean(where(p > 0, 10**40, p))", "10**40"),
        ("mse(p, 1e300)", "1e300"),
        ("huber(p, y, delta=1e300)", "1e300"),
        ("mse(p, y) + 1e300", "1e300"),
        ("ce(p, y, class_weight=[1e300, 1])", "[1e300, 1]"),
        ("piecewise(step, [1], [1e300, 2])*mse(p, y)", "1e300"),
    ],
)
def test_numbers_beyond_floats_are_refused(text: str, underlined: str) -> None:
    """`9**9**9` as a whole number would not end."""
    assert refused(text) == [("E310", underlined)]


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("2**62", 2.0**62),
        ("2**63", 2.0**63),
        ("3**30", 3**30),
        ("10**30", 1e30),
        ("100000000000000000000000000000", 1e29),
        ("(10**39*10**39)", 1e78),
        ("2**-1", 0.5),
        ("where(1, 2, 3)", 2),
        ("where(1 > 2, 2, 3)", 3),
        ("(1 and 0) + (0 or 1)", 1),
    ],
)
def test_arithmetic_of_literals(text: str, factor: float) -> None:
    expected = factor * float(functional.mse_loss(P, Y))
    assert value(f"({text})*mse(p, y)") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("number", [10**400, [10**400], [float("nan")], [[1.0]], b"1"])
def test_a_param_is_a_finite_number(number: Any) -> None:
    assert [code for code, _ in refused("w*mse(p, y)", params={"w": number})] == ["E504"]
    loss = lossdsl.compile("w*mse(p, y)", params={"w": 1}, backend="eager")
    with pytest.raises(lossdsl.LossConfigError):
        loss.set(w=number)


def test_a_list_inside_itself_is_no_param() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert [code for code, _ in refused("w*mse(p, y)", params={"w": endless})] == ["E504"]


@pytest.mark.parametrize("text", ["(2 and 3)*mse(p, y)", "(0 or 7)*mse(p, y)", "not 5"])
def test_logic_is_of_zeros_and_ones(text: str) -> None:
    assert [code for code, _ in refused(text)][:1] == ["E301"]


# --- depth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["{}(x + 1)", "-(-(-(-{}(x + 1))))", "mse({}(x), x)"])
def test_functions_inside_one_another_have_a_limit(body: str, calls: Callable[..., int]) -> None:
    lines = ["def f0(x) = x"]
    lines += [f"def f{i}(x) = {body.format(f'f{i - 1}')}" for i in range(1, 400)]
    text = "\n".join([*lines, "mse(f399(p), y) + l1(f399(p), y)"])
    assert [code for code, _ in refused(text)] == ["E701"]
    assert calls(lambda: refused(text)) < MOST_CALLS


def test_long_chains_are_no_depth() -> None:
    """They are loops for the compiler, however many names there are."""
    names = "\n".join(f"a{i} = a{i - 1}" for i in range(1, 1500))
    assert value(f"a0 = 2\n{names}\na1499*mse(p, y)") == pytest.approx(2 * value("mse(p, y)"))
    rows = "\n".join(f"a{i} = a{i - 1}" for i in range(1, 1500))
    row = float(functional.mse_loss(P[0], Y[0]))
    assert value(f"a0 = p\n{rows}\nmse(a1499[0], y[0])") == pytest.approx(row)
    assert value(f"param w = 1\n{'w*' * 1500}mse(p, y)") == pytest.approx(value("mse(p, y)"))
    doubled = "\n".join(f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 60))
    text = f"{AXES}a0 = C/3\n{doubled}\na59*mean(p)"
    assert value(text) == pytest.approx(float(P.mean()))


# --- numbers as tensors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("2*w", 4.0),
        ("-w", -2.0),
        ("C", 3.0),
        ("C/2", 1.5),
        ("2*C + w", 8.0),
        ("2*C + step", 6.0),
        ("size(p, 0)", 2.0),
        ("exp(w)", 7.38905609893065),
        ("warmup(step, 10)", 0.0),
        ("warmup(C, 10)", 0.3),
        ("s", 0.5),
        ("v[1]", 5.0),
    ],
)
def test_what_is_made_of_numbers_stands_for_a_tensor(number: str, expected: float) -> None:
    params = "param w = 2\nparam s = learnable(0.5)\nparam v = [4, 5]\n"
    reference = float(((P - expected) ** 2).mean())
    assert value(f"{AXES}{params}mse(p, {number})") == pytest.approx(reference, rel=1e-6)


def test_a_scalar_of_tensors_is_no_such_number() -> None:
    assert refused(f"{AXES}mse(p, mean(p))") == [("E402", "mean(p)")]


@pytest.mark.parametrize("text", ["l1(C, C)", "mse(w, 2*w)", "mse(1, step)"])
def test_numbers_alone_are_no_loss(text: str) -> None:
    assert refused(f"{AXES}param w = 1\n{text} + mean(p)") == [("E309", text)]


def test_a_moving_number_is_converted_by_no_one() -> None:
    """A param in a slot of logits is logits; where probabilities are wanted it must say so."""
    assert refused("param w = 0.5\nbce(p, w)") == [("E301", "w")]
    expected = float(functional.binary_cross_entropy_with_logits(P, torch.full_like(P, 0.5)))
    assert value("param w = 0.5\nbce(p, prob(w))") == pytest.approx(expected, rel=1e-6)
    assert refused("dice(5, y)") == [("E301", "5")]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("warmup(C, 10)", 0.3),
        ("warmup(2*C, 4)", 1.0),
        ("cosine(C, 0, 1, 0, 6)", 0.5),
        ("linear(C, 0, 1, 0, 12)", 0.25),
        ("piecewise(C, [3], [5, 7])", 7.0),
        ("exp_decay(C, 1, 0.5, 3)", 0.5),
        ("cyclic(C, 0, 1, 4)", 0.5),
    ],
)
def test_a_schedule_of_a_size(schedule: str, expected: float) -> None:
    got = value(f"{AXES}{schedule}*mean(p)")
    assert got == pytest.approx(expected * float(P.mean()), rel=1e-6)


def test_a_list_is_no_weight() -> None:
    assert refused("param w = [1, 2]\nw*mse(p, y)") == [("E405", "w")]
    assert value("param w = [1, 2]\nw[1]*mse(p, y)") == pytest.approx(2 * value("mse(p, y)"))


def test_matmul_of_numbers_is_told() -> None:
    assert refused("matmul(2, 3)*mse(p, y)") == [("E402", "2")]


# --- parameters of losses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "underlined"),
    [
        ("huber(p, y, delta=[1, 2])", "[1, 2]"),
        ("focal(p, y, gamma=[2])", "[2]"),
        ("ssim(a, b, sigma=[1.5])", "[1.5]"),
        ("ssim(a, b, window=7.5)", "7.5"),
        ("ssim(a, b, window=[7])", "[7]"),
        ("mse(p, y, mask=0.5)", "0.5"),
    ],
)
def test_parameters_have_their_form(text: str, underlined: str) -> None:
    assert refused(text) == [("E206", underlined)]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 3, 16, 16)
    one, other = (
        lossdsl.compile(f"ssim(a, b, window={size})", backend="eager") for size in ("7", "7.0")
    )
    assert float(one(a=a, b=b)) == float(other(a=a, b=b))


def test_a_param_keeps_the_length_that_a_loss_needs() -> None:
    """Three scales of a window of 11 need 41 pixels, whether the list is literal or a param."""
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 3, 48, 48)
    weights = "[0.2, 0.3, 0.5]"
    literal = lossdsl.compile(f"ms_ssim(a, b, weights={weights})", backend="eager")
    param = lossdsl.compile(f"param w = {weights}\nms_ssim(a, b, weights=w)", backend="eager")
    assert float(param(a=a, b=b)) == pytest.approx(float(literal(a=a, b=b)), rel=1e-5)
    with pytest.raises(lossdsl.LossInputError, match="at least 41"):
        param(a=a[..., :40], b=b[..., :40])
    assert refused("param w = 2\nms_ssim(a, b, weights=w)") == [("E402", "w")]
    assert refused("ms_ssim(a, b, weights=[step, 1])") == [("E402", "[step, 1]")]


def test_quantiles_may_be_a_param() -> None:
    text = "input p: real[B, Q]\ninput y: real[B]\n"
    literal = f"{text}quantile(p, y, q=[0.1, 0.5, 0.9])"
    param = f"{text}param q = [0.1, 0.5, 0.9]\nquantile(p, y, q=q)"
    one, other = (lossdsl.compile(x, backend="eager") for x in (literal, param))
    assert float(other(p=P, y=Y[:, 0])) == pytest.approx(float(one(p=P, y=Y[:, 0])))


def test_a_bound_literal_is_a_literal() -> None:
    assert value("k = 2\nmean(p[:, :k])") == pytest.approx(float(P[:, :2].mean()))
    assert value("r = 'sum'\nmse(p, y, reduction=r)") == pytest.approx(float(((P - Y) ** 2).sum()))
    assert value("w = [0.5, 2]\nw[1]*mse(p, y)") == pytest.approx(2 * value("mse(p, y)"))


def test_a_number_for_each_row() -> None:
    """`y` has one value a row, and no other argument has its shape."""
    expected = functional.cosine_embedding_loss(P, Y, torch.ones(2))
    assert value("cosine_embedding(p, y, 1)") == pytest.approx(expected.item())
    expected = functional.cosine_embedding_loss(P, Y, -torch.ones(2))
    assert value("cosine_embedding(p, y, -1)") == pytest.approx(expected.item())
    assert refused("cosine_embedding(p, y, 0.5)") == [("E301", "0.5")]
