"""An fx graph as code to read: above the nodes the text that they come from, full names, no
bookkeeping."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import fx

from lossdsl.backend.runtime import ledger, logged
from lossdsl.inspect.outline import excerpt
from lossdsl.source import Span

_FROM = re.compile(r"# File: (?P<file>.*):(?P<line>\d+) in (?P<term>.*), code: (?P<code>.*)")
_ITEM = r"(?:slice\([^()]*\)|Ellipsis|None|-?\d+)"
_INDEX = re.compile(rf"(?<=\w)\[\(?({_ITEM}(?:, {_ITEM})*),?\)?\]$")
_SLICE = re.compile(r"slice\((\S+), (\S+), (\S+)\)")
_NOTHING = "# No stacktrace found for following nodes"
_LOG = "<log>"
_FREED = re.compile(r";\s+(?:\w+ = )+None(?=\s|$)")


def graph_text(module: fx.GraphModule) -> str:
    """The code of a graph. Its nodes must carry the notes that `note` makes, or none."""
    text = module.print_readable(print_output=False)
    lines = [_FREED.sub("", line).rstrip() for line in text.splitlines()]
    lines = [_FROM.sub(_comment, line) for line in lines if line.strip() != _NOTHING]
    lines = [_INDEX.sub(_subscript, line) for line in lines]
    names = _full_names(module)
    if names:
        mangled = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
        lines = [mangled.sub(lambda match: names[match[0]], line) for line in lines]
    return "\n".join(lines).strip()


def note(span: Span, terms: tuple[str, ...]) -> str:
    """What torch prints above a node, and carries along to the nodes that it makes of it."""
    term = terms[0] if len(terms) == 1 else "several terms" if terms else "loss"
    # AOTAutograd adds remarks of its own at the end: they get a line of their own.
    return f'  File "{span.source.name}", line {span.line}, in {term}\n    {excerpt(span.text)}\n'


def noted(module: fx.GraphModule) -> fx.GraphModule:
    """The graph with the exact text above each node, where torch shows whole lines."""
    for node in module.graph.nodes:
        span = node.meta.get("lossdsl_span")
        if span is not None:
            node.meta["stack_trace"] = note(span, node.meta["lossdsl_terms"])
        elif node.target in (ledger, logged):
            node.meta["stack_trace"] = f'  File "{_LOG}", line 1, in log\n    {node.name}'
    return module


def _comment(found: re.Match[str]) -> str:
    """`# dice, seg.yaml:7: dice(p, y)`; a program has no file, and its lines are numbers."""
    file, line = found["file"], found["line"]
    if file == _LOG:
        return "# what `terms` and `report` show"
    place = f"line {line}" if file.startswith("<") else f"{file}:{line}"
    return f"# {found['term']}, {place}: {found['code']}"


def _subscript(found: re.Match[str]) -> str:
    """`x[:, 0]`, where fx writes `x[(slice(None, None, None), 0)]`."""
    return f"[{_SLICE.sub(_colons, found[1]).replace('Ellipsis', '...')}]"


def _colons(found: re.Match[str]) -> str:
    start, stop, step = ("" if bound == "None" else bound for bound in found.groups())
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def _full_names(module: fx.GraphModule) -> dict[str, str]:
    """What fx calls the functions in its code, and what they are called."""
    names = {}
    for key, value in module.graph.python_code("self").globals.items():
        full = _full_name(value)
        if full is not None and full != key and full.replace(".", "_") == key:
            names[key] = full
    return names


def _full_name(value: Callable[..., Any] | Any) -> str | None:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None
