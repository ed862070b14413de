"""The page of each code: what it means, why it is told, an example and the way out."""

from __future__ import annotations

from pathlib import Path


def pages_folder() -> Path:
    """`docs/errors`: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "docs" / "errors"
    return installed if installed.exists() else package.parent / "docs" / "errors"


def read_page(code: str) -> str | None:
    """The page of a code in Markdown, or None where it has none."""
    file = pages_folder() / f"{code}.md"
    return file.read_text(encoding="utf-8") if file.is_file() else None
