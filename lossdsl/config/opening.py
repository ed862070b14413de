"""From a path to a `Source`: what can go wrong with a file before its first line is read."""

from __future__ import annotations

import codecs
from pathlib import Path

from lossdsl.diagnostics.diagnostic import Advice, Diagnostics
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.source import Source, Span
from lossdsl.syntax import limits

# A character takes at most four bytes; what is longer than this has too many of them.
_BYTES = 4 * limits.CHARACTERS

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def open_source(
    path: Path, name: str, found: Diagnostics, blamed: Span | None = None
) -> Source | None:
    """Read a UTF-8 file. `blamed` is the place that asked for it, if another file did."""
    place = blamed if blamed is not None else Source("", name).span()
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "not a plain file"
            found.add("E506", f"`{name}` is {what}", place, help="name a loss file in it")
            return None
        with path.open("rb") as file:
            data = file.read(_BYTES + 1)
    except (OSError, ValueError) as error:
        help = _beside(path, name) if isinstance(error, FileNotFoundError) else None
        found.add("E506", f"`{name}` cannot be read: {_reason(error)}", place, help=help)
        return None
    if len(data) > _BYTES:
        found.add("E701", limits.message("CHARACTERS"), place)
        return None
    return _decode(data, name, place, found)


def _beside(path: Path, name: str) -> Advice | None:
    """A file of the same folder whose name is close."""
    try:
        others = [file.name for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return None
    close = did_you_mean(path.name, others)
    if close is None or close.replacement is None:
        return None
    other = name.removesuffix(path.name) + close.replacement
    return Advice(f"did you mean `{other}`?", other, safe=False)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return (reason or type(error).__name__).lower()


def _decode(data: bytes, name: str, place: Span, found: Diagnostics) -> Source | None:
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            message = f"`{name}` is {encoding}, and loss files are UTF-8"
            found.add("E506", message, place, help="save it as UTF-8")
            return None
    try:
        return Source(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        source = Source(data.decode("utf-8", errors="replace"), name)
        before = Source(data[: error.start].decode("utf-8"))
        at = len(before.text)
        found.add(
            "E506",
            f"a byte that is no UTF-8: 0x{data[error.start]:02X}",
            Span(source, at, at + 1),
            help="save the file as UTF-8",
        )
        return None
