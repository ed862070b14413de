"""What a person sees of a diagnostic, to the character."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lossdsl.diagnostics.diagnostic import Diagnostic, Label
from lossdsl.diagnostics.render import SHOWN, WIDTH, render, render_all
from lossdsl.source import Source, Span


def place(source: Source, fault: str) -> Span:
    """Where a part of a text stands; the text has it once."""
    assert source.text.count(fault) == 1
    start = source.text.index(fault)
    return Span(source, start, start + len(fault))


def error(span: Span, *labels: tuple[Span, str], help: str | None = None) -> Diagnostic:
    return Diagnostic("E302", "two uses", span, tuple(Label(*label) for label in labels), help)


PLAIN = """\
error[E302]: two uses
  --> seg.yaml:2:17
   |
 2 |   dice: exp(-s)*dise(p, y)
   |                 ^^^^
  = help: did you mean `dice`?"""


def test_plain() -> None:
    source = Source("terms:\n  dice: exp(-s)*dise(p, y)\n", "seg.yaml")
    assert render(error(place(source, "dise"), help="did you mean `dice`?")) == PLAIN


SAME_LINE = """\
error[E302]: two uses
  --> <loss>:1:16
   |
 1 | bce(p, y) + ce(q, z)
   |                ^
   |     - logits here
   |        - and this
  = help: one
    two"""


def test_labels_on_the_same_line() -> None:
    source = Source("bce(p, y) + ce(q, z)")
    first, second = (place(source, "p"), "logits here"), (place(source, "y"), "and this")
    assert render(error(place(source, "q"), first, second, help="one\ntwo")) == SAME_LINE


OTHER_LINES = """\
error[E302]: two uses
   --> <loss>:11:4
    |
 11 | ce(q, z)
    |    ^
  1 | bce(p, y) +
    |     - logits here
    |        - and this
  2 | # a
    |   -"""


def test_labels_on_other_lines() -> None:
    source = Source("bce(p, y) +\n# a\n" + "\n" * 8 + "ce(q, z)\n")
    labels = [
        (place(source, "p"), "logits here"),
        (place(source, "a"), ""),
        (place(source, "y"), "and this"),
    ]
    assert render(error(place(source, "q"), *labels)) == OTHER_LINES


OTHER_FILE = """\
error[E302]: two uses
   --> a.yaml:1:7
    |
  1 | loss: f(x)
    |       ^
   ::: b.yaml:10:3
 10 |   f(x): 1
    |   - first here
    |      - it
   ::: a.yaml:2:1
  2 | name: a
    | ---- and here"""


def test_labels_in_another_file() -> None:
    here, there = Source("loss: f(x)\nname: a", "a.yaml"), Source("\n" * 9 + "  f(x): 1", "b.yaml")
    labels = [
        (Span(there, 11, 12), "first here"),
        (Span(there, 14, 15), "it"),
        (place(here, "name"), "and here"),
    ]
    assert render(error(Span(here, 6, 7), *labels)) == OTHER_FILE


def shown(source: Source, span: Span, *labels: Span) -> list[str]:
    """The lines of the excerpt, without the gutter."""
    rendered = render(error(span, *((label, "") for label in labels)))
    return [line.split("|", 1)[1][1:] for line in rendered.split("\n")[3:] if "|" in line]


def test_tabs_are_four_columns() -> None:
    source = Source("\ta =\tb")
    assert shown(source, place(source, "b")) == ["    a =    b", "           ^"]


def test_wide_characters_are_two_columns_and_combining_ones_none() -> None:
    source = Source("損失 + e\u0301 + b")
    assert shown(source, place(source, "b"), place(source, "損失")) == [
        "損失 + e\u0301 + b",
        "           ^",
        "----",
    ]


def test_characters_that_a_terminal_would_obey_are_replaced() -> None:
    source = Source("a\x1b[2J\u202eb\u200b c")
    assert shown(source, place(source, "c")) == ["a�[2J�b� c", "         ^"]


def test_a_place_of_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    source = Source("q = f(a,  \n  b)\n")
    assert shown(source, place(source, "f(a,  \n  b)")) == ["q = f(a,", "    ^^^^^^"]


@pytest.mark.parametrize(
    ("text", "start", "end", "excerpt"),
    [
        ("a +", 3, 3, ["a +", "   ^"]),
        ("a +\n", 4, 4, ["", "^"]),
        ("a +\n", 3, 4, ["a +", "   ^"]),
        ("", 0, 0, ["", "^"]),
        ("\n\n", 0, 2, ["", "^"]),
        ("a\r\nb", 3, 4, ["b", "^"]),
    ],
)
def test_places_at_an_end(text: str, start: int, end: int, excerpt: list[str]) -> None:
    source = Source(text)
    assert shown(source, source.span(start, end)) == excerpt


# --- long lines -------------------------------------------------------------------------------

LONG = " + ".join(f"loss{i}(p, y)" for i in range(1000))

CUT = """\
error[E302]: two uses
  --> <loss>:1:8215
   |
 1 | …17(p, y) + {five}loss5…
   |                                                 ^^^
   |                                                             ------- there
 1 | loss0(p, y) + {five_more}loss6(p, y) …
   | ----- first""".format(
    five="".join(f"loss{i}(p, y) + " for i in range(518, 523)),
    five_more="".join(f"loss{i}(p, y) + " for i in range(1, 6)),
)


def test_a_long_line_is_cut_around_its_places() -> None:
    source = Source(LONG)
    labels = [(place(source, "loss521"), "there"), (place(source, "loss0"), "first")]
    assert render(error(place(source, "520"), *labels)) == CUT


def window(line: str, marks: str) -> str:
    """The text that is underlined."""
    start = len(marks) - len(marks.lstrip())
    return line[start : start + len(marks.strip())]


@pytest.mark.parametrize("number", [0, 1, 3, 8, 500, 991, 997, 999])
def test_the_right_text_is_underlined_wherever_a_line_is_cut(number: int) -> None:
    source = Source(LONG)
    line, marks = shown(source, place(source, f"loss{number}("))
    assert window(line, marks) == f"loss{number}("
    assert line.startswith("…") == (number > 5)
    assert line.endswith("…") == (number < 996)
    assert len(line.strip("…")) == WIDTH


def test_the_ends_of_a_long_line() -> None:
    source = Source(LONG)
    assert shown(source, source.span(0, 1)) == [f"{LONG[:WIDTH]}…", "^"]
    end = shown(source, source.span(len(LONG), len(LONG)))
    assert end == [f"…{LONG[-WIDTH:]}", " " * (WIDTH + 1) + "^"]


def test_a_place_longer_than_the_window_is_underlined_as_far_as_it_shows() -> None:
    source = Source(LONG)
    line, marks = shown(source, source.span(100, 900))
    assert line == f"…{LONG[100 : 100 + WIDTH]}…"
    assert marks == " " + "^" * WIDTH


def test_a_line_that_fits_is_not_cut() -> None:
    source = Source("x" * WIDTH)
    assert shown(source, source.span(0, 1))[0] == "x" * WIDTH
    wider = Source("損" + "x" * (WIDTH - 1))
    assert shown(wider, wider.span(0, 1))[0] == "損" + "x" * (WIDTH - 2) + "…"


def test_a_cut_line_of_wide_characters_and_tabs() -> None:
    source = Source("損" * 500 + "b\t" + "損" * 500)
    line, marks = shown(source, place(source, "b"))
    before = (len(line[1 : line.index("b")])) * 2 + 1
    assert marks == " " * before + "^"
    assert "b    損" in line


def test_a_line_of_a_million_characters_costs_what_is_shown(calls: Callable[..., int]) -> None:
    source = Source("(" * 1_000_000)
    diagnostics = [error(source.span(i, i + 1)) for i in range(0, 1_000_000, 5_000)]
    assert len(render_all(diagnostics)) < 40_000
    assert calls(lambda: render_all(diagnostics)) < 5_000_000


# --- many -------------------------------------------------------------------------------------


def test_blocks_are_apart_and_counted_when_they_are_many() -> None:
    source = Source("a")
    one = error(source.span())
    assert render_all([]) == ""
    assert render_all([one, one]) == f"{render(one)}\n\n{render(one)}"
    many = render_all([one] * (SHOWN + 5))
    assert many.count("error[") == SHOWN
    assert many.endswith("\n\n… and 5 more")


@pytest.mark.parametrize(("code", "severity"), [("E101", "error"), ("W201", "warning")])
def test_the_severity_comes_first(code: str, severity: str) -> None:
    assert render(Diagnostic(code, "m", Source("a").span())).startswith(f"{severity}[{code}]: m\n")
