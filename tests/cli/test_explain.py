"""`lossdsl explain`: the page of a code, and the way there from every report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lossdsl
from lossdsl.cli import terminal
from lossdsl.diagnostics import pages
from lossdsl.diagnostics.codes import CODES

FOLDER = Path(__file__).parents[2] / "docs" / "errors"


@pytest.mark.parametrize("code", ["E204", "e204"])
def test_a_pipe_gets_the_page_as_it_is(run: Callable[..., Any], code: str) -> None:
    result = run("explain", code)
    page = (FOLDER / "E204.md").read_text(encoding="utf-8")
    assert (result.exit_code, result.stdout, result.stderr) == (0, page, "")


def test_without_a_code_all_are_listed(run: Callable[..., Any]) -> None:
    header, *lines = run("explain").stdout.splitlines()
    assert header.split() == ["code", "meaning"]
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert listed == {code: entry.title for code, entry in CODES.items()}


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("E2O4", "did you mean `E204`"),
        ("204", "did you mean `W204` or `E204`"),
        ("dice", "`lossdsl explain` lists all codes"),
    ],
)
def test_an_unknown_code_is_wrong_usage(run: Callable[..., Any], code: str, advice: str) -> None:
    result = run("explain", code)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"there is no code `{code}`: {advice}" in result.stderr


def test_a_code_without_a_page_has_its_title(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pages, "pages_folder", lambda: tmp_path)
    assert run("explain", "E204").stdout == f"# E204: {CODES['E204'].title}\n"


# --- the way there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "stream"),
    [
        (("check", "bad.yaml"), "stdout"),
        (("show", "bad.yaml"), "stderr"),
        (("doc", "dise"), "stderr"),
        (("fmt", "--check", "broken.yaml"), "stderr"),
    ],
)
def test_a_report_ends_with_the_way_to_its_first_page(
    run: Callable[..., Any], tmp_path: Path, command: tuple[str, ...], stream: str
) -> None:
    (tmp_path / "broken.yaml").write_text("loss: bce(p,\n", encoding="utf-8")
    shown = getattr(run(*command), stream)
    code = shown.partition("[")[2].partition("]")[0]
    assert shown.endswith(f"\n\nexplain: lossdsl explain {code}\n")
    assert shown.count("explain:") == 1


def test_only_text_for_people_has_it(run: Callable[..., Any]) -> None:
    assert "explain" not in run("check", "good.yaml").output
    assert "explain" not in str(lossdsl.check("bad.yaml"))
    for format in ("json", "github", "sarif"):
        assert "explain" not in run("check", "bad.yaml", "--format", format).output


def test_a_code_without_a_page_is_passed_over(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        terminal, "read_page", lambda code: None if code == "E202" else f"# {code}\n"
    )
    assert run("check", "bad.yaml").stdout.endswith("\nexplain: lossdsl explain E303\n")
    monkeypatch.setattr(terminal, "read_page", lambda code: None)
    assert run("check", "bad.yaml").stdout == f"{lossdsl.check('bad.yaml')}\n"
