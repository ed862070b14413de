"""The reference line against a hand-written float64 reference, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

import lossdsl

LINE = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"


def by_hand(p: Tensor, y: Tensor, img: Tensor) -> dict[str, Tensor]:
    """Written from the papers, term by term, without anything of the library."""
    q = 1 / (1 + torch.exp(-p))
    bce = -(y * torch.log(q) + (1 - y) * torch.log(1 - q)).mean()
    smooth = 1e-5
    per_image = []
    for i in range(p.shape[0]):
        for c in range(p.shape[1]):
            overlap = (q[i, c] * y[i, c]).sum()
            per_image.append(1 - (2 * overlap + smooth) / (q[i, c].sum() + y[i, c].sum() + smooth))
    dice = torch.stack(per_image).mean()
    vertical = (img[..., 1:, :] - img[..., :-1, :]).abs().mean()
    horizontal = (img[..., :, 1:] - img[..., :, :-1]).abs().mean()
    return {"bce": 0.5 * bce, "dice": dice, "tv": 0.1 * (vertical + horizontal)}


def data(batch: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    p = torch.randn(batch, 1, 24, 20, generator=generator, dtype=torch.float64)
    y = torch.rand(batch, 1, 24, 20, generator=generator) > 0.6
    img = torch.rand(batch, 3, 24, 20, generator=generator, dtype=torch.float64)
    return {
        "p": p.to(dtype).requires_grad_(),
        "y": y.to(dtype),
        "img": img.to(dtype).requires_grad_(),
    }


def from_text(backend: Any) -> Any:
    return lossdsl.compile(LINE, backend=backend)


def from_yaml(backend: Any, tmp_path: Path) -> Any:
    path = tmp_path / "seg.yaml"
    path.write_text(f"loss: {LINE}\n")
    return lossdsl.load(path, backend=backend)


def from_yaml_terms(backend: Any, tmp_path: Path) -> Any:
    path = tmp_path / "seg.yaml"
    path.write_text(
        "lossdsl: 1\nterms:\n  bce: 0.5*bce(p, y)\n  dice: dice(p, y)\n  tv: 0.1*tv(img)\n"
    )
    return lossdsl.load(path, backend=backend)


def from_mapping(backend: Any, tmp_path: Path) -> Any:
    return lossdsl.from_config({"loss": LINE}, backend=backend)


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
@pytest.mark.parametrize(
    "make", [from_text, from_yaml, from_yaml_terms, from_mapping], ids=lambda f: f.__name__
)
def test_value_gradients_and_terms(backend: str, make: Callable[..., Any], tmp_path: Path) -> None:
    loss = make(backend) if make is from_text else make(backend, tmp_path)
    batch = data()
    value = loss(**batch)
    value.backward()
    gradients = {k: v.grad for k, v in batch.items()}
    reference = data()
    terms = by_hand(**reference)
    expected = sum(terms.values(), torch.zeros((), dtype=torch.float64))
    expected.backward()

    assert value.dtype == torch.float64
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for name in ("p", "img"):
        torch.testing.assert_close(gradients[name], reference[name].grad, rtol=1e-9, atol=1e-15)
    assert list(loss.terms) == ["bce", "dice", "tv"]
    for name, contribution in loss.terms.items():
        assert not contribution.requires_grad
        torch.testing.assert_close(contribution, terms[name].detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(sum(loss.terms.values()), value.detach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_float32_stays_close_to_float64(backend: str) -> None:
    loss = from_text(backend)
    batch = data(dtype=torch.float32)
    value = loss(batch["p"], batch["y"], batch["img"])
    value.backward()
    reference = data()
    expected = sum(by_hand(**reference).values(), torch.zeros((), dtype=torch.float64))
    expected.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), expected.detach(), rtol=2e-6, atol=0)
    gradient = reference["p"].grad
    assert gradient is not None
    assert batch["p"].grad is not None
    worst = (batch["p"].grad.double() - gradient).abs().max() / gradient.abs().max()
    assert worst < 2e-6


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.uint8])
def test_targets_of_any_dtype_give_the_same_value(kind: torch.dtype) -> None:
    loss = from_text("eager")
    batch = data(dtype=torch.float32)
    expected = loss(**batch)
    assert torch.equal(loss(batch["p"], batch["y"].to(kind), batch["img"]), expected)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_calculated_in_float32(half: torch.dtype) -> None:
    loss = from_text("eager")
    batch = {k: v.detach().to(half).requires_grad_() for k, v in data().items()}
    value = loss(**batch)
    value.backward()
    same = loss(**{k: v.detach().float() for k, v in batch.items()})
    assert value.dtype == torch.float32
    assert torch.equal(value, same)
    assert batch["p"].grad is not None
    assert batch["p"].grad.dtype == half


def test_one_graph_without_breaks() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    loss = from_text(counter)
    for _ in range(3):
        loss(**data()).backward()
    assert counter.frame_count == 1


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_batch_sizes_share_a_graph(backend: str) -> None:
    counter = CompileCounterWithBackend(backend)
    loss = from_text(counter)
    for batch in (8, 8, 5, 1, 3, 8):
        tensors = data(batch)
        value = loss(**tensors)
        expected = sum(by_hand(**data(batch)).values(), torch.zeros((), dtype=torch.float64))
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        value.backward()
    assert counter.frame_count <= 2


def test_training_validation_and_autocast_share_few_graphs() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    loss = from_text(counter)
    batch = data(dtype=torch.float32)
    expected = loss(**batch)
    with torch.no_grad():
        assert torch.equal(loss(**batch), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(**batch)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert counter.frame_count <= 3


def test_the_graph_module_runs_alone() -> None:
    loss = from_text("eager")
    batch = data()
    graph = loss.graph_module
    placeholders = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    assert placeholders == ["p", "y", "img"] == list(loss.contract.names)
    assert torch.equal(graph(*batch.values()), loss(**batch))
    called = [node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"]
    for name in ("bce", "dice", "tv"):
        assert called.count(name) == 1
