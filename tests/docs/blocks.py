"""The fenced blocks of a page, and what each kind of block promises.

    python     runs, top to bottom in one namespace a page; the tests in it too
    lossdsl    a program without problems
    yaml       a loss file without problems; `# name.yaml` as its first line makes it a file that
               the blocks below can open
    console    each line `$ lossdsl …` prints the lines under it; where a block shows no output
               at all, its commands succeed
    text       what the block above printed: its output, then the message that it ended with or
               the problems that the checker found

In a text or console block a line `…` stands for any lines. Blocks of other languages are read by
people alone.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import lossdsl

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\S+\.(?:yaml|loss))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block; `output` is the text block right behind it."""

    language: str
    text: str
    line: int
    output: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that can be checked."""
    found = [
        Block(match[1], match[2], page.count("\n", 0, match.start()) + 2)
        for match in _FENCE.finditer(page)
    ]
    for block, after in pairwise([*found, Block("", "", 0)]):
        if block.language in (*_PRINTED, "console"):
            output = after.text if after.language == "text" else None
            yield Block(block.language, block.text, block.line, output)


def lost(page: str) -> list[int]:
    """Lines of text blocks that belong to nothing: they would never be compared."""
    found = [(m[1], page.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(page)]
    return [
        line
        for (before, _), (language, line) in pairwise([("", 0), *found])
        if language == "text" and before not in ("python", "lossdsl", "yaml")
    ]


def run(block: Block, page: str, namespace: dict[str, Any]) -> None:
    """Check one block; the working directory is the page's own."""
    try:
        if block.language == "console":
            _console(block)
        else:
            expected = block.output or _SILENT[block.language]
            _compare(printed(block, page, namespace), expected)
    except AssertionError as error:
        raise AssertionError(f"{page}:{block.line}: {error}") from error


def printed(block: Block, page: str, namespace: dict[str, Any]) -> str:
    """What a block prints, or what the checker says about it."""
    return _PRINTED[block.language](block, page, namespace)


def _python(block: Block, page: str, namespace: dict[str, Any]) -> str:
    output = io.StringIO()
    # Tracebacks show the lines of the page.
    code = compile("\n" * (block.line - 1) + block.text, page, "exec")
    with contextlib.redirect_stdout(output):
        try:
            exec(code, namespace)
            for name in re.findall(r"^def (test_\w+)", block.text, re.MULTILINE):
                _test(namespace[name])
        except lossdsl.LossError as error:
            if block.output is None:
                raise
            print(error)
    return output.getvalue()


def _test(function: Any) -> None:
    """Run a test of one parameter, with each of its values."""
    (mark,) = function.pytestmark
    name, values = mark.args
    for value in values:
        function(**{name: value})


def _program(block: Block, page: str, namespace: dict[str, Any]) -> str:
    return str(lossdsl.check(block.text))


def _loss_file(block: Block, page: str, namespace: dict[str, Any]) -> str:
    named = _NAMED.match(block.text)
    if named is None:
        return str(lossdsl.check(block.text, format="yaml"))
    Path(named[1]).write_text(block.text, encoding="utf-8")
    return str(lossdsl.check(Path(named[1])))


def _console(block: Block) -> None:
    from typer.testing import CliRunner

    from lossdsl.cli.app import app

    shown = list(exchanges(block.text))
    silent = not any(expected for _, expected in shown)
    for command, expected in shown:
        words = shlex.split(re.sub(r"\s+# .*", "", command))
        if words[0] != "lossdsl":
            continue
        result = CliRunner().invoke(app, words[1:], prog_name="lossdsl")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        if silent:
            assert result.exit_code == 0, f"{command}\n{result.output}"
        else:
            _compare(result.output, expected)


_PRINTED = {"python": _python, "lossdsl": _program, "yaml": _loss_file}

_SILENT = {"python": "", "lossdsl": "no problems", "yaml": "no problems"}
"""What comes from a block that shows no output."""


def exchanges(text: str) -> Iterator[tuple[str, str]]:
    """Each command with the lines under it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _compare(actual: str, expected: str) -> None:
    got, wanted = _lines(actual), _lines(expected)
    pattern = "".join("(?:.*\n)*" if line == "…" else re.escape(line + "\n") for line in wanted)
    if not re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        raise AssertionError("\n".join(["it shows", *wanted, "", "and this came", *got]))


def _lines(text: str) -> list[str]:
    """The lines without the white space at their ends, and without empty ones around them."""
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip("\n").split("\n")


def tables(page: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tables of a page: their column heads and their rows."""
    for match in re.finditer(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        heads, _, *body = (
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in match[0].splitlines()
        )
        yield heads, body
