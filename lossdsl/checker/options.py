"""The options of a loss: how it is compiled, and which of its warnings count."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.levels import Levels, unlevelled
from lossdsl.syntax import tree

Reduction = Literal["mean", "sum"]
ComputeDtype = Literal["float32", "input"]
Checks = Literal["first", "always", "never"]
"""When tensors are held against the contract."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `options:` of a loss file, or the arguments of `compile`, can say."""

    reduction: Reduction = "mean"
    compute_dtype: ComputeDtype = "float32"
    checks: Checks = "first"
    levels: Levels = field(default_factory=Levels)


_CHOICES: dict[str, tuple[str, ...]] = {
    "reduction": get_args(Reduction),
    "compute_dtype": get_args(ComputeDtype),
    "checks": get_args(Checks),
}
_LEVELS = ("error", "ignore")


def read_options(program: tree.Program, found: Diagnostics) -> Options:
    """The options of a program; what is wrong with them goes to `found`."""
    chosen: dict[str, Any] = {}
    levels = Levels()
    for option in program.options:
        name, value = option.name.id, option.value
        choices = _CHOICES.get(name)
        if name in _LEVELS:
            levels = levels.merged(_levels(name, value, found))
        elif choices is None:
            found.add(
                "E509",
                f"there is no option `{name}`",
                option.name.span,
                help=f"the options are {', '.join((*_CHOICES, *_LEVELS))}",
            )
        elif _word(value) not in choices:
            found.add(
                "E509",
                f"the option `{name}` cannot be `{value.span.text}`",
                value.span,
                help=f"choose one of {', '.join(choices)}",
            )
        else:
            chosen[name] = _word(value)
    return dataclasses.replace(Options(), levels=levels, **chosen)


def _word(value: tree.Expression) -> str | None:
    match value:
        case tree.Name(word) | tree.Text(word):
            return word
    return None


def _levels(name: str, value: tree.Expression, found: Diagnostics) -> Levels:
    """`error: W801` or `ignore: [W801, W803]`."""
    codes = set()
    for item in value.items if isinstance(value, tree.ListOf) else (value,):
        word = (_word(item) or "").upper()
        problem = unlevelled(word)
        if problem is None:
            codes.add(word)
        else:
            found.add("E509", problem, item.span, help="`lossdsl explain` lists the codes")
    named = frozenset(codes)
    return Levels(named, frozenset()) if name == "error" else Levels(frozenset(), named)
