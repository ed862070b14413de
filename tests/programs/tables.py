"""The tables of wrong and legal programs, as data.

An entry of `wrong/` is a mistake and what its user must be told:

- `text` is a program, `file` the text of a loss file;
- `code` and `at` are the diagnostic's code and the text that it underlines, `nth` which of
  several equal texts (from 1);
- `help` is a part of the help line, the way out; `says` a part of the message, where that alone
  names the way out;
- `also` lists further diagnostics, in reading order: there is no other than those written here;
- `xfail` says what is still wrong with the answer. The entry says what it should be.

An entry of `legal/` gives no diagnostic at all, and runs. It may have a `name`, and `modules`:
which network of `trials` stands for each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

_HERE = Path(__file__).parent

Form = Literal["program", "yaml"]


@dataclass(frozen=True)
class Expected:
    """One diagnostic: its code, its place, and a part of what it says."""

    code: str
    at: str
    nth: int = 1
    help: str | None = None
    says: str | None = None

    def place(self, text: str) -> tuple[int, int]:
        """Where the underlined text stands; a byte-order mark takes no place."""
        text = text.removeprefix("\ufeff")
        starts = [i for i in range(len(text) + 1) if text.startswith(self.at, i)]
        start = starts[self.nth - 1]
        return start, start + len(self.at)


@dataclass(frozen=True)
class Wrong:
    text: str
    form: Form
    expected: tuple[Expected, ...]
    xfail: str | None


@dataclass(frozen=True)
class Legal:
    text: str
    form: Form
    modules: Mapping[str, str] = field(default_factory=dict)
    xfail: str | None = None


def wrong() -> list[Any]:
    """All wrong programs and files, as parameters of a test."""
    return [
        _parameter(_wrong(dict(entry)), theme, number) for theme, number, entry in _read("wrong")
    ]


def legal() -> list[Any]:
    """All legal programs and files, as parameters of a test."""
    return [
        _parameter(_legal(dict(entry)), entry.get("name", theme), number)
        for theme, number, entry in _read("legal")
    ]


def legal_texts() -> list[Legal]:
    """The legal entries alone, for those who change them."""
    return [_legal(dict(entry)) for _, _, entry in _read("legal")]


def _read(folder: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for path in sorted((_HERE / folder).glob("*.yaml")):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        entries = yaml.load(path.read_text(encoding="utf-8"), loader)
        yield from ((path.stem, number, entry) for number, entry in enumerate(entries, 1))


def _parameter(entry: Wrong | Legal, name: str, number: int) -> Any:
    marks = [] if entry.xfail is None else [pytest.mark.xfail(reason=entry.xfail, strict=True)]
    return pytest.param(entry, id=f"{name}-{number}", marks=marks)


def _text(entry: dict[str, Any]) -> tuple[str, Form]:
    if "file" in entry:
        return entry.pop("file"), "yaml"
    return entry.pop("text"), "program"


def _wrong(entry: dict[str, Any]) -> Wrong:
    text, form = _text(entry)
    xfail, also = entry.pop("xfail", None), entry.pop("also", [])
    return Wrong(text, form, tuple(Expected(**one) for one in (entry, *also)), xfail)


def _legal(entry: dict[str, Any]) -> Legal:
    text, form = _text(entry)
    return Legal(text, form, entry.get("modules", {}), entry.get("xfail"))
