"""Hazards: what is warned of really happens in torch, its cure does not warn, and nothing else
warns."""

from __future__ import annotations

import math

import pytest
import torch

import lossdsl
from lossdsl.diagnostics.diagnostic import Diagnostic

DECLARED = """input x: real[B, C]
input z: real[B, C]
input p: prob[B, C]
input v: positive[B, C]
input m: mask[B, C]
input k: logits[B, C]
input e: embedding[B, D]
input f: embedding[B, D]
"""


def warnings_of(text: str, **options: str) -> list[Diagnostic]:
    inputs = {line.split()[1].rstrip(":"): line.split(": ")[1] for line in DECLARED.splitlines()}
    found = lossdsl.compile(text, backend="eager", inputs=inputs, **options).warnings  # type: ignore[arg-type]
    return [d for d in found if d.code.startswith("W8")]


def only(text: str, **options: str) -> Diagnostic:
    (found,) = warnings_of(text, **options)
    return found


HARMFUL = [
    ("mean(log(p))", "W801", "p", "log(clamp(p, min=1e-7))"),
    ("mean(log(1 - p))", "W801", "1 - p", "log(clamp(1 - p, min=1e-7))"),
    ("mean(log(1 - sigmoid(k)))", "W801", "1 - sigmoid(k)", "logsigmoid(-k)"),
    (
        "mean(log(x))",
        "W801",
        "x",
        "declare it `positive`; else bound it: `log(clamp(x, min=1e-7))`",
    ),
    ("mean(log1p(-p))", "W801", "-p", "log1p(clamp(-p, min=-1 + 1e-7))"),
    ("mean(log(where(p > 0.5, p, 0)))", "W801", "where(p > 0.5, p, 0)", "clamp"),
    ("mean(sqrt(p))", "W802", "p", "sqrt(p + 1e-12)"),
    ("mean(sqrt(sum((x - z)**2, over=[1])))", "W802", "sum((x - z)**2, over=[1])", "norm(x - z)"),
    ("mean(sqrt(x))", "W802", "x", "sqrt(clamp(x, min=1e-12))"),
    ("mean(x/p)", "W803", "p", "clamp(p, min=1e-8)"),
    ("mean(x/z)", "W803", "z", "declare it `positive`"),
    (
        "mean(x)/(size(x, over=0) - 1)",
        "W803",
        "(size(x, over=0) - 1)",
        "clamp(size(x, over=0) - 1, min=1)",
    ),
    ("mean(p**-1)", "W803", "p", "clamp(p, min=1e-8)"),
    ("mean(x/norm(x))", "W803", "norm(x)", "clamp(norm(x), min=1e-8)"),
    ("mean(exp(x))", "W804", "x", "exp(clamp(x, max=87))"),
    ("mean(exp(100*p))", "W804", "100*p", "exp(clamp(100*p, max=87))"),
    ("mean(2**x)", "W804", "x", "clamp(x, max=60)"),
    ("mean((-2)**x)", "W805", "(-2)", "absolute value"),
    ("mean(log(softplus(x)))", "W801", "softplus(x)", "log(clamp(softplus(x), min=1e-7))"),
    ("mean(p/exp(-abs(x)))", "W803", "exp(-abs(x))", "clamp(exp(-abs(x)), min=1e-8)"),
    ("mean(log(1 + 1e-8 - p))", "W801", "1 + 1e-8 - p", "clamp(1 + 1e-8 - p, min=1e-7)"),
    ("mse(x, z)/warmup(step, 10)", "W803", "warmup(step, 10)", "clamp"),
    ("mean(x**0.5)", "W805", "x", "abs(x)**0.5"),
    ("mean(p**0.5)", "W805", "p", "(p + 1e-8)**0.5"),
    ("mean(x**p)", "W805", "x", "clamp(x, min=0)"),
    ("mean(acos(cosine_similarity(e, f)))", "W806", "cosine_similarity(e, f)", "acos(clamp("),
    ("mean(acos(x))", "W806", "x", "acos(clamp(x, min=-1 + 1e-6, max=1 - 1e-6))"),
    ("mean(sign(x))", "W807", "sign(x)", "monitor"),
    ("mean(x > 0)", "W807", "x > 0", "monitor"),
    ("mean(detach(x))", "W807", "detach(x)", "monitor"),
    ("mean(m)", "W807", "mean(m)", "monitor"),
    ("sum(x*m)/sum(m)", "W808", "sum(m)", "mean(x, where=m)"),
    ("sum(m*bce(k, p, reduction='none'))/sum(m)", "W808", "sum(m)", "where=m"),
]


@pytest.mark.parametrize(("text", "code", "place", "cure"), HARMFUL)
def test_a_hazard_is_told_with_its_cure(text: str, code: str, place: str, cure: str) -> None:
    found = only(text)
    assert (found.code, found.span.text) == (code, place)
    assert cure in (found.help or "")


CURED = [
    "mean(log(p + 1e-8))",
    "mean(log(clamp(p, min=1e-7)))",
    "mean(log(maximum(p, 1e-7)))",
    "mean(log(sigmoid(k)))",
    "mean(logsigmoid(-k))",
    "mean(log(1 + exp(clamp(x, max=80))))",
    "mean(log(1 + exp(x)))",
    "mean(log(sum(exp(x), over=[1])))",
    "mean(log(v))",
    "mean(log(softplus(x) + 1e-6))",
    "mean(log(positive(x)))",
    "mean(log(prob(x) + 1e-6))",
    "mean(exp(log_prob(x)))",
    "mean(log1p(p))",
    "mean(log1p(x**2))",
    "mean(where(x > 0, log(where(x > 0, x, 1)), 0))",
    "mean(where(p < 0.5, p, log(where(p < 0.5, 1, p))))",
    "mean(sqrt(p + 1e-8))",
    "mean(sqrt(x**2 + z**2 + 1e-12))",
    "mean(sqrt(x*x + 1e-12))",
    "mean(sqrt(detach(p))*x)",
    "mean(norm(x, over=[1]))",
    "rmse(x, z)",
    "sqrt(mse(x, z) + 1e-8)",
    "mean(x/v)",
    "mean(x/(norm(x, over=[1], keepdim=true) + 1e-8))",
    "mean(x/(abs(z) + 1))",
    "mean(std(x, over=[1]))",
    "mean(x)/size(x, over=0)",
    "mean(x, where=m)",
    "mean(exp(p))",
    "mean(exp(-abs(x)))",
    "mean(exp(x - max(x, over=[1], keepdim=true)))",
    "mean(exp(-x**2))",
    "mean(2**-v)",
    "mean((1 - p)**2)",
    "mean((1 - p)**1.5)",
    "mean(x**3)",
    "mean(v**-0.5)",
    "mean(acos(0.99*cosine_similarity(e, f)))",
    "mean(abs(x)*sign(z))",
    "mean(where(x > 0, x, 0))",
    "param s = learnable(0.0)\nexp(-s)*mse(x, z) + s",
    "param s = learnable(1.0)\nmse(x, z)/(2*s**2) + log(s)",
    "param t = 0.07\nmean(exp(p/t))",
    "mean(k*m)",
]


@pytest.mark.parametrize("text", CURED)
def test_what_cannot_happen_is_not_told(text: str) -> None:
    assert warnings_of(text) == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("mean(log(p))", {"p": 0.0}),
        ("mean(log(1 - sigmoid(k)))", {"k": 40.0}),
        ("mean(sqrt(p))", {"p": 0.0}),
        ("mean(sqrt(sum((x - z)**2, over=[1])))", {"x": 1.0, "z": 1.0}),
        ("mean(x/p)", {"x": 1.0, "p": 0.0}),
        ("mean(exp(x))", {"x": 90.0}),
        ("mean(2**x)", {"x": 130.0}),
        ("mean(x**0.5)", {"x": -1.0}),
        ("mean(p**0.5)", {"p": 0.0}),
        ("mean(acos(x))", {"x": 1.0}),
        ("sum(x*m)/sum(m)", {"x": 1.0, "m": 0.0}),
    ],
)
def test_a_hazard_happens(text: str, values: dict[str, float]) -> None:
    """At a value that the warning speaks of, the loss or a gradient is NaN or infinite."""
    assert warnings_of(text)
    tensors = {
        name: torch.full((2, 3), value, requires_grad=name != "m") for name, value in values.items()
    }
    kinds = {"p": "prob[B, C]", "m": "mask[B, C]", "k": "logits[B, C]"}
    inputs = {name: kinds.get(name, "real[B, C]") for name in values}
    loss = lossdsl.compile(text, backend="eager", inputs=inputs)
    value = loss(**tensors)
    value.backward()
    gradients = [t.grad for t in tensors.values() if t.grad is not None]
    assert not all(math.isfinite(number) for number in (value.item(), *_numbers(gradients)))


def _numbers(tensors: list[torch.Tensor]) -> list[float]:
    return [number for tensor in tensors for number in tensor.flatten().tolist()]


def test_half_precision_has_its_own_limits() -> None:
    assert warnings_of("mean(exp(20*p))") == []
    assert only("mean(exp(20*p))", compute_dtype="input").code == "W804"
    assert warnings_of("mean(log(p + 1e-8))") == []
    assert only("mean(log(p + 1e-8))", compute_dtype="input").code == "W801"


def test_a_number_too_small_for_float32_is_zero() -> None:
    assert only("mean(log(p + 1e-50))").code == "W801"


def test_the_interval_of_an_image_is_its_range() -> None:
    text = "input g: image(0, 255)[B, 3, H, W]\nmean(exp(g))"
    (found,) = lossdsl.compile(text, backend="eager").warnings
    assert "[0, 255]" in found.message
    text = "input g: image(-1, 1)[B, 3, H, W]\nmean(exp(g))"
    assert lossdsl.compile(text, backend="eager").warnings == ()


def test_params_are_not_judged_and_tensors_are() -> None:
    assert warnings_of("param w = 0.5\nmean(x)*log(w)") == []
    assert only("param w = 0.5\nmean(log(w*p))").code == "W801"


def test_a_binding_is_told_once() -> None:
    assert len(warnings_of("q = log(p)\nmean(q) + mean(x*q)")) == 1


def test_a_value_from_elsewhere_is_told_with_the_operation_that_it_harms() -> None:
    found = only("def f(a) = mean(log(a))\nf(p)")
    assert (found.span.text, found.span.line) == ("p", 2)
    assert [label.span.text for label in found.labels] == ["log(a)"]
    assert only("mean(log(p))").labels == ()


def test_a_monitor_needs_no_gradient() -> None:
    config = {
        "inputs": {"x": "real[B]", "z": "real[B]"},
        "terms": {"fit": "mse(x, z)"},
        "monitor": {"above": "mean(x > z)"},
    }
    assert lossdsl.from_config(config, backend="eager").warnings == ()


def test_no_loss_of_the_library_is_a_hazard_by_itself() -> None:
    for record in lossdsl.losses().values():
        for example in record.examples:
            found = lossdsl.check(example.text).diagnostics
            assert [d for d in found if d.code.startswith("W8")] == [], example.text
