"""Under which attribute a param, a clock or a bound module is kept."""

from __future__ import annotations

import keyword

from torch import fx, nn

CLOCKS = {"step": "clock_step", "epoch": "clock_epoch"}

_TAKEN = frozenset((*dir(fx.GraphModule), *dir(nn.Module()))) | {
    "step",
    "set",
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
    *CLOCKS.values(),
}


def state_name(name: str) -> str:
    """The name itself, with an underscore where a module already has such an attribute."""
    return f"{name}_" if name in _TAKEN or keyword.iskeyword(name) else name


def argument_name(name: str) -> str:
    """The name of an input as the generated function's argument; `in` is none in Python."""
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name
