"""Under which attributes a loss keeps its params, networks and clocks, and what its arguments are
called."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import fx, nn

CLOCKS = {"step": "clock_step", "epoch": "clock_epoch"}

AVERAGING = "averaging"
"""The buffer that says whether running means move: in training mode."""


def counter(average: str) -> str:
    """Where a running mean counts its calls."""
    return f"{average}_calls"


_TAKEN = frozenset((*dir(fx.GraphModule), *dir(nn.Module()))) | {
    "step",
    "set",
    "backward",
    "checks",
    "terms",
    "monitors",
    "report",
    "contract",
    "source",
    "name",
    "warnings",
    "graph_module",
    "inspect",
    "draw",
    "latex",
    "formula",
    AVERAGING,
    *CLOCKS.values(),
}


@dataclass(frozen=True, slots=True)
class StateNames:
    """The attribute of each param and of each network: its own name wherever a module has no such
    attribute, else one with underscores behind it."""

    params: Mapping[str, str]
    modules: Mapping[str, str]
    averages: Mapping[str, str]


def state_names(
    params: Iterable[str], modules: Iterable[str], averages: Iterable[str]
) -> StateNames:
    """Names for the state of one loss, all different. Private names belong to the module."""
    groups = {"param": params, "module": modules, "average": averages}
    keys = [(what, name) for what, names in groups.items() for name in names]
    made = _distinct(keys, lambda name: name in _TAKEN or name.startswith("_"))
    return StateNames(
        *(
            {name: attribute for (what, name), attribute in made.items() if what == group}
            for group in groups
        )
    )


def argument_names(inputs: Iterable[str]) -> tuple[str, ...]:
    """The inputs' names as arguments of the generated function; `in` is none in Python."""
    return tuple(_distinct([("input", name) for name in inputs], "self".__eq__).values())


def _distinct(
    keys: list[tuple[str, str]], reserved: Callable[[str], bool]
) -> dict[tuple[str, str], str]:
    """A name for each key: its own where that can be, whatever the others are called."""

    def refused(name: str) -> bool:
        return reserved(name) or keyword.iskeyword(name)

    owners: dict[str, tuple[str, str]] = {}
    for key in keys:
        if not refused(key[1]):
            owners.setdefault(key[1], key)
    used = set(owners)
    made = {}
    for key in keys:
        name = key[1]
        if owners.get(name) != key:
            name = f"state{name}" if name.startswith("_") else f"{name}_"
            while name in used or refused(name):
                name += "_"
        used.add(name)
        made[key] = name
    return made
