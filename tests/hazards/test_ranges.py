"""Every interval is held against torch: what a program calculates lies in what was foretold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.functions.record import functions
from lossdsl.hazards.interval import ANY, Interval
from lossdsl.hazards.ranges import TRANSFERS
from lossdsl.hazards.values import values_of
from lossdsl.ir.build import build

DECLARED = """
input x: real[B, C]
input z: real[B, C]
input p: prob[B, C]
input q: prob[B, C]
input v: positive[B, C]
input m: mask[B, C]
input s: sign[B, C]
input y: labels[B]
input k: class_logits[B, C]
input g: image(-1, 1)[B, 3, 8, 8]
input e: embedding[B, D]
input f: embedding[B, D]
param w = 0.5
param low = learnable(0.3, min=0.1, max=2)
"""

EXPRESSIONS = (
    "x + p",
    "p - q",
    "1 - p",
    "x*x",
    "p*v",
    "x*p",
    "-v",
    "p/(q + 0.5)",
    "x/v",
    "p/(q - 2)",
    "x**2",
    "x**3",
    "p**0.5",
    "p**-1",
    "v**-2",
    "(p + 0.1)**x",
    "2**p",
    "v**p",
    "p**w",
    "exp(p)",
    "exp(-v)",
    "log(p + 0.5)",
    "log(v)",
    "log1p(p)",
    "sqrt(p)",
    "abs(x)",
    "abs(p - 2)",
    "sign(x)",
    "floor(4*p)",
    "relu(x)",
    "relu(p - 0.5)",
    "sigmoid(x)",
    "logsigmoid(x)",
    "softplus(x)",
    "tanh(x)",
    "sin(x)",
    "cos(x)",
    "atan(x)",
    "acos(p)",
    "lgamma(v)",
    "minimum(x, p)",
    "maximum(x, p)",
    "maximum(p, 0.3)",
    "clamp(x, min=-1, max=p)",
    "clamp(x, min=0.1)",
    "clamp(x, max=0.1)",
    "detach(p)",
    "x > 0",
    "p >= q",
    "(x > 0) and (z > 0)",
    "not (x > 0)",
    "where(x > 0, x, 1)",
    "where(x <= 0, 0.5, x)",
    "where(0 < x, x, -x)",
    "where(x < 0, x, p)",
    "where(x >= 0.5, x, x)",
    "where(p < 0.5, p, q)",
    "mean(p, over=[1])",
    "mean(v, where=m, over=[1])",
    "sum(p, over=[1])",
    "sum(-v, over=[1])",
    "sum(v, where=m, over=[1])",
    "sum(x, over=[1])",
    "max(p, over=[1])",
    "min(x, over=[1])",
    "norm(x, over=[1])",
    "var(x, over=[1])",
    "std(x, over=[1])",
    "logsumexp(p, over=[1])",
    "x - max(x, over=[1], keepdim=true)",
    "x - logsumexp(x, over=[1], keepdim=true)",
    "softmax(k)",
    "log_softmax(k)",
    "real(argmax(k))",
    "one_hot(y, 4)",
    "normalize(e)",
    "cosine_similarity(e, f)",
    "pairwise_distance(e, f)",
    "cdist(e, f, p=1)",
    "x @ transpose(z)",
    "p @ transpose(q)",
    "matmul(p, transpose(q))",
    "einsum('bc,bc->b', p, v)",
    "einsum('bc,bc->b', x, v)",
    "reshape(p, [-1])",
    "flatten(p)",
    "permute(p, [1, 0])",
    "movedim(p, 0, 1)",
    "flip(p, over=[0])",
    "roll(p, 1, over=[0])",
    "pad(p, over=[1], before=1, value=-3)",
    "pad(v, over=[1], after=2)",
    "cat(p, x, over=0)",
    "stack(p, v, over=0)",
    "gather(p, y)",
    "diagonal(p @ transpose(q))",
    "cumsum(p, over=1)",
    "sort(p, over=1)",
    "real(argsort(x, over=1))",
    "topk(p, 2, over=1)",
    "size(x, over=1)*p",
    "arange(x, over=1)",
    "eye(x @ transpose(x))",
    "dx(g)",
    "dy(g)",
    "laplacian(g)",
    "interpolate(g, size=[5, 13])",
    "interpolate(p[:, none], size=[9], mode='nearest')",
    "avg_pool(g, 2)",
    "gaussian_blur(g, 1.0)",
    "conv2d(g, [[0, 1, 0], [1, 1, 1], [0, 1, 0]])",
    "abs(fft(x))",
    "real(rfft(p))",
    "imag(stft(p @ transpose(q), 2))",
    "grad(sum(p*p), p)",
    "between(p, q)",
    "around(p)",
    "all_gather(p)",
    "ema(p)",
    "p*warmup(step, 10)",
    "p*linear(step, 1, 3, 0, 10)",
    "p*cosine(step, -1, 3, 0, 10)",
    "p*exp_decay(step, 2, 0.5, 10)",
    "p*piecewise(step, [5, 10], [1, 0.5, -2])",
    "p*cyclic(step, 0, 2, 10)",
    "low*p",
    "w*p",
    "p[:, 0]",
    "g[:, 0]/255",
    "s*p",
    "1/(1 + exp(-p))",
    "(p - q)**2 + (x - z)**2",
)


def batch(seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)

    def normal(*sizes: int) -> Tensor:
        return 3 * torch.randn(sizes, generator=random, dtype=torch.float64)

    def uniform(*sizes: int) -> Tensor:
        made = torch.rand(sizes, generator=random, dtype=torch.float64)
        # The ends of a kind are what the intervals speak of.
        ends = torch.randint(0, 4, sizes, generator=random)
        return torch.where(ends == 0, 0.0, torch.where(ends == 1, 1.0, made))

    return {
        "x": normal(4, 4) * torch.randint(0, 2, (4, 4), generator=random),
        "z": normal(4, 4),
        "p": uniform(4, 4),
        "q": uniform(4, 4),
        "v": uniform(4, 4) + 1e-3,
        "m": torch.randint(0, 2, (4, 4), generator=random).double(),
        "s": torch.randint(0, 2, (4, 4), generator=random).double() * 2 - 1,
        "y": torch.randint(0, 4, (4,), generator=random),
        "k": normal(4, 4),
        "g": 2 * uniform(4, 3, 8, 8) - 1,
        "e": normal(4, 5),
        "f": normal(4, 5),
    }


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_what_is_calculated_lies_in_the_interval(
    text: str, node_values: Callable[..., dict[int, Any]]
) -> None:
    loss = lossdsl.compile(f"{DECLARED}\nmean(real({text}))", backend="eager")
    checked = loss._first.checked
    nodes = build(checked.program).nodes()
    known = values_of(nodes, checked.declared.params, 0.0)
    for seed in range(3):
        # A derivative is taken by what carries a gradient.
        inputs = {n: x.requires_grad_(x.is_floating_point()) for n, x in batch(seed).items()}
        values = node_values(nodes, inputs, {"w": 0.5, "low": 0.3}, 7 * seed)
        for node in nodes:
            for number in numbers(values[id(node)]):
                assert inside(number, known[id(node)].interval), (node.name, number)


def numbers(value: Any) -> list[float]:
    if isinstance(value, Tensor) and value.is_complex():
        return []
    if isinstance(value, Tensor):
        return value.detach().double().flatten().tolist()
    if isinstance(value, list | tuple):
        return [number for item in value for number in numbers(item)]
    return [float(value)] if isinstance(value, int | float) else []


def inside(number: float, interval: Interval) -> bool:
    """Up to rounding. Where an operation has no value (NaN) an interval says nothing."""
    if math.isnan(number):
        return True
    slack = 1e-6 * max(1.0, abs(number)) if math.isfinite(number) else 0.0
    return interval.low - slack <= number <= interval.high + slack


def test_every_function_has_a_range() -> None:
    missing = [name for name, record in functions().items() if record.run not in TRANSFERS]
    assert missing == []


def test_every_function_is_held_against_torch() -> None:
    """By name, or by its sign for operators."""
    text = " ".join(EXPRESSIONS) + " ".join(("!=", "==", "<=", "<", "or", "neg"))
    assert [name for name in functions() if name not in text] == []


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda a, b: a + b, Interval(-1, 5)),
        (lambda a, b: a - b, Interval(-4, 2)),
        (lambda a, b: a * b, Interval(-3, 6)),
        (lambda a, b: a / Interval(2, 4), Interval(-0.5, 1)),
        (lambda a, b: b / a, ANY),
    ],
)
def test_arithmetic(
    operation: Callable[[Interval, Interval], Interval], expected: Interval
) -> None:
    assert operation(Interval(-1, 2), Interval(0, 3)) == expected
