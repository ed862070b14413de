"""Each diagnostic has a page, and each page's example gives just that diagnostic."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from blocks import Block, blocks, lost, printed, run

from lossdsl.diagnostics.codes import CODES

FOLDER = Path(__file__).parents[2] / "docs" / "errors"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")

PARTS = ("", "Why", "Example", "Fix")

_OUTPUT = re.compile(r"(?<=^```text\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^(?:error|warning|note)\[(\w+)\]: ", re.MULTILINE)


def parts(page: str) -> dict[str, str]:
    """What stands under each heading of a page; its opening under ``."""
    opening, *rest = re.split(r"^## ", page, flags=re.MULTILINE)
    return {"": opening} | {part.partition("\n")[0]: part.partition("\n")[2] for part in rest}


def example(page: str) -> Block:
    """The one block of a page that shows the diagnostic."""
    (found,) = [block for block in blocks(page) if block.output is not None]
    return found


def updated(text: str, page: str) -> str:
    """The page with the diagnostic as it is rendered now."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        output = printed(block, page, namespace)
        if block.output is not None:
            text = _OUTPUT.sub(lambda _, now=output: f"{now.rstrip()}\n", text, count=1)
    return text


def test_each_code_has_its_page() -> None:
    written = {page.stem for page in PAGES}
    assert sorted(set(CODES) - written) == [], "these have no page"
    assert sorted(written - set(CODES)) == [], "these are no codes"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_all_there_is_to_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = CODES[page.stem]
    assert text.startswith(f"# {code.code}: {code.title}\n")
    assert tuple(parts(text)) == PARTS
    said = [part.partition("```")[0].strip() for part in parts(text).values()]
    # A title and a sentence; a reason; an example and a way out may need no words.
    assert len(said[0].split()) > len(code.title.split()) + 12
    assert len(said[1].split()) > 12
    assert len(text.splitlines()) <= 60


@pytest.mark.usefixtures("own_tables")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_happens(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        page.write_text(updated(text, page.name), encoding="utf-8")
        return
    assert lost(text) == []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        run(block, page.name, namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_gives_this_code_and_no_other(page: Path) -> None:
    """What it shows is what it gives: the test above compared every letter."""
    text = page.read_text(encoding="utf-8")
    output = example(parts(text)["Example"]).output or ""
    assert _CODE.findall(output) == [page.stem]
    # In other pages `…` stands for any lines; a message is shown whole.
    assert "…" not in output.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_fix_is_a_block_without_problems(page: Path) -> None:
    fixes = list(blocks(parts(page.read_text(encoding="utf-8"))["Fix"]))
    assert fixes
    assert [block.line for block in fixes if block.output is not None] == []
