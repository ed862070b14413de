"""The command as a process: streams, exit codes, terminals, and what a start costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossdsl.cli.app import COMMANDS

MAIN = "import sys; sys.argv[0] = 'lossdsl'; from lossdsl.cli import main; main()"
ROOT = Path(__file__).parents[2]
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def environment(**variables: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **variables}


def lossdsl(
    *arguments: str, input: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(
        command, input=input, capture_output=True, env=environment(**variables), timeout=120
    )


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What a terminal gets to see."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**variables)
    ) as process:
        os.close(theirs)
        seen = b""
        while chunk := read(ours):
            seen += chunk
        process.wait(timeout=120)
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux says so when the other side is closed.
        return b""


def test_exit_codes_and_streams(run: Callable[..., Any]) -> None:
    good, bad, wrong = lossdsl("check", "good.yaml"), lossdsl("check", "bad.yaml"), lossdsl("chek")
    assert (good.returncode, good.stdout, good.stderr) == (0, b"", b"no problems\n")
    assert (bad.returncode, bad.stderr) == (1, b"2 errors\n")
    assert bad.stdout.startswith(b"error[E202]: ")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"Did you mean 'check'?" in wrong.stderr


def test_a_pipe_gets_plain_text(run: Callable[..., Any]) -> None:
    for command in (["check", "bad.yaml"], ["list"]):
        # Services that force colours on others force none here.
        done = lossdsl(*command, FORCE_COLOR="1", GITHUB_ACTIONS="true", COLUMNS="40")
        assert b"\x1b" not in done.stdout + done.stderr
        assert done.stdout.decode() == run(*command).stdout


@pytest.mark.parametrize("command", [("check", "bad.yaml"), ("show", "good.yaml")])
def test_a_terminal_gets_colours_around_the_same_text(
    run: Callable[..., Any], command: tuple[str, ...]
) -> None:
    seen = on_a_terminal(*command)
    assert STYLE.search(seen)
    assert STYLE.sub("", seen) == run(*command).output


@pytest.mark.parametrize("command", [("check", "bad.yaml"), ("explain", "E204")])
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours(
    run: Callable[..., Any], command: tuple[str, ...], variables: dict[str, str]
) -> None:
    assert "\x1b" not in on_a_terminal(*command, **variables)


def test_a_terminal_gets_pages_laid_out(run: Callable[..., Any]) -> None:
    seen = on_a_terminal("explain", "E204", COLUMNS="80")
    assert STYLE.search(seen)
    lines = [line.rstrip() for line in STYLE.sub("", seen).splitlines()]
    assert max(map(len, lines)) <= 80
    # No marks of Markdown, and the message as it is.
    assert not [line for line in lines if line.startswith(("#", "```"))]
    page = run("explain", "E204").stdout
    message = page.partition("```text\n")[2].partition("```")[0].splitlines()
    assert [line for line in message if line.strip() not in map(str.strip, lines)] == []


def test_a_narrow_terminal_folds_tables(run: Callable[..., Any]) -> None:
    seen = STYLE.sub("", on_a_terminal("list", "--family", "overlap", COLUMNS="60"))
    assert max(map(len, seen.splitlines())) <= 60
    assert "of each class, averaged over" in " ".join(seen.split())


def test_standard_input(run: Callable[..., Any]) -> None:
    assert lossdsl("check", "-", input=b"bce(p, y)\n").returncode == 0
    assert lossdsl("fmt", "-", input="mse( µ,y )".encode()).stdout.decode() == "mse(μ, y)\n"
    # Bytes that are no UTF-8 are a character that the language does not have.
    done = lossdsl("check", "-", input=b"bce(p, \xff)\n")
    assert done.returncode == 1
    assert done.stdout.startswith(b"error[E106]: ")


def test_a_terminal_without_unicode(run: Callable[..., Any]) -> None:
    done = lossdsl("show", "good.yaml", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"bce(p, y)" in done.stdout


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["--help"], ["torch", "rich", "lark", "yaml"]),
        (["check", "--help"], ["torch", "rich", "lark", "yaml"]),
        (["new"], ["torch", "rich", "lark", "yaml"]),
        (["new", "--list"], ["torch", "lark", "yaml"]),
        (["explain", "E204"], ["torch", "rich", "lark", "yaml"]),
        (["fmt", "--check", "good.yaml", "program.loss"], ["torch"]),
    ],
)
def test_a_start_loads_nothing_heavy(
    run: Callable[..., Any], command: list[str], heavy: list[str]
) -> None:
    code = f"""
import atexit, sys
sys.argv = ["lossdsl", *{command!r}]
atexit.register(lambda: print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr))
from lossdsl.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment())
    assert (done.returncode, done.stderr) == (0, b"[]\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(run: Callable[..., Any], command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: lossdsl {command} " in result.stdout


def test_version_and_no_command(run: Callable[..., Any]) -> None:
    from lossdsl import __version__

    assert run("--version").stdout == f"{__version__}\n"
    assert "Commands:" in run().output
