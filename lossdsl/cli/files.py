"""Writing files, and what to say where that fails."""

from __future__ import annotations

from pathlib import Path

import typer


def write_file(path: Path, text: str, *, mark: bool = False) -> None:
    """Write UTF-8 with the line breaks that the text has, behind a byte-order mark if asked."""
    write_bytes(path, text.encode("utf-8-sig" if mark else "utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write the bytes as they are."""
    try:
        path.write_bytes(data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise typer.BadParameter(f"`{path}` cannot be written: {reason}") from None
