"""A mapping that another tool has already loaded: Hydra, OmegaConf, json, a Python dict.

It is written out as YAML and read as a loss file, so that there is one reader and a message can
show the line. What has no place in YAML stands there as its type's name, and is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any, TypeAlias

import yaml

from lossdsl.config.loss_file import LossFile, read_loss_source
from lossdsl.config.yaml_reader import Mapping, Node, Sequence, read_yaml
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span
from lossdsl.syntax import limits

Path: TypeAlias = tuple[str | int, ...]

NAME = "<config>"


def read_mapping(mapping: object, found: Diagnostics) -> LossFile | None:
    """The losses of a mapping, as `read_yaml_text` gives those of a text."""
    if not isinstance(mapping, AnyMapping):
        message = f"a mapping is needed, not {_kind(mapping)}"
        found.add("E504", message, Source("", NAME).span(), help="pass a dict of a file's keys")
        return None
    copy = _Copy()
    try:
        plain = copy.value(mapping, ())
    except _TooLarge as error:
        found.add("E701", limits.message(str(error)), Source("", NAME).span())
        return None
    text = yaml.dump(plain, None, _Dumper, sort_keys=False, allow_unicode=True, width=math.inf)
    source = Source(text, NAME)
    if not copy.problems:
        return read_loss_source(source, None, found)
    root = read_yaml(source, Diagnostics())
    for problem in copy.problems:
        shown = ".".join(map(str, problem.path)) or NAME
        message = f"`{shown}`: {problem.message}"
        found.add(problem.code, message, _place(root, problem.path, source), help=problem.help)
    return None


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as one, so that a message can show the line at fault."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True, slots=True)
class _Problem:
    path: Path
    message: str
    help: str | None = None
    code: str = "E504"


class _TooLarge(Exception):
    """The mapping passes the limit of this name."""


@dataclass
class _Copy:
    """Copies dicts, lists, strings and numbers, and notes what is something else."""

    problems: list[_Problem] = field(default_factory=list)
    nodes: int = 0

    def value(self, value: object, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > limits.YAML_NODES:
            raise _TooLarge("YAML_NODES")
        if len(path) >= limits.YAML_DEPTH:
            raise _TooLarge("YAML_DEPTH")
        match value:
            case None | bool():
                return value
            case str():
                return str(value)
            case AnyMapping():
                return self.mapping(value, path)
            case AnySequence() if not isinstance(value, bytes | bytearray | memoryview):
                return self.sequence(value, path)
        return self.number(value, path)

    def mapping(self, value: AnyMapping[Any, Any], path: Path) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key in self.attempt(lambda: list(value), path) or ():
            name = str(key) if isinstance(key, str) else f"<{key!r}>"
            below = (*path, name)
            if not isinstance(key, str):
                help = "quote the key in the file that it comes from"
                message = f"a key is a string, not {_kind(key)}"
                self.problems.append(_Problem(below, message, help))
            copy[name] = self.value(self.attempt(partial(value.__getitem__, key), below), below)
        return copy

    def sequence(self, value: AnySequence[Any], path: Path) -> list[Any]:
        copy: list[Any] = []
        for at in range(len(value)):
            below = (*path, at)
            copy.append(self.value(self.attempt(partial(value.__getitem__, at), below), below))
        return copy

    def attempt(self, get: Callable[[], Any], path: Path) -> Any:
        """What a container holds. OmegaConf resolves `${…}` and `???` only now, and may fail."""
        try:
            return get()
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            self.problems.append(_Problem(path, f"there is no value here: {reason}"))
            return None

    def number(self, value: object, path: Path) -> Any:
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            value = value.item()  # type: ignore[attr-defined]
            if isinstance(value, bool | str):
                return value
        match value:
            case Integral() if abs(int(value)) < 10**limits.DIGITS:
                return int(value)
            case Integral():
                self.problems.append(_Problem(path, limits.message("DIGITS"), code="E701"))
                return None
            case Real():
                return float(value)
        help = "a tensor is an input: pass it when the loss is called" if _is_array(value) else None
        message = f"a number, a string, a list or a mapping, not {_kind(value)}"
        self.problems.append(_Problem(path, message, help))
        return f"<{type(value).__name__}>"


def _kind(value: object) -> str:
    return f"`{type(value).__name__}`"


def _is_array(value: object) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _place(root: Node | None, path: Path, source: Source) -> Span:
    """Where in the written text the value at `path` stands; its key, if there is no value."""
    node = root
    place = Span(source, 0, len(source.line(1)))
    for step in path:
        match node:
            case Mapping(entries):
                entry = next((entry for entry in entries if entry.key.text == step), None)
                if entry is None:
                    break
                node, place = entry.value, entry.key.span
            case Sequence(items) if isinstance(step, int) and step < len(items):
                node = items[step]
                place = node.span
            case _:
                break
    return place
