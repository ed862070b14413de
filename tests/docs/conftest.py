"""What the tests of the pages share; makes the modules of this folder importable by them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossdsl
from lossdsl.diagnostics.codes import CODES
from lossdsl.functions.record import functions
from lossdsl.ir import passes
from lossdsl.library import registry
from lossdsl.types.kinds import KINDS

ROOT = Path(__file__).parents[2]
# The scripts of docs/ import one another, as they do when one of them is run.
sys.path[:0] = [str(folder) for folder in (Path(__file__).parent, ROOT / "docs", ROOT)]


@pytest.fixture
def own_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets a page add a loss, a function, a kind, a code or a pass, and takes it back."""
    lossdsl.losses()
    monkeypatch.setattr(registry, "_records", dict(registry._records))
    monkeypatch.setattr(registry, "_names", dict(registry._names))
    monkeypatch.setattr(passes, "PIPELINE", passes.PIPELINE)
    tables: tuple[Any, ...] = (functions(), KINDS, CODES)
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)
