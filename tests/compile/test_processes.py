"""`all_gather` in real processes: the loss of the global batch, and its gradient at the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import lossdsl

TEXT = "clip(all_gather(a), all_gather(b)) + supcon(all_gather(a), all_gather(y))"
ROWS = 8


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 4, dtype=torch.float64)


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, ROWS, 5, generator=generator, dtype=torch.float64)
    return a, b, torch.arange(ROWS) % 3


def step(network: nn.Module, backend: str, rows: slice) -> torch.Tensor:
    a, b, y = (x[rows] for x in data())
    first, second = network(torch.cat([a, b])).chunk(2)
    value = lossdsl.compile(TEXT, backend=backend)(a=first, b=second, y=y)
    value.backward()
    return value.detach()


def process(rank: int, world: int, backend: str, folder: str) -> None:
    store = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    own = slice(rank * ROWS // world, (rank + 1) * ROWS // world)
    network = DistributedDataParallel(model())
    value = step(network, backend, own)
    saved = {"value": value, "grad": network.module.weight.grad}
    torch.save(saved, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize(("world", "backend"), [(2, "eager"), (4, "eager"), (2, "aot_eager")])
def test_the_loss_of_all_processes_is_that_of_one(world: int, backend: str, tmp_path: Path) -> None:
    alone = model()
    expected = step(alone, "eager", slice(None))
    arguments: tuple[Any, ...] = (world, backend, str(tmp_path))
    multiprocessing.spawn(process, args=arguments, nprocs=world)  # type: ignore[no-untyped-call]
    for rank in range(world):
        found = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found["value"], expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(found["grad"], alone.weight.grad, rtol=1e-10, atol=1e-13)


def test_without_processes_it_is_the_value_itself() -> None:
    x = torch.randn(3, 2)
    assert torch.equal(lossdsl.compile("sum(all_gather(x))", backend="eager")(x), x.sum())
