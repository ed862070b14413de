"""Whatever README, CONTRIBUTING and docs/ show is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blocks import Block, blocks, exchanges, lost, run

ROOT = Path(__file__).parents[2]
# docs/cli.md is replayed by tests/cli/test_docs.py, which can also write it anew.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"] + [
    page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "cli.md"
]


@pytest.mark.usefixtures("own_tables")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_happens(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    text = page.read_text(encoding="utf-8")
    assert lost(text) == []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        run(block, page.name, namespace)


def test_the_pages_have_blocks() -> None:
    counts = {page.name: len(list(blocks(page.read_text(encoding="utf-8")))) for page in PAGES}
    for name in ("README.md", "CONTRIBUTING.md", "tutorial.md", "language.md", "internals.md"):
        assert counts[name] > 0


# --- the checks can fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1)\n```\n",
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nprint(1, 2, sep='\\n')\n```\n\n```text\n…\n1\n```\n",
        "```python\nassert 1 == 2\n```\n",
        "```lossdsl\ndise(p, y)\n```\n",
        "```lossdsl\ndice(p, y)\n```\n\n```text\nerror[E202]\n```\n",
        "```yaml\nterms: {a: dise(p, y)}\n```\n",
        "```console\n$ lossdsl check -e 'dise(p, y)'\nno problems\n```\n",
    ],
)
def test_a_wrong_page_is_found(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(page)
    with pytest.raises(AssertionError):
        run(block, "page.md", {})


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1)\n```\n\n```text\n1\n```\n",
        "```python\nprint(1, 2, 3, sep='\\n')\n```\n\n```text\n1\n…\n3\n```\n",
        "```python\nimport lossdsl\nlossdsl.compile('dise(p, y)')\n```\n\n```text\n"
        "error[E202]: there is no loss or function called `dise`\n…\n```\n",
        "```lossdsl\ndice(p, y)\n```\n",
        "```yaml\nterms: {a: 'dice(p, y)'}\n```\n",
        "```console\n$ lossdsl check -e 'dice(p, y)'\nno problems\n```\n",
    ],
)
def test_a_right_page_passes(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(page)
    run(block, "page.md", {})


def test_an_output_without_a_block_is_found() -> None:
    assert lost("```sh\nls\n```\n\n```text\nx\n```\n") == [5]
    assert lost("```python\nf()\n```\n\n```text\nx\n```\n") == []


def test_an_exchange_is_commands_with_their_output() -> None:
    text = "$ lossdsl fmt --check a.loss\na.loss\n$ lossdsl list\n"
    assert list(exchanges(text)) == [
        ("lossdsl fmt --check a.loss", "a.loss\n"),
        ("lossdsl list", ""),
    ]


def test_only_the_languages_above_are_run() -> None:
    page = "```sh\nls\n```\n```python\nx = 1\n```\n```mermaid\na\n```\n"
    assert list(blocks(page)) == [Block("python", "x = 1\n", 5)]
