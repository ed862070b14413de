"""The typed tree as text: every value with its kind and shape, and what the compiler inserted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossdsl.checker.program import Checked
from lossdsl.checker.typed import Typed, TypedTerm
from lossdsl.inspect.node_text import is_inserted, title
from lossdsl.inspect.outline import branches, columns, excerpt
from lossdsl.inspect.sizes import contract_names


@dataclass(frozen=True, slots=True)
class _Branch:
    """A value and the part that it plays for the one above: `weight`, `mask`."""

    role: str
    value: Typed | TypedTerm


def typed_text(checked: Checked) -> str:
    """All terms; a value that several others use is written out once and has a number."""
    naming = contract_names(checked)
    numbers = _shared(checked)
    shown: set[int] = set()

    def below(branch: _Branch) -> Sequence[_Branch]:
        value = branch.value
        if isinstance(value, TypedTerm):
            raw = _Branch("value", value.raw)
            return (raw,) if value.monitored else (_Branch("weight", value.weight), raw)
        if id(value) in numbers and id(value) in shown:
            return ()
        shown.add(id(value))
        roles = value.keywords or (None,) * len(value.operands)
        return [_Branch(r or "", v) for r, v in zip(roles, value.operands, strict=True)]

    def cells(branch: _Branch) -> tuple[str, ...]:
        value = branch.value
        if isinstance(value, TypedTerm):
            what = "monitor" if value.monitored else "term"
            return f"{what} {value.name}", "", "", excerpt(value.span.text)
        role = f"{branch.role}: " if branch.role else ""
        number = numbers.get(id(value))
        if number is not None and id(value) in shown:
            return f"{role}#{number}", str(naming.type(value.type))
        mark = f"#{number} = " if number is not None else ""
        inserted = is_inserted(value.op)
        # A number says itself; what was inserted stands where its value was written.
        text = "" if inserted or value.op == "number" else excerpt(value.span.text)
        type = str(naming.type(value.type))
        return f"{role}{mark}{title(value.op, value.literals)}", type, _MARK[inserted], text

    return columns(
        (guide + head, *rest)
        for term in checked.program.terms
        for guide, branch in branches(_Branch("", term), below)
        for head, *rest in (cells(branch),)
    )


_MARK = {True: "inserted", False: ""}


def _shared(checked: Checked) -> dict[int, int]:
    """Numbers for values with something below them that are used more than once."""
    uses: dict[int, int] = {}
    order: list[Typed] = []
    stack = [x for t in reversed(checked.program.terms) for x in (t.raw, t.weight)]
    while stack:
        value = stack.pop()
        uses[id(value)] = uses.get(id(value), 0) + 1
        if uses[id(value)] == 1:
            order.append(value)
            stack.extend(reversed(value.operands))
    shared = [value for value in order if uses[id(value)] > 1 and value.operands]
    return {id(value): number for number, value in enumerate(shared, start=1)}
