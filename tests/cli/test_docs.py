"""The page about the command line: every output in it is what the command prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossdsl.cli.app import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BLOCK = re.compile(r"^```(?P<language>console|python)\n(?P<text>.*?)^```$", re.DOTALL | re.M)
PROMPT = "$ lossdsl "


def replay(text: str, run: Callable[..., Any]) -> str:
    """A console block as it would look if its commands were run now."""
    lines = []
    for line in text.splitlines():
        if line.startswith(PROMPT):
            output = run(*shlex.split(line.removeprefix(PROMPT))).output
            lines += [line, *output.splitlines()]
    return "\n".join(lines) + "\n"


def test_the_page(
    run: Callable[..., Any],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The reader has no files but those that the page makes.
    monkeypatch.chdir(tmp_path_factory.mktemp("reader"))
    page = PAGE.read_text(encoding="utf-8")
    commands = set()

    def again(block: re.Match[str]) -> str:
        if block["language"] == "python":
            exec(block["text"], {})
            return block[0]
        commands.update(re.findall(r"^\$ lossdsl (\w+)", block["text"], re.MULTILINE))
        return f"```console\n{replay(block['text'], run)}```"

    replayed = BLOCK.sub(again, page)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(replayed, encoding="utf-8")
        return
    assert replayed == page
    assert commands == set(COMMANDS)
