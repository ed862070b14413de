"""The grammar as lark sees it, and the cache of what lark makes of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lark
import pytest
from lark import Lark
from make import expression, program
from test_expressions import FORMS
from test_programs import STATEMENTS

from lossdsl.syntax import grammar, tree

OPTIONS: dict[str, Any] = {"parser": "lalr", "lexer": "basic"}


def conflicts(text: str, start: list[str]) -> list[str]:
    """What lark, which settles conflicts in silence, would say about them."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear, level = Ear(), lark.logger.level
    lark.logger.addHandler(ear)
    lark.logger.setLevel(logging.DEBUG)
    handlers = [h for h in lark.logger.handlers if h is not ear]
    for handler in handlers:
        lark.logger.removeHandler(handler)
    try:
        Lark(text, start=start, debug=True, **OPTIONS)
    finally:
        lark.logger.setLevel(level)
        lark.logger.removeHandler(ear)
        for handler in handlers:
            lark.logger.addHandler(handler)
    return [message for message in said if "conflict" in message.lower()]


def test_the_grammar_is_lalr_1_without_conflicts() -> None:
    text = grammar.grammar_path().read_text(encoding="utf-8")
    assert conflicts(text, list(grammar.STARTS)) == []


def test_a_conflict_would_be_seen() -> None:
    assert conflicts('start: "a" | start "+" start', ["start"])


def test_every_rule_makes_a_node_or_is_inlined() -> None:
    """A rule that nobody turns into a node would leave one of lark's trees in ours."""
    text = grammar.grammar_path().read_text(encoding="utf-8")
    parser = Lark(text, start=list(grammar.STARTS), **OPTIONS)
    names = {
        (rule.alias or str(rule.origin.name))
        for rule in parser.rules
        if not (rule.options.expand1 and rule.alias is None)
    }
    made = {name for name in names if not name.startswith("_")}
    assert {name for name in made if not hasattr(grammar.builder, name)} == set()


# --- the cache --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of its own, not there yet, and no parser in memory."""
    home = tmp_path / "cache" / "lossdsl"
    monkeypatch.setattr(grammar.platformdirs, "user_cache_dir", lambda name: str(home))
    grammar.parser.cache_clear()
    yield home
    grammar.parser.cache_clear()


def fresh() -> None:
    grammar.parser.cache_clear()


def everything() -> list[Any]:
    return [expression(text) for text, _ in FORMS] + [
        program(f"{text}\nresult") for text, _ in STATEMENTS
    ]


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever a parser is built from the grammar."""
    builds: list[str] = []

    class Counting(Lark):
        def __init__(self, text: str, **options: Any) -> None:
            builds.append(text)
            super().__init__(text, **options)

    monkeypatch.setattr(grammar, "Lark", Counting)
    return builds


def test_the_stored_parser_gives_the_same_trees(folder: Path, built: list[str]) -> None:
    first = everything()
    assert len(built) == 1
    fresh()
    assert everything() == first
    assert len(built) == 1
    assert [x.span for x in first if hasattr(x, "span")]


def test_another_grammar_has_another_file(
    folder: Path, built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expression("a + b")
    before = the_file(folder)
    text = grammar.grammar_path().read_text(encoding="utf-8")
    changed = tmp_path / "changed.lark"
    changed.write_text(text.replace('SIGN: "+" | "-"', 'SIGN: "+" | "-" | "±"'), encoding="utf-8")
    monkeypatch.setattr(grammar, "grammar_path", lambda: changed)
    fresh()
    total = expression("a ± b")
    assert isinstance(total, tree.Sum)
    assert total.signs == ("+", "±")
    assert len(built) == 2
    assert before in set(folder.iterdir())


def test_another_lark_has_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    here = grammar._cache_file("grammar")
    assert grammar._cache_file("grammar") == here
    monkeypatch.setattr(grammar.lark, "__version__", "0.0")
    assert grammar._cache_file("grammar") != here


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "garbage", "another pickle"])
def test_a_damaged_file_is_replaced(folder: Path, built: list[str], damage: str) -> None:
    first = everything()
    sound = the_file(folder).read_bytes()
    half = len(sound) // 2
    damaged = {
        "empty": b"",
        "cut": sound[:half],
        "flipped": sound[:half] + bytes([sound[half] ^ 1]) + sound[half + 1 :],
        "garbage": b"\x80\x04" * 1000,
        "another pickle": sound[:32] + b"\x80\x04N.",
    }
    the_file(folder).write_bytes(damaged[damage])
    fresh()
    assert everything() == first
    assert len(built) == 2
    fresh()
    assert everything() == first
    assert len(built) == 2


def test_a_folder_in_place_of_the_file(folder: Path) -> None:
    first = everything()
    file = the_file(folder)
    file.unlink()
    file.mkdir()
    fresh()
    assert everything() == first
    assert list(folder.iterdir()) == [file]  # nothing half-written is left behind


def test_a_file_in_place_of_the_folder(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("")
    assert expression("a").id == "a"  # type: ignore[union-attr]


def test_a_folder_that_may_not_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError("read-only")

    monkeypatch.setattr(grammar.tempfile, "mkstemp", refuse)
    assert expression("a").id == "a"  # type: ignore[union-attr]
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(grammar.os, "replace", refuse)
    assert expression("a").id == "a"  # type: ignore[union-attr]
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(grammar.platformdirs, "user_cache_dir", lambda name: f"~/.cache/{name}")
    monkeypatch.chdir(tmp_path)
    assert expression("a").id == "a"  # type: ignore[union-attr]
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_together(tmp_path: Path) -> None:
    """Each finds no file, a whole file, or its own; none sees half of one."""
    code = (
        "from lossdsl.source import Fragment, Source\n"
        "from lossdsl.diagnostics.diagnostic import Diagnostics\n"
        "from lossdsl.syntax.parser import parse_expression\n"
        "print(parse_expression(Fragment.whole(Source('a + b*c')), Diagnostics()))\n"
    )
    root = str(Path(grammar.__file__).parents[2])
    home = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": root}

    def start(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **home},
            capture_output=True,
            text=True,
            check=False,
        )

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(start, range(4)))
    assert {(run.returncode, run.stderr) for run in runs} == {(0, "")}
    assert {run.stdout for run in runs} == {f"{expression('a + b*c')}\n"}
    if sys.platform == "linux":
        assert len(list((tmp_path / "lossdsl").iterdir())) == 1
