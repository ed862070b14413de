"""`lossdsl fmt`: canonical form in place, and nothing else touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lossdsl

YAML = "# Mine.\nloss:   0.50*bce( p,y )+dice(p,y)   # both\n"
YAML_CANONICAL = "# Mine.\nloss:   0.5*bce(p, y) + dice(p, y)   # both\n"
PROGRAM = "q=sigmoid( p )\nmse(q,y)  # only\n"
PROGRAM_CANONICAL = "q = sigmoid(p)\nmse(q, y)  # only\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(YAML, encoding="utf-8")
    (tmp_path / "a.loss").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "canonical.yaml").write_text(YAML_CANONICAL, encoding="utf-8")
    return tmp_path


def test_files_are_formatted_in_place(run: Callable[..., Any], files: Path) -> None:
    result = run("fmt", "a.yaml", "a.loss", "canonical.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "a.yaml: formatted\na.loss: formatted\n"
    assert (files / "a.yaml").read_text(encoding="utf-8") == YAML_CANONICAL
    assert (files / "a.loss").read_text(encoding="utf-8") == PROGRAM_CANONICAL
    again = run("fmt", "a.yaml", "a.loss", "canonical.yaml")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "")


def test_check_lists_what_would_change_and_writes_nothing(
    run: Callable[..., Any], files: Path
) -> None:
    result = run("fmt", "--check", "a.yaml", "canonical.yaml", "a.loss")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "a.yaml\na.loss\n", "")
    assert (files / "a.yaml").read_text(encoding="utf-8") == YAML
    assert (files / "a.loss").read_text(encoding="utf-8") == PROGRAM
    assert run("fmt", "--check", "canonical.yaml").exit_code == 0


def test_standard_input_is_a_program(run: Callable[..., Any]) -> None:
    result = run("fmt", "-", input=PROGRAM)
    assert (result.exit_code, result.stdout, result.stderr) == (0, PROGRAM_CANONICAL, "")
    assert result.stdout == lossdsl.format(PROGRAM)
    assert run("fmt", "--check", "-", input=PROGRAM).exit_code == 1
    assert run("fmt", "--check", "-", input=PROGRAM_CANONICAL).exit_code == 0


def test_errors_leave_the_file_and_do_not_stop_the_rest(
    run: Callable[..., Any], files: Path
) -> None:
    (files / "broken.yaml").write_text("loss: bce(p,\n", encoding="utf-8")
    result = run("fmt", "broken.yaml", "missing.loss", "a.yaml")
    assert result.exit_code == 1
    assert "error[E102]: " in result.stderr
    assert "error[E506]: `missing.loss` cannot be read" in result.stderr
    assert (files / "broken.yaml").read_text(encoding="utf-8") == "loss: bce(p,\n"
    assert (files / "a.yaml").read_text(encoding="utf-8") == YAML_CANONICAL


def test_a_program_in_place_of_a_file(run: Callable[..., Any]) -> None:
    assert "put `-e` in front" not in run("fmt", "missing.yaml").stderr
    assert run("fmt").exit_code == 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("file", "before", "after"),
    [("a.yaml", YAML, YAML_CANONICAL), ("a.loss", PROGRAM, PROGRAM_CANONICAL)],
)
def test_line_breaks_and_byte_order_marks_stay(
    run: Callable[..., Any],
    tmp_path: Path,
    file: str,
    before: str,
    after: str,
    line_break: bytes,
    mark: bytes,
) -> None:
    path = tmp_path / file
    path.write_bytes(mark + before.encode().replace(b"\n", line_break))
    assert run("fmt", file).exit_code == 0
    assert path.read_bytes() == mark + after.encode().replace(b"\n", line_break)
    assert run("fmt", "--check", file).exit_code == 0
