"""Loss files from disk and from memory."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from pathlib import Path

from lossdsl.config.loss_file import LossFile, read_loss_source
from lossdsl.config.opening import open_source
from lossdsl.config.used_files import Home
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span
from lossdsl.syntax.parser import parse_program

_FILE_NAME = re.compile(r"(?P<path>[^\r\n]+\.(?:yaml|yml|loss))(?:#(?P<name>[^\r\n#]*))?", re.I)


def names_a_file(text: str) -> bool:
    """Whether a string is a path and no program: one line, and it ends as a loss file does."""
    return _FILE_NAME.fullmatch(text.strip()) is not None


def split_name(path: str) -> tuple[str, str | None]:
    """`gan.yaml#generator` to the path and the name of the loss in it."""
    match = _FILE_NAME.fullmatch(path.strip())
    if match is None or os.path.exists(path):
        return path, None
    return match["path"], match["name"]


def read_loss_file(
    path: str | os.PathLike[str], found: Diagnostics, name: str | None = None
) -> LossFile | None:
    """A loss file: YAML, or a program where it ends in `.loss`.

    Args:
        path: a `str` may name one of several losses, `gan.yaml#generator`.
        found: gets what is wrong with the file, and with those that it uses.
        name: one of several losses, as behind a `#`.

    Returns:
        All losses of the file, with `chosen` set to the one asked for; None if there are errors.
    """
    if isinstance(path, str):
        path, named = split_name(path)
        name = named if name is None else name
    shown = os.fspath(path)
    source = open_source(Path(path), shown, found)
    if source is None:
        return None
    if Path(path).suffix.lower() == ".loss":
        program = parse_program(source, found)
        file = None if program is None else LossFile({None: program}, None, (source,))
    else:
        file = read_loss_source(source, Home.of(Path(path)), found)
    return file if file is None or name is None else choose(file, name, found)


def read_yaml_text(
    text: str, found: Diagnostics, *, source_name: str = "<loss>"
) -> LossFile | None:
    """A loss file's YAML in memory. It has no folder, so it can use only what is shipped."""
    return read_loss_source(Source(text, source_name), None, found)


def choose(file: LossFile, name: str, found: Diagnostics) -> LossFile | None:
    """The file with one of its losses chosen, or None where it has no loss of this name."""
    if name in file.programs:
        return dataclasses.replace(file, chosen=name)
    if None in file.programs and name == file.name:
        return file
    names = [key for key in file.programs if key is not None]
    if names:
        close = difflib.get_close_matches(name, names, n=1)
        listed = ", ".join(f"`{other}`" for other in names)
        help = f"did you mean `{close[0]}`?" if close else f"there are {listed}"
    else:
        help = "the file holds one loss: leave the name away"
    source = file.sources[0]
    top = Span(source, 0, len(source.line(1)))
    found.add("E508", f"`{source.name}` has no loss called `{name}`", top, help=help)
    return None
