"""Names for sizes that stay open until the call, the same as in the contract."""

from __future__ import annotations

from collections.abc import Iterable

from lossdsl.checker.contract import Naming
from lossdsl.checker.program import Checked
from lossdsl.checker.typed import Typed
from lossdsl.types.dims import Symbol, Unknown
from lossdsl.types.shapes import RowSymbol, RowUnknown, Shape
from lossdsl.types.values import Listing, Record, Tensor, Type


def contract_names(checked: Checked) -> Naming:
    """The contract's names, by which every type of the loss can be written.

    The contract has names where the solver has unknowns; comparing the two at every input tells
    which is which. Sizes that no input has get names of their own, in the order of the terms, so
    that every stage and drawing calls them the same.
    """
    solver = checked.declared.solver
    naming = Naming(solver, {symbol.name for symbol in _symbols(checked)})
    inputs = {entry.name: entry.type for entry in checked.program.inputs}
    values = _values(checked)
    for value in values:
        named = _type_at(value, inputs)
        if isinstance(named, Tensor) and isinstance(value.type, Tensor):
            _learn(naming, solver.shape(value.type.shape), named.shape)
    for value in values:
        naming.type(value.type)
    return naming


def _learn(naming: Naming, solved: Shape, named: Shape) -> None:
    if isinstance(solved.rest, RowUnknown) and isinstance(named.rest, RowSymbol):
        naming.rows[solved.rest] = named.rest
    pairs = zip((*solved.before, *solved.after), (*named.before, *named.after), strict=False)
    for unknown, symbol in pairs:
        if isinstance(unknown.atom, Unknown) and isinstance(symbol.atom, Symbol):
            naming.dims[unknown.atom] = symbol.atom


def _values(checked: Checked) -> list[Typed]:
    """All values, each once, in the order in which a reader meets them."""
    stack = [x for term in reversed(checked.program.terms) for x in (term.raw, term.weight)]
    found: dict[int, Typed] = {}
    while stack:
        value = stack.pop()
        if id(value) not in found:
            found[id(value)] = value
            stack.extend(reversed(value.operands))
    return list(found.values())


def _type_at(leaf: Typed, inputs: dict[str, Type]) -> Type | None:
    """The contract's type of an input, or of the part of one that a path leads to; else None."""
    if leaf.op == "input":
        return inputs.get(leaf.literals["name"])
    if leaf.op != "item":
        return None
    key, outer = leaf.literals["key"], _type_at(leaf.operands[0], inputs)
    if isinstance(outer, Record) and isinstance(key, str):
        return outer.field(key)
    if isinstance(outer, Listing) and isinstance(key, int):
        if outer.items is not None and -len(outer.items) <= key < len(outer.items):
            return outer.items[key]
        return outer.item
    return None


def _symbols(checked: Checked) -> Iterable[Symbol | RowSymbol]:
    """All names that the contract uses, and the declared ones that it does not."""
    yield from (Symbol(name) for name in checked.declared.symbols)
    stack = [entry.type for entry in checked.program.inputs]
    while stack:
        type = stack.pop()
        match type:
            case Tensor(_, shape):
                for dim in (*shape.before, *shape.after):
                    yield from (atom for atom in dim.atoms() if isinstance(atom, Symbol))
                if isinstance(shape.rest, RowSymbol):
                    yield shape.rest
            case Listing(items, item):
                stack += [*(items or ()), *((item,) if item is not None else ())]
            case Record(fields):
                stack += [part for _, part in fields]
