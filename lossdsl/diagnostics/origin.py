"""Whether a place can be opened: it is in a file, or in a text that has none."""

from __future__ import annotations

from lossdsl.source import Source


def is_file(source: Source) -> bool:
    """Texts that came as an argument are called `<loss>` or the like, files by their paths."""
    return not (source.name.startswith("<") and source.name.endswith(">"))
