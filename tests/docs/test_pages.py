"""Tables and lists of the pages against the package that they describe."""

from __future__ import annotations

import re
from pathlib import Path

import generate
import pytest
from blocks import tables

import lossdsl
from lossdsl.cli.app import COMMANDS
from lossdsl.functions.record import functions
from lossdsl.syntax import limits

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LANGUAGE = (DOCS / "language.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def codes(cell: str) -> list[str]:
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", cell)]


def rows(*heads: str) -> list[list[str]]:
    """The rows of every table of the language page that starts with these column heads."""
    return [row for found, body in tables(LANGUAGE) if found == list(heads) for row in body]


# --- what is generated --------------------------------------------------------------------------


def test_generated_pages_are_up_to_date() -> None:
    pages = list(generate.pages())
    assert {file.name for file, _ in pages} >= {"losses.md", "language.md", "internals.md"}
    stale = [file.name for file, text in pages if file.read_text(encoding="utf-8") != text]
    assert stale == [], "run `python docs/generate.py`"


def test_every_module_is_named() -> None:
    page = (DOCS / "internals.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(lossdsl/\S+\.py)` \|", page, re.MULTILINE))
    package = Path(lossdsl.__file__).parent
    files = {f"lossdsl/{f.relative_to(package).as_posix()}": f for f in package.rglob("*.py")}
    assert named == {name for name, file in files.items() if file.stat().st_size}


# --- the language -------------------------------------------------------------------------------


@pytest.mark.parametrize("row", rows("form", "meaning"), ids=lambda row: row[0])
def test_forms_are_of_the_language(row: list[str]) -> None:
    for code in codes(row[0]):
        assert lossdsl.format(code)


@pytest.mark.parametrize("row", rows("statement", "meaning"), ids=lambda row: row[0])
def test_statements_are_of_the_language(row: list[str]) -> None:
    for code in codes(row[0]):
        assert lossdsl.format(f"{code}\nresult")


@pytest.mark.parametrize("row", rows("program", "inputs"), ids=lambda row: row[0])
def test_inputs_are_inferred_as_stated(row: list[str]) -> None:
    (program,) = codes(row[0])
    contract = lossdsl.check(program).contract
    assert contract is not None
    assert [f"{entry.name}: {entry.kind}" for entry in contract] == codes(row[1])


OPERANDS = """
input a: prob[B, C]
input b: prob[B, C]
input m: mask[B, C]
input x: logits[B, C]
input z: class_logits[B, C]
input q: class_prob[B, C]
input r: real[B, C]
input v: positive[B, C]
input y: labels[B]
param w = 2
"""


def kind_of(expression: str) -> str:
    """The kind as the graph states it, for the operand of an outermost mean."""
    loss = lossdsl.compile(f"{OPERANDS}value = {expression}\nmean(value)", backend="eager")
    graph = loss.inspect("ir").split("# after the passes")[0]
    *_, operand = re.findall(r" = mean\((%\d+), over=None\)", graph)
    (kind,) = re.findall(rf"^{operand} = .*  # (\w+)\[", graph, re.MULTILINE)
    return str(kind)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [(code, codes(row[1])[0]) for row in rows("expression", "kind") for code in codes(row[0])],
)
def test_arithmetic_gives_the_kind_that_is_stated(expression: str, kind: str) -> None:
    assert kind_of(expression) == kind


def test_the_limits_are_those_in_force() -> None:
    section = LANGUAGE.split("\n## Limits\n")[1].split("\n## ")[0]
    for limit in ("CHARACTERS", "TOKENS", "BRACKETS", "DEPTH", "NODES"):
        assert f"{getattr(limits, limit):,} " in section


# --- the README ---------------------------------------------------------------------------------


def test_what_is_said_to_be_missing_is_missing() -> None:
    section = README.split("\n## Limits\n")[1].split("\n## ")[0]
    missing = codes(section)
    there = {f"loss.{name}" for name in dir(lossdsl.Loss)}
    there |= {f"lossdsl {name}" for name in COMMANDS}
    there |= set(functions()) | set(lossdsl.losses())
    assert len(missing) > 10
    assert there.isdisjoint(missing)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z-]+)(?:`|\s|$)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), target


def test_the_interface_on_the_front_page_exists() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for name in re.findall(r"`lossdsl\.(\w+)", text):
        assert hasattr(lossdsl, name), name
    for name in re.findall(r"`loss\.(\w+)", text):
        assert hasattr(lossdsl.Loss, name), name
