"""Golden files: what a person sees is kept as a file and compared letter by letter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
