"""The loss files that came with the package: `use: [lossdsl:detection]`.

Each is a file of functions. One with a `namespace` is a dialect: its functions are called with
the name in front, `monai.DiceLoss`. The comment above a function is what users read about it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lossdsl.config.yaml_reader import Entry, Mapping, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source

FOLDER = Path(__file__).resolve().parents[1] / "library" / "files"
PREFIX = "lossdsl:"
WIDTH = 88

_SOURCE = "Source: "


@dataclass(frozen=True, slots=True)
class ShippedFunction:
    """One function of a shipped file.

    Attributes:
        name: how it is called, with the namespace of its file.
        file: what a loss file writes under `use`.
        call: the name with its parameters and their defaults.
        body: the expression that it stands for, on one line.
        notes: the comment above it; its first line is the summary.
    """

    name: str
    file: str
    call: str
    body: str
    notes: str

    @property
    def summary(self) -> str:
        return self.notes.partition("\n")[0]

    @property
    def to_use(self) -> str:
        """How a loss comes by it."""
        return f"a loss file brings it in: `use: [{self.file}]`"

    @property
    def family(self) -> str:
        """Where a list of losses puts it."""
        return self.file

    @property
    def aliases(self) -> tuple[str, ...]:
        """It has no other names."""
        return ()

    @property
    def source(self) -> str | None:
        """Where the formula comes from."""
        return " ".join(self.notes.partition(_SOURCE)[2].split()) or None

    def __str__(self) -> str:
        """All that there is to know of it, as a page."""
        _, _, prose = self.notes.partition(_SOURCE)[0].partition("\n")
        sections = [
            ("Call", self.call),
            ("Value", self.body),
            ("Use", f"use: [{self.file}]"),
            ("Reference", self.source),
        ]
        blocks = [f"{self.name} – {self.file}", self.summary, _filled(prose)]
        blocks += [f"{heading}\n{_filled(text, '  ')}" for heading, text in sections if text]
        return "\n\n".join(block for block in blocks if block)


def _filled(text: str, margin: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def shipped_names() -> list[str]:
    """The files by name, without the prefix."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def shipped_functions() -> dict[str, ShippedFunction]:
    """Every public function of the shipped files, by the name that it is called with."""
    return _functions(FOLDER)


@cache
def _functions(folder: Path) -> dict[str, ShippedFunction]:
    found: dict[str, ShippedFunction] = {}
    for path in sorted(folder.glob("*.yaml")):
        for function in _read(path):
            if not function.name.rpartition(".")[2].startswith("_"):
                found.setdefault(function.name, function)
    return found


def _read(path: Path) -> Iterator[ShippedFunction]:
    source = Source(path.read_text(encoding="utf-8"), f"{PREFIX}{path.name}")
    root = read_yaml(source, Diagnostics())
    space = namespace(root) if isinstance(root, Mapping) else None
    for entry in root.entries if isinstance(root, Mapping) else ():
        if entry.key.text == "functions" and isinstance(entry.value, Mapping):
            for function in entry.value.entries:
                yield _function(function, path.stem, space)


def _function(entry: Entry, file: str, space: str | None) -> ShippedFunction:
    front = "" if space is None else f"{space}."
    name = entry.key.text.partition("(")[0].strip()
    body = " ".join(entry.value.text.split()) if isinstance(entry.value, Scalar) else ""
    return ShippedFunction(
        front + name, PREFIX + file, front + entry.key.text, body, _comment_above(entry)
    )


def _comment_above(entry: Entry) -> str:
    """The lines of comment that end just above an entry, without their signs."""
    source, number = entry.key.span.source, entry.key.span.line - 1
    lines: list[str] = []
    while number > 0 and (line := source.line(number).strip()).startswith("#"):
        lines.insert(0, line.removeprefix("#").removeprefix(" "))
        number -= 1
    return "\n".join(line for line in lines if not line.startswith("lossdsl:"))


def namespace(root: Mapping) -> str | None:
    """What stands in front of the names of a file's functions."""
    for entry in root.entries:
        if entry.key.text == "namespace" and isinstance(entry.value, Scalar):
            return entry.value.text
    return None
