"""Under which attribute a param, a clock or a bound module is kept."""

from __future__ import annotations

from torch import fx

CLOCKS = {"step": "clock_step", "epoch": "clock_epoch"}

_TAKEN = frozenset(dir(fx.GraphModule)) | {
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
    return f"{name}_" if name in _TAKEN else name
