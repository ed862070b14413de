"""Each form of a type, and the tree that it is."""

from __future__ import annotations

from typing import Any

import pytest
from make import NOWHERE, a_list, a_type, dims, kind, module, record

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_signature

TYPES: list[tuple[str, Any]] = [
    ("real", kind("real")),
    ("loss[]", kind("loss", shape=())),
    ("logits[B, 1, H, W]", kind("logits", shape=("B", 1, "H", "W"))),
    ("mask[B, _]", kind("mask", shape=("B", "_"))),
    ("real[*S]", kind("real", shape=("*S",))),
    ("boxes[..., 4]", kind("boxes", shape=("*_", 4))),
    ("real[*_, 4]", kind("real", shape=("*_", 4))),
    ("x[2*H]", kind("x", shape=(dims(2, "*", "H"),))),
    ("x[H//2]", kind("x", shape=(dims("H", "//", 2),))),
    ("x[C - 1]", kind("x", shape=(dims("C", "-", 1),))),
    (
        "x[2*H//4 + 1 - K]",
        kind("x", shape=(dims(dims(dims(dims(2, "*", "H"), "//", 4), "+", 1), "-", "K"),)),
    ),
    ("x[2*(H + 1)]", kind("x", shape=(dims(2, "*", dims("H", "+", 1)),))),
    ("x[A - (B - C)]", kind("x", shape=(dims("A", "-", dims("B", "-", "C")),))),
    ("labels(ignore=255)[B, H]", kind("labels", ("ignore", 255), shape=("B", "H"))),
    ("labels(ignore=-100)", kind("labels", ("ignore", -100))),
    ("image(0, 1)", kind("image", 0, 1)),
    ("image(-1, +1)[B, 3]", kind("image", -1, 1, shape=("B", 3))),
    ("image(0.0, 0.5)", kind("image", 0.0, 0.5)),
    ("boxes(cxcywh)[N, 4]", kind("boxes", "cxcywh", shape=("N", 4))),
    ("class_logits(V)[B, T, V]", kind("class_logits", "V", shape=("B", "T", "V"))),
    ("logits|prob[B]", kind("logits|prob", shape=("B",))),
    ("features", kind("features")),
    ("list[mask[B]]", a_list(kind("mask", shape=("B",)))),
    ("list[mask[B]; 4]", a_list(kind("mask", shape=("B",)), 4)),
    ("list[list[mask]; 2]", a_list(a_list(kind("mask")), 2)),
    ("{a: real, b: list[mask]}", record(a=kind("real"), b=a_list(kind("mask")))),
    ("{a: {b: real,},}", record(a=record(b=kind("real")))),
    (
        "module(image[B, 3]) -> score[B]",
        module(kind("image", shape=("B", 3)), to=kind("score", shape=("B",))),
    ),
    ("frozen module() -> features", module(to=kind("features"), frozen=True)),
    ("module(a, b) -> {x: c}", module(kind("a"), kind("b"), to=record(x=kind("c")))),
    (
        "module(module(a) -> b) -> module(c) -> d",
        module(module(kind("a"), to=kind("b")), to=module(kind("c"), to=kind("d"))),
    ),
    # `list`, `module` and `frozen` are words only in front of their brackets
    ("list", kind("list")),
    ("frozen[module, list]", kind("frozen", shape=("module", "list"))),
    ("{list: a, module: b}", record(list=kind("a"), module=kind("b"))),
    # the words of expressions are names here
    ("if[as, in, true]", kind("if", shape=("as", "in", "true"))),
]


@pytest.mark.parametrize(("written", "tree"), TYPES, ids=[written for written, _ in TYPES])
def test_type(written: str, tree: Any) -> None:
    assert a_type(written) == tree


def test_a_type_may_take_several_lines() -> None:
    assert a_type("logits[\n  B,  # batch\n  1\n]") == a_type("logits[B, 1]")
    assert a_type("module(a)\n->\nb") == a_type("module(a) -> b")


@pytest.mark.parametrize("slots", [[], ["real[*S]"], ["a|b[B, C]", "c[B]?", "features"]])
def test_signature(slots: list[str]) -> None:
    found = Diagnostics()
    signature = parse_signature(f"{', '.join(slots)} -> loss[B]", found)
    assert found.items == []
    expected = [
        tree.SignatureSlot(a_type(slot.rstrip("?")), slot.endswith("?"), NOWHERE) for slot in slots
    ]
    assert signature == tree.Signature(tuple(expected), kind("loss", shape=("B",)), NOWHERE)
