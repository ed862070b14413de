"""Cross entropy without scores: torch's own on the scores, in value, gradients and memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from laws import examples_hold, normal, same, uniform
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

import lossdsl
from lossdsl.library import projection
from lossdsl.library.vocabulary import linear_ce, z_loss

TOKENS, WIDTH, CLASSES = 10, 4, 7
ROWS = torch.arange(TOKENS)

UPSTREAMS = {
    "one for all": torch.full((TOKENS,), 0.1),
    "another for some": torch.where(ROWS % 4 == 1, 2.0, 0.5),
    "each its own": normal(TOKENS, seed=9),
    "none": torch.zeros(TOKENS),
    "none for most": torch.where(ROWS == 3, 1.0, 0.0),
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 3 rows, the last one of a single row."""
    monkeypatch.setattr(projection, "LEAST_ROWS", 3)


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    y = torch.randint(0, CLASSES, (TOKENS,), generator=generator)
    x, head, bias = normal(TOKENS, WIDTH), normal(CLASSES, WIDTH, seed=1), normal(CLASSES, seed=2)
    # A row of zeros, as a mask leaves it, is a case of its own.
    return x.index_fill(0, torch.tensor([2, 7]), 0.0).to(dtype), y, head.to(dtype), bias.to(dtype)


def on_scores(
    x: Tensor,
    y: Tensor,
    head: Tensor,
    bias: Tensor | None,
    *,
    label_smoothing: float,
    softcap: float | None,
    z_loss: float,
    class_weight: Tensor | None,
) -> Tensor:
    """The same, all scores at once."""
    scores = F.linear(x, head, bias)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    cost = F.cross_entropy(
        scores, y, weight=class_weight, label_smoothing=label_smoothing, reduction="none"
    )
    return cost + z_loss * scores.logsumexp(1) ** 2


def gradients(cost: Tensor, upstream: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(cost, by, upstream.to(cost.dtype))


@pytest.mark.parametrize("name", ["linear_ce", "z_loss"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.usefixtures("small_blocks")
def test_value_and_gradients_are_those_of_the_scores(upstream: str, with_bias: bool) -> None:
    x, y, head, bias = batch()
    for smoothing, softcap, weight, weigh in itertools.product(
        (0.0, 0.2), (None, 1.5), (0.0, 0.3), (False, True)
    ):
        options: dict[str, Any] = {
            "label_smoothing": smoothing,
            "softcap": softcap,
            "z_loss": weight,
            "class_weight": uniform(CLASSES, seed=4) if weigh else None,
        }
        ours = [v.clone().requires_grad_() for v in (x, head, bias)[: 2 + with_bias]]
        theirs = [v.clone().requires_grad_() for v in (x, head, bias)[: 2 + with_bias]]
        value = linear_ce(ours[0], y, *ours[1:], **options)
        expected = on_scores(theirs[0], y, theirs[1], [*theirs, None][2], **options)
        same(value, expected.detach())
        slopes = gradients(value, UPSTREAMS[upstream], *ours)
        others = gradients(expected, UPSTREAMS[upstream], *theirs)
        for slope, other in zip(slopes, others, strict=True):
            same(slope, other, atol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_gradients_are_derivatives() -> None:
    x, y, head, bias = batch()
    free = [v.clone().requires_grad_() for v in (x, head, bias)]
    assert torch.autograd.gradcheck(
        lambda x, head, bias: linear_ce(
            x, y, head, bias, label_smoothing=0.1, softcap=2.0, z_loss=0.1
        ),
        free,
    )


@pytest.mark.parametrize(
    ("dtype", "close"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2), (torch.float16, 4e-3)]
)
@pytest.mark.parametrize("upstream", ["one for all", "each its own"])
@pytest.mark.usefixtures("small_blocks")
def test_other_precisions(dtype: torch.dtype, close: float, upstream: str) -> None:
    x, y, head, bias = batch(dtype)
    free = [v.clone().requires_grad_() for v in (x, head, bias)]
    exact = [v.double().clone().requires_grad_() for v in (x, head, bias)]
    value = linear_ce(free[0], y, free[1], free[2])
    expected = F.cross_entropy(F.linear(*exact), y, reduction="none")
    # Half precision's costs are single, its gradients as it is.
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), expected, rtol=close, atol=close)
    for slope, other in zip(
        gradients(value, UPSTREAMS[upstream], *free),
        gradients(expected, UPSTREAMS[upstream], *exact),
        strict=True,
    ):
        assert slope.dtype == dtype
        scale = float(other.abs().max())
        torch.testing.assert_close(slope.double(), other, rtol=0.0, atol=2 * close * scale)


def test_precisions_that_differ_are_brought_to_the_wider_one() -> None:
    x, y, head, _ = batch()
    same(linear_ce(x.float(), y, head), linear_ce(x.float().double(), y, head))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_is_torchs_linear_cross_entropy(reduction: str) -> None:
    x, y, head, bias = batch()
    y = torch.where(ROWS == 4, -100, y)
    weight = uniform(CLASSES, seed=4)
    loss = lossdsl.compile(
        f"linear_ce(x, y, w, b, label_smoothing=0.1, class_weight=c, reduction='{reduction}')",
        backend="eager",
    )
    free = [v.clone().requires_grad_() for v in (x, head, bias)]
    other = [v.clone().requires_grad_() for v in (x, head, bias)]
    value = loss(x=free[0], y=y, w=free[1], b=free[2], c=weight)
    expected = F.linear_cross_entropy(
        other[0],
        other[1],
        y,
        linear_bias=other[2],
        weight=weight,
        label_smoothing=0.1,
        reduction=reduction,
    )
    same(value, expected.detach())
    value.backward()
    expected.backward()
    for ours, theirs in zip(free, other, strict=True):
        assert ours.grad is not None
        same(ours.grad, theirs.grad, atol=1e-12)


@pytest.mark.parametrize(
    ("keywords", "kept"),
    [("", [0, 1, 2, 3]), (", mask=m", [0, 2, 3]), (", ignore_index=1", [0, 2])],
)
def test_what_does_not_count_counts_nowhere(keywords: str, kept: list[int]) -> None:
    x, head = normal(4, 3), normal(5, 3, seed=1).requires_grad_()
    y = torch.tensor([0, 1, 4, 1])
    holed = x.clone()
    if "mask" in keywords:
        holed[1] = torch.nan
    holed.requires_grad_()
    loss = lossdsl.compile(
        "input x: embedding[B, D]\ninput y: labels[B]\ninput w: embedding[C, D]\n"
        f"input m: mask[B]\nlinear_ce(x, y, w{keywords})",
        backend="eager",
    )
    given = {"x": holed, "y": y, "w": head, "m": torch.tensor([1.0, 0.0, 1.0, 1.0])}
    value = loss({name: given[name] for name in loss.contract.names})
    rows, own = x[kept].clone().requires_grad_(), head.detach().clone().requires_grad_()
    expected = F.cross_entropy(rows @ own.T, y[kept])
    same(value, expected.detach())
    value.backward()
    expected.backward()
    assert holed.grad is not None
    same(holed.grad[kept], rows.grad)
    assert not holed.grad[[i for i in range(4) if i not in kept]].any()
    same(head.grad, own.grad)


class Asked(TorchDispatchMode):
    """Which gradients the operator is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[list[bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.lossdsl.projected_ce.default:
            self.wanted.append(list(args[-1]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("free", list(itertools.product([False, True], repeat=3)))
def test_gradients_that_nobody_wants_are_not_taken(free: tuple[bool, bool, bool]) -> None:
    x, y, head, bias = batch()
    given = [v.clone().requires_grad_(own) for v, own in zip((x, head, bias), free, strict=True)]
    with Asked() as asked:
        value = linear_ce(given[0], y, given[1], given[2])
        with torch.no_grad():
            linear_ce(given[0], y, given[1], given[2])
    assert asked.wanted == [list(free), [False] * 3]
    if any(free):
        value.sum().backward()
    assert [v.grad is not None for v in given] == list(free)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each pass scores."""
    rows: list[int] = []
    costs = projection.costs

    def counted(head: Any, x: Tensor, *rest: Any) -> Tensor:
        rows.append(x.shape[0])
        return costs(head, x, *rest)

    monkeypatch.setattr(projection, "costs", counted)
    return rows


@pytest.mark.parametrize(
    ("keywords", "again"),
    [
        ("", 0),
        (", reduction='sum'", 0),
        (", mask=m", 0),
        (", weight=w", 2),
        (", ignore_index=0", 3),
    ],
)
@pytest.mark.parametrize("with_bias", [False, True])
def test_few_rows_are_scored_twice(
    keywords: str, again: int, with_bias: bool, scored: list[int]
) -> None:
    x, head = normal(8, 3).requires_grad_(), normal(5, 3, seed=1).requires_grad_()
    bias = normal(5, seed=2).requires_grad_()
    loss = lossdsl.compile(
        "input x: embedding[B, D]\ninput y: labels[B]\ninput w: real[B]\ninput m: mask[B]\n"
        "input head: embedding[C, D]\ninput bias: real[C]\n"
        f"linear_ce(x, y, head{', bias' if with_bias else ''}{keywords})",
        backend="eager",
    )
    given = {
        "x": x,
        "y": torch.tensor([0, 1, 2, 0, 3, 4, 0, 1]),
        "w": torch.tensor([1.0, 1, 1, 3, 1, 1, 0, 1]),
        "m": torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0]),
        "head": head,
        "bias": bias,
    }
    loss({name: given[name] for name in loss.contract.names}).backward()
    # To the bias all rows that a mask left are zeros of four classes.
    together = 4 if with_bias and "mask" in keywords else 0
    assert scored == [8, again + together]


def test_scores_are_never_all_in_memory() -> None:
    tokens, width, classes = 4096, 16, 4000
    x = torch.randn(tokens, width).requires_grad_()
    head = torch.randn(classes, width).requires_grad_()
    y = torch.randint(0, classes, (tokens,))
    scores = 4 * tokens * classes

    def peak(cost: Any) -> int:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            cost().mean().backward()
        assert seen.profiler is not None
        events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
        events.sort(key=lambda event: event.start_ns())
        return max(itertools.accumulate(event.nbytes() for event in events))

    assert peak(lambda: linear_ce(x, y, head)) < scores / 4
    # The measure sees what it is to see.
    assert peak(lambda: F.cross_entropy(x @ head.T, y)) > scores


def test_second_derivatives_are_refused() -> None:
    x, y, head, _ = batch()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(linear_ce(x, y, head).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="linear_ce has first derivatives only"):
        slope.sum().backward()


def test_a_graph_may_be_gone_through_twice() -> None:
    x, y, head, _ = batch()
    free = [x.requires_grad_(), head.requires_grad_()]
    cost = linear_ce(x, y, head)
    first = torch.autograd.grad(cost.mean(), free, retain_graph=True)
    second = torch.autograd.grad(3 * cost.mean(), free)
    for one, three in zip(first, second, strict=True):
        same(3 * one, three)


def test_autocast_changes_nothing() -> None:
    x, y, head, _ = batch(torch.float32)
    x.requires_grad_()
    head.requires_grad_()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            cost = linear_ce(x, y, head)
            results.append((cost, gradients(cost, UPSTREAMS["each its own"], x, head)))
    torch.testing.assert_close(*results, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_one_graph_for_all_batches(backend: str) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(linear_ce, fullgraph=True, backend=counter)
    for tokens in (4, 7, 3, 9):
        y = torch.arange(tokens) % CLASSES
        ours = [v.requires_grad_() for v in (normal(tokens, WIDTH), normal(CLASSES, WIDTH, seed=1))]
        theirs = [v.detach().clone().requires_grad_() for v in ours]
        cost, expected = (
            compiled(ours[0], y, ours[1]),
            F.cross_entropy(theirs[0] @ theirs[1].T, y, reduction="none"),
        )
        same(cost, expected.detach())
        upstream = normal(tokens, seed=5)
        for slope, other in zip(
            gradients(cost, upstream, *ours), gradients(expected, upstream, *theirs), strict=True
        ):
            same(slope, other, atol=1e-12)
    # The first size is taken for a constant.
    assert counter.frame_count <= 2


def test_blocks_are_neither_small_nor_a_large_part_of_the_rows() -> None:
    for rows, classes in ((4096, 32_000), (512, 128_000), (100_000, 50_000), (10_000, 10), (1, 0)):
        at_once = projection.rows_at_once(rows, classes)
        assert at_once >= projection.LEAST_ROWS
        assert at_once * classes <= max(projection.BLOCK, projection.LEAST_ROWS * classes)
        assert at_once <= max(rows / 8, projection.LEAST_ROWS)


def test_z_loss_is_the_square_of_log_sum_exp() -> None:
    p = normal(3, 5, 4, scale=3.0)
    same(z_loss(p), scipy.special.logsumexp(p.numpy(), axis=1) ** 2)
    same(z_loss(p + 700), scipy.special.logsumexp(p.numpy() + 700, axis=1) ** 2)
    free = p.clone().requires_grad_()
    (slope,) = torch.autograd.grad(z_loss(free).sum(), free)
    total = scipy.special.logsumexp(p.numpy(), axis=1, keepdims=True)
    same(slope, 2 * total * np.exp(p.numpy() - total))
