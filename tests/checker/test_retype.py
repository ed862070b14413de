"""The rules run again on what came at a call: they give an answer and leave no trace."""

from __future__ import annotations

from lossdsl.checker.program import Checked, check_program
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax.parser import parse_program
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor


def counts(checked: Checked, classes: int, ignore: int) -> dict[str, tuple[int, int]]:
    found = Diagnostics()
    given = {
        "p": Tensor("class_logits", Shape.numbers((2, classes)), axis=1),
        "y": Tensor("labels", Shape.numbers((2,)), ignore=ignore),
    }
    result = checked.retype(given, {}, {}, found)
    assert not found.failed
    return result


def test_class_counts_belong_to_the_call() -> None:
    found = Diagnostics()
    program = parse_program(Source("ce(p, y)"), found)
    assert program is not None
    checked = check_program(program, found)
    assert checked is not None
    before = {name: repr(value) for name, value in vars(checked).items()}
    first = counts(checked, 3, -100)
    second = counts(checked, 5, 255)
    assert (first, second) == ({"y": (3, -100)}, {"y": (5, 255)})
    assert {name: repr(value) for name, value in vars(checked).items()} == before
