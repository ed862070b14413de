"""The sections of a loss file, one table: which keys there are, where, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lossdsl.config.constants import read_constant
from lossdsl.config.entries import NAME, read_expression, read_name, section
from lossdsl.config.inputs import read_inputs
from lossdsl.config.yaml_reader import Entry, Mapping
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_function_head

# The keys of a file, of a body under `losses`, and of a file that others bring in with `use`.
FILE_KEYS = (
    "lossdsl",
    "name",
    "use",
    "inputs",
    "params",
    "functions",
    "let",
    "terms",
    "monitor",
    "loss",
    "losses",
    "options",
)
BODY_KEYS = ("params", "functions", "let", "terms", "monitor", "loss")
USED_KEYS = ("lossdsl", "name", "use", "params", "functions")
# A file that came with the package may be a dialect, whose functions have a name in front.
SHIPPED_KEYS = (*USED_KEYS, "namespace")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the sections of one mapping say, in the order in which a program says it.

    `unread` are the names of entries that could not be read, which gave so many `mistakes`.
    """

    span: Span = field(compare=False)
    inputs: tuple[tree.Input, ...] = ()
    params: tuple[tree.Param, ...] = ()
    functions: tuple[tree.Function, ...] = ()
    let: tuple[tree.Binding, ...] = ()
    terms: tuple[tree.Term, ...] = ()
    monitor: tuple[tree.Term, ...] = ()
    loss: tree.Expression | None = None
    options: tuple[tree.Option, ...] = ()
    unread: frozenset[str] = frozenset()
    mistakes: int = 0


def read_parts(mapping: Mapping, found: Diagnostics) -> Parts:
    """Read every section that holds statements; the other keys are read by who knows them."""
    read: dict[str, object] = {}
    unread: set[str] = set()
    mistakes = 0
    for entry in mapping.entries:
        reader = _READERS.get(entry.key.text)
        if reader is None:
            continue
        own = Diagnostics()
        read[entry.key.text] = reader(entry, own)
        names = _unread(entry, read[entry.key.text])
        if own.failed and names is not None:
            unread |= names
            mistakes += len(own.errors)
        for diagnostic in own.items:
            found.take(diagnostic)
    return Parts(mapping.span, **read, unread=frozenset(unread), mistakes=mistakes)  # type: ignore[arg-type]


def _unread(entry: Entry, read: object) -> set[str] | None:
    """The names that a section gives and that were not read; None where it gives no names."""
    if entry.key.text == "loss":
        return {"loss"} if read is None else set()
    if not isinstance(entry.value, Mapping) or not isinstance(read, tuple):
        return None
    known = {statement.name.id for statement in read}
    names = (NAME.match(item.key.text.strip()) for item in entry.value.entries)
    return {name[0] for name in names if name is not None} - known


def check_keys(mapping: Mapping, allowed: tuple[str, ...], where: str, found: Diagnostics) -> None:
    """Report the keys that may not stand here, with what was probably meant."""
    for entry in mapping.entries:
        key = entry.key.text
        if key in allowed:
            continue
        if key in FILE_KEYS:
            message = f"`{key}` cannot stand {where}"
            found.add("E504", message, entry.key.span, help=f"here may stand {_listed(allowed)}")
            continue
        help = did_you_mean(key, allowed) or f"the keys are {_listed(allowed)}"
        found.add("E502", f"`{key}` is no key of a loss file", entry.key.span, help=help)


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _params(entry: Entry, found: Diagnostics) -> tuple[tree.Param, ...]:
    params = []
    for item in section(entry, found):
        name = read_name(item.key, "a parameter", found)
        value = read_constant(item, found)
        if name is not None and value is not None:
            params.append(tree.Param(name, value, _span(item)))
    return tuple(params)


def _functions(entry: Entry, found: Diagnostics) -> tuple[tree.Function, ...]:
    functions = []
    for item in section(entry, found):
        head = None
        if "(" in item.key.text:
            head = parse_function_head(item.key.expression, found)
        else:
            found.add(
                "E512",
                f"the key of a function holds its parameters, and `{item.key.text}` has none",
                item.key.span,
                help=f"write `{item.key.text or 'f'}(p, y): …`",
            )
        body = read_expression(item, found)
        if head is not None and body is not None:
            functions.append(tree.Function(*head, body, _span(item)))
    return tuple(functions)


def _let(entry: Entry, found: Diagnostics) -> tuple[tree.Binding, ...]:
    bindings = []
    for item in section(entry, found):
        name = read_name(item.key, "a binding", found)
        value = read_expression(item, found)
        if name is not None and value is not None:
            bindings.append(tree.Binding(name, value, _span(item)))
    return tuple(bindings)


def _terms(entry: Entry, found: Diagnostics) -> tuple[tree.Term, ...]:
    terms = []
    for item in section(entry, found):
        name = read_name(item.key, "a term", found)
        value = read_expression(item, found)
        if name is not None and value is not None:
            monitored = entry.key.text == "monitor"
            terms.append(tree.Term(name, value, monitored, _span(item)))
    return tuple(terms)


def _options(entry: Entry, found: Diagnostics) -> tuple[tree.Option, ...]:
    options = []
    for item in section(entry, found):
        name = read_name(item.key, "an option", found)
        value = read_constant(item, found)
        if name is not None and value is not None:
            options.append(tree.Option(name, value, _span(item)))
    return tuple(options)


def _span(entry: Entry) -> Span:
    return entry.key.span.to(entry.value.span)


_READERS: dict[str, Callable[[Entry, Diagnostics], object]] = {
    "inputs": read_inputs,
    "params": _params,
    "functions": _functions,
    "let": _let,
    "terms": _terms,
    "monitor": _terms,
    "loss": read_expression,
    "options": _options,
}
