"""Texts with the place of their mistake marked: `loss: a ‹$› b`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from lossdsl.config.files import read_yaml_text
from lossdsl.config.loss_file import LossFile
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics

Check: TypeAlias = Callable[[str, str], Diagnostic]


def read(text: str) -> tuple[LossFile | None, list[Diagnostic]]:
    found = Diagnostics()
    return read_yaml_text(text, found, source_name="f.yaml"), found.sorted()


@pytest.fixture
def check_error() -> Check:
    """Read a marked text; its only error must have the code and underline what is marked."""

    def check(marked: str, code: str) -> Diagnostic:
        start, end = marked.index("‹"), marked.index("›") - 1
        text = marked.replace("‹", "").replace("›", "")
        file, diagnostics = read(text)
        assert file is None
        seen = [(found.code, found.span.text, found.message) for found in diagnostics]
        assert len(diagnostics) == 1, seen
        (found,) = diagnostics
        offset = 1 if text.startswith("\ufeff") else 0
        assert found.code == code, seen
        assert (found.span.start, found.span.end) == (start - offset, end - offset), seen
        assert found.span.source.name == "f.yaml"
        return found

    return check


@pytest.fixture
def read_clean() -> Callable[[str], LossFile]:
    """Read a text that has nothing wrong with it."""

    def check(text: str) -> LossFile:
        file, diagnostics = read(text)
        assert diagnostics == []
        assert file is not None
        return file

    return check
