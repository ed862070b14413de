"""Written types: what a declaration means."""

from __future__ import annotations

import pytest

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax.parser import parse_type
from lossdsl.types.declared import TypeReader
from lossdsl.types.shapes import RowUnknown
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Module, Record, Tensor, Type


def read(text: str) -> tuple[Type, list[str]]:
    """The type and the codes of what was found wrong."""
    found = Diagnostics()
    node = parse_type(Fragment.whole(Source(text)), found)
    assert node is not None
    type = TypeReader(Solver(), found).read(node)
    return type, [problem.code for problem in found.errors]


def tensor(text: str) -> Tensor:
    type, codes = read(text)
    assert codes == []
    assert isinstance(type, Tensor)
    return type


@pytest.mark.parametrize(
    "text",
    [
        "real[]",
        "logits[B, 1, H, W]",
        "real[B, *S, 2*H, W//2]",
        "class_logits[B, T, C]",
        "class_prob(V)[B, T, V]",
        "labels(ignore=255)[B, H, W]",
        "image(-1, 1)[B, 3, H, W]",
        "boxes(cxcywh)[B, Q, 4]",
        "{aux: list[class_logits[B, C]; 2], out: logits[B]}",
        "list[real[B]]",
        "frozen module(image[B, 3, H, W]) -> score[B]",
    ],
)
def test_a_type_is_written_as_it_is_read(text: str) -> None:
    type, codes = read(text)
    assert codes == []
    assert str(type) == text


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("class_logits[B, C, H, W]", 1),
        ("class_logits[B, T, C]", 2),
        ("class_logits[B, *S, C]", -1),
        ("class_logits[C]", 0),
        ("class_logits[N, K]", 1),
        ("class_logits(V)[B, T, V]", 2),
        ("class_logits(10)[B, 10, T]", 1),
        ("one_hot[C, B]", 0),
        ("class_logits", None),
        ("logits[B, C]", None),
    ],
)
def test_where_the_classes_stand(text: str, axis: int | None) -> None:
    assert tensor(text).axis == axis


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("logitz[B]", "E311"),
        ("class_logits[B, T, V]", "E306"),
        ("class_logits(V)[B, C]", "E306"),
        ("labels(0.5)[B]", "E111"),
        ("image(1, 0)[B]", "E111"),
        ("boxes(ltrb)[B, 4]", "E111"),
        ("real[*S, *T]", "E111"),
    ],
)
def test_what_is_no_type(text: str, code: str) -> None:
    assert read(text)[1] == [code]


def test_names_are_one_size_wherever_they_stand() -> None:
    found, solver = Diagnostics(), Solver()
    reader = TypeReader(solver, found)
    types = []
    for text in ("real[B, *S, H]", "real[B, *S, H]", "real[_, _]"):
        node = parse_type(Fragment.whole(Source(text)), found)
        assert node is not None
        type = reader.read(node)
        assert isinstance(type, Tensor)
        types.append(type)
    assert types[0] == types[1]
    assert types[2].shape.dims[0] != types[2].shape.dims[1]


def test_a_type_without_a_shape_has_any() -> None:
    assert isinstance(tensor("real").shape.rest, RowUnknown)
    assert isinstance(tensor("real[...]").shape.rest, RowUnknown)


def test_containers() -> None:
    listing = read("list[real[B]; 3]")[0]
    assert isinstance(listing, Listing)
    assert listing.length == 3
    record = read("{a: real[B], b: mask[B]}")[0]
    assert isinstance(record, Record)
    assert str(record.field("b")) == "mask[B]"
    assert record.field("c") is None
    module = read("module(image[B, 3, H, W]) -> score[B]")[0]
    assert isinstance(module, Module)
    assert not module.frozen
