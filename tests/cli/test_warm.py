"""`lossdsl warm`: what a first call compiles is there for the next process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lossdsl
from lossdsl.inspect.example_inputs import example_inputs, open_sizes
from lossdsl.inspect.warming import warm

CALL = """\
import torch
import lossdsl
from torch._dynamo.utils import counters
loss = lossdsl.load("good.yaml")
p = torch.zeros(16, 1, requires_grad=True)
loss(p, torch.ones(16, 1)).backward()
print(dict(counters["inductor"]))
"""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("B", "write B=8, or S=8x1x64x64"),
        ("B=0.5", "write B=8, or S=8x1x64x64"),
        ("Q=3", "leaves no size `Q` open: it has B"),
        ("B=8x2", "`B` is one axis: B=8"),
    ],
)
def test_sizes_that_the_contract_does_not_have(run: Any, given: str, message: str) -> None:
    result = run("warm", "good.yaml", "--shape", given)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.stderr)


def test_a_loss_with_a_network_is_not_warmed(run: Any) -> None:
    program = "input f: module(real[B, N]) -> real[B]\ninput x: real[B, N]\nmean(f(x))"
    result = run("warm", "-e", program)
    assert result.exit_code != 0
    assert "f" in result.stderr


def test_examples_have_the_sizes_that_are_named() -> None:
    loss = lossdsl.compile("bce(p, y) + 0.1*tv(img)", backend="eager")
    assert open_sizes(loss.contract)["S"]
    sizes = {"S": (6,), "H": (5,), "C": (3,), "B": (4,)}
    example = next(example_inputs(loss.contract, {}, torch.device("cpu"), sizes))
    assert example["img"].shape == (4, 3, 5, 6)


def test_it_runs_as_training_and_as_validation_do() -> None:
    results: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        results.append(len(graph.graph.output_node().all_input_nodes))
        return graph.forward

    loss = lossdsl.compile("mse(x, y)", inputs={"x": "real[B, N]"}, backend=backend)
    warmed = warm(loss, {"B": (3,), "N": (5,)})
    # With the gradient, and without.
    assert results == [4, 2]
    assert min(warmed.training, warmed.validation) > 0


@pytest.mark.slow
def test_another_process_finds_it(run: Any, tmp_path: Path) -> None:
    run("check", "good.yaml")
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}

    def done(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        found = subprocess.run(
            command, cwd=Path.cwd(), env=environment, capture_output=True, text=True, check=True
        )
        return found.stdout

    told = done("-m", "lossdsl", "warm", "good.yaml", "--shape", "B=8")
    assert str(tmp_path / "cache") in told
    counted = done("-c", CALL)
    assert "fxgraph_cache_hit" in counted
    assert "fxgraph_cache_miss" not in counted
