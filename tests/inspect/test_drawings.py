"""Drawings: complete, well formed, and right about weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from lark import Lark, Token, Tree

import lossdsl
from lossdsl import Loss
from lossdsl.inspect.draw_dot import quoted
from lossdsl.inspect.draw_mermaid import escape

Make = Callable[[str], Loss]

DOT = Lark(
    r"""
    start: "digraph" STRING "{" (defaults | edge | node)* "}"
    defaults: ("node" | "edge") attributes ";"
    node: NAME attributes ";"
    edge: NAME "->" NAME attributes? ";"
    attributes: "[" attribute ("," attribute)* "]"
    attribute: NAME "=" (NAME | INT | STRING)
    NAME: /[A-Za-z_]\w*/
    INT: /\d+/
    STRING: /"(?:[^"\\\n]|\\.)*"/
    %ignore /\s+/
    """
)

MERMAID = Lark(
    r"""
    start: "flowchart TD" NEWLINE (line NEWLINE)*
    ?line: node | edge | style
    node: ID shape (":::" CLASS)?
    shape: "([" LABEL "])" | "[/" LABEL "/]" | "[" LABEL "]" | "((" LABEL "))"
         | "(" LABEL ")" | "{{" LABEL "}}"
    edge: ID ("-->" | "-.->") ("|" LABEL "|")? ID
    style: "classDef" CLASS STYLE
    ID: /n\d+|t\d+|total/
    CLASS: /[a-z]+Box/
    STYLE: /[a-z][^\n]+/
    LABEL: /"[^"\n]*"/
    NEWLINE: /\n/
    %ignore /[ ]+/
    """,
    parser="lalr",
)


def tokens(tree: Tree[Token], rule: str, kind: str) -> list[list[str]]:
    return [
        [str(t) for t in found.children if isinstance(t, Token) and t.type == kind]
        for found in tree.find_data(rule)
    ]


def compiled(text: str, **options: Any) -> Loss:
    return lossdsl.compile(text, backend="eager", **options)


FORMS = ("text", "mermaid", "dot")


@pytest.mark.parametrize("form", FORMS)
def test_every_input_that_matters_and_every_term_is_there(form: Any, loss: Loss) -> None:
    text = loss.draw(form)
    alive = {node.name for node in loss.graph_module.graph.nodes if node.users}
    names = [name for name in loss.contract.names if name in alive]
    names += [term.name for term in loss._first.optimised.terms]
    assert names
    for name in names:
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)


@pytest.mark.parametrize("form", FORMS)
def test_kinds_and_shapes_are_those_of_the_contract(form: Any, make: Make) -> None:
    text = make("function").draw(form)
    for type in ("logits[B, 1, H, W]", "mask[B, 1, H, W]", "image[B, 3, H, W]", "prob[B, 1, H, W]"):
        assert type in text


def test_dot_is_dot_and_declares_what_its_edges_join(loss: Loss) -> None:
    tree = DOT.parse(loss.draw("dot"))
    declared = [name for (name,) in tokens(tree, "node", "NAME")]
    joined = {name for pair in tokens(tree, "edge", "NAME") for name in pair}
    assert len(set(declared)) == len(declared)
    assert joined == set(declared)


def test_mermaid_is_mermaid_and_declares_what_its_edges_join(loss: Loss) -> None:
    tree = MERMAID.parse(loss.draw("mermaid"))
    declared = [name for (name,) in tokens(tree, "node", "ID")]
    joined = {name for pair in tokens(tree, "edge", "ID") for name in pair}
    assert len(set(declared)) == len(declared)
    assert joined == set(declared)
    styled = {name for (name,) in tokens(tree, "style", "CLASS")}
    assert {name for found in tokens(tree, "node", "CLASS") for name in found} <= styled


def test_both_graphs_have_the_same_edges(loss: Loss) -> None:
    dot = DOT.parse(loss.draw("dot"))
    mermaid = MERMAID.parse(loss.draw("mermaid"))
    assert tokens(dot, "edge", "NAME") == tokens(mermaid, "edge", "ID")


def test_nothing_leads_back(loss: Loss) -> None:
    edges = tokens(DOT.parse(loss.draw("dot")), "edge", "NAME")
    below: dict[str, set[str]] = {}
    for start, end in edges:
        below.setdefault(end, set()).add(start)
    done: set[str] = set()
    while len(done) < len({x for edge in edges for x in edge}):
        ready = {x for edge in edges for x in edge if below.get(x, set()) <= done} - done
        assert ready
        done |= ready


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("0.25*mse(x, y)", "0.25"),
        ("mse(x, y)/4", "0.25"),
        ("-mse(x, y)", "-1"),
        ("mse(x, y)", "1"),
        ("param w = 1.0\nw*mse(x, y)", "w"),
        ("param s = learnable(0.0)\nexp(-s)*mse(x, y)", "exp(-s)"),
        ("param a = 1.0\nparam b = 2.0\n(a + b)*mse(x, y)", "a + b"),
        ("param a = 1.0\nparam b = 2.0\n(a - (b - 1))**2*mse(x, y)", "(a - (b - 1))**2"),
        ("warmup(step, 100)*mse(x, y)", "warmup(step, 100)"),
    ],
)
def test_a_weight_stands_on_the_edge_of_its_term(text: str, weight: str) -> None:
    loss = compiled(text)
    assert f"─ {weight} ─ mse\n" in loss.draw("text")
    assert f"t0 -> total [label={quoted(weight)}];" in loss.draw("dot")
    assert f't0 -->|"{escape(weight)}"| total' in loss.draw("mermaid")


@pytest.mark.parametrize("form", FORMS)
def test_a_dropped_term_stays_without_its_operations(form: Any) -> None:
    text = compiled("mse(x, y) + 0*l1(x, z)").draw(form)
    assert re.search(r"\bl1\b", text)
    assert not re.search(r"\bz\b", text)


def test_a_monitor_is_joined_by_a_dashed_edge(make: Make) -> None:
    loss = make("generator")
    assert 't2 -> total [label="monitor", style=dashed];' in loss.draw("dot")
    assert 't2 -.->|"monitor"| total' in loss.draw("mermaid")
    assert "└─ monitor ─ far" in loss.draw("text")


def test_what_is_shared_is_drawn_once(make: Make) -> None:
    text = make("labels").draw("text")
    for number in set(re.findall(r"#(\d+)", text)):
        assert len(re.findall(rf"#{number} = ", text)) == 1
        assert len(re.findall(rf"#{number}\b(?! =)", text)) >= 1
    assert text.count("log_softmax over=1") == 1
    assert make("labels").draw("dot").count("log_softmax over=1") == 1


def test_conversions_are_told_from_what_was_written() -> None:
    inserted, written = compiled("dice(p, y)"), compiled("dice(sigmoid(p), y)")
    assert "(sigmoid)" in inserted.draw("text")
    assert "(sigmoid)" not in written.draw("text")
    assert re.search(r'n\d+\("sigmoid.*insertedBox', inserted.draw("mermaid"))
    assert re.search(r'n\d+\["sigmoid.*functionBox', written.draw("mermaid"))


def test_numbers_stand_in_the_box_that_they_are_an_operand_of() -> None:
    text = compiled("mean(clamp((1 - x)**2, 0, 1))").draw("text")
    assert "clamp(·, 0, 1)" in text
    assert "1 - ·" in text
    assert "· ** 2" in text


def test_the_name_of_the_loss_is_at_the_root(make: Make) -> None:
    loss = make("function")
    assert loss.draw("text").startswith("seg\n")
    assert loss.draw("dot").startswith('digraph "seg" {')
    assert 'total(("seg"))' in loss.draw("mermaid")


def test_awkward_source_text_survives() -> None:
    loss = compiled("mse(x, y, reduction='sum') + mean(\n    x*y  # <b> \"quoted\" \\ |\n)")
    DOT.parse(loss.draw("dot"))
    MERMAID.parse(loss.draw("mermaid"))
    assert "reduction='sum'" in loss.draw("dot")
    assert all(line == line.rstrip() for line in loss.draw("text").splitlines())


@pytest.mark.parametrize(
    ("text", "dot", "mermaid"),
    [
        ('a "b"', r'"a \"b\""', "a #34;b#34;"),
        ("a\\n", r'"a\\n"', "a#92;n"),
        ("a\nb", r'"a\nb"', "a\nb"),
        ("x <= y & z", '"x <= y & z"', "x #60;= y #38; z"),
        ("#1", '"#1"', "#35;1"),
        ("2*x*y", '"2*x*y"', "2#42;x#42;y"),
        ("- x", '"- x"', "#45; x"),
        ("w_tv[:, 0]", '"w_tv[:, 0]"', "w_tv[:, 0]"),
    ],
)
def test_labels_are_escaped(text: str, dot: str, mermaid: str) -> None:
    assert quoted(text) == dot
    assert escape(text) == mermaid
