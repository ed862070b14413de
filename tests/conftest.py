"""What tests of several rooms share: golden files, and graphs evaluated node by node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lossdsl.ir.graph import Node

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files from what the code gives now; read the difference before "
        "committing it",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("inspect/reference.fx.txt", text)` compares with the file below tests/golden."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        text = text.rstrip("\n") + "\n"
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        if not file.exists():
            pytest.fail(
                f"there is no golden file tests/golden/{name}: make it with "
                f"`pytest '{request.node.nodeid}' --update-golden`, and read it"
            )
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def calls() -> Callable[[Callable[[], object]], int]:
    """`calls(work)` is how many functions `work` calls: its cost, the same on every machine."""

    def count(work: Callable[[], object]) -> int:
        total = 0

        def tally(frame: object, event: str, argument: object) -> None:
            nonlocal total
            total += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(tally)
        try:
            work()
        finally:
            sys.setprofile(before)
        return total

    return count


@pytest.fixture
def node_values() -> Callable[..., dict[int, Any]]:
    """`node_values(nodes, inputs, params, step)` is what each node gives, by its identity.

    Every node runs by its own torch function: nothing of the backend has a part in it.
    """

    def evaluate(
        nodes: Iterable[Node], inputs: Mapping[str, Any], params: Mapping[str, Any], step: int
    ) -> dict[int, Any]:
        values: dict[int, Any] = {}
        for node in nodes:
            operands = [values[id(operand)] for operand in node.operands]
            values[id(node)] = _value(node, operands, inputs, params, step)
        return values

    return evaluate


def _value(
    node: Node,
    operands: list[Any],
    inputs: Mapping[str, Any],
    params: Mapping[str, Any],
    step: int,
) -> Any:
    import torch

    # What a running mean keeps belongs to the compiled loss.
    literals = {key: value for key, value in node.literals.items() if key != "state"}
    match node.op:
        case "input":
            return inputs[literals["name"]]
        case "number":
            return literals["value"]
        case "param":
            return torch.tensor(params[literals["name"]])
        case "clock":
            return torch.tensor(float(step))
        case "size":
            return operands[0].shape[literals["axis"]]
        case "list":
            return operands
        case "index":
            items = literals["items"]
            return operands[0][items[0] if len(items) == 1 else items]
    names = node.keywords or (None,) * len(operands)
    positional = [x for name, x in zip(names, operands, strict=True) if name is None]
    keywords = {name: x for name, x in zip(names, operands, strict=True) if name is not None}
    return node.run(*positional, **keywords, **literals)
