"""Loss files from disk and from memory."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from lossdsl.config.loss_file import LossFile, read_loss_source
from lossdsl.config.opening import open_source
from lossdsl.config.used_files import Home
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.source import Source, Span
from lossdsl.syntax.parser import parse_program

_FILE_NAME = re.compile(r"(?P<path>[^\r\n]+\.(?:yaml|yml|loss))(?:#(?P<name>[^\r\n#]*))?", re.I)


def names_a_file(text: str) -> bool:
    """Whether a string is a path and no program: one line, and it ends as a loss file does."""
    return _FILE_NAME.fullmatch(text.strip()) is not None


def is_yaml(text_or_path: object, format: str) -> bool:
    """Whether a text or a file is read as YAML, and not as a program."""
    if isinstance(text_or_path, str) and not names_a_file(text_or_path):
        return format == "yaml"
    path = str(text_or_path).partition("#")[0]
    return not path.strip().lower().endswith(".loss")


def split_name(path: str) -> tuple[str, str | None]:
    """`gan.yaml#generator` to the path and the name of the loss in it."""
    match = _FILE_NAME.fullmatch(path.strip())
    if match is None or os.path.exists(path):
        return path, None
    return match["path"], match["name"]


def read_loss_file(
    path: str | os.PathLike[str],
    found: Diagnostics,
    name: str | None = None,
    *,
    to_check: bool = False,
) -> LossFile | None:
    """A loss file: YAML, or a program where it ends in `.loss`.

    Args:
        path: a `str` may name one of several losses, `gan.yaml#generator`.
        found: gets what is wrong with the file, and with those that it uses.
        name: one of several losses, as behind a `#`.
        to_check: gives what could be read of a file with mistakes.

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
        file = read_loss_source(source, Home.of(Path(path)), found, to_check=to_check)
    return file if file is None or name is None else choose(file, name, found)


def read_yaml_text(
    text: str, found: Diagnostics, *, source_name: str = "<loss>", to_check: bool = False
) -> LossFile | None:
    """A loss file's YAML in memory. It has no folder, so it can use only what is shipped."""
    return read_loss_source(Source(text, source_name), None, found, to_check=to_check)


def choose(file: LossFile, name: str, found: Diagnostics) -> LossFile | None:
    """The file with one of its losses chosen, or None where it has no loss of this name."""
    if name in file.programs:
        return dataclasses.replace(file, chosen=name)
    if None in file.programs and name == file.name:
        return file
    names = [key for key in file.programs if key is not None]
    if names:
        listed = ", ".join(f"`{other}`" for other in names)
        help = str(did_you_mean(name, names) or f"there are {listed}")
    else:
        help = "the file holds one loss: leave the name away"
    source = file.sources[0]
    top = first_line(source)
    found.add("E508", f"`{source.name}` has no loss called `{name}`", top, help=help)
    return None


def first_line(source: Source) -> Span:
    """The first line that says something, and is no comment."""
    for start in source.line_starts:
        line = source.line(source.position(start)[0])
        if line.strip() and not line.lstrip().startswith(("#", "%", "---")):
            return Span(source, start, start + len(line.rstrip()))
    return source.span(0, 0)
