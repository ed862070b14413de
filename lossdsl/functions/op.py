"""An operation of the compiled graph: a name and the torch function that it calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Group = Literal["function", "loss", "convert", "reduce", "module"]


@dataclass(frozen=True, slots=True)
class Op:
    """`run` gets the operands by position and everything literal by keyword.

    `group` tells what the reader of a graph wants to know: whether the user wrote the operation
    (`function`, `loss`, `module`) or the compiler inserted it (`convert`, `reduce`). `pure` says
    that equal operands give equal results, so that equal calls are made once; a network with
    dropout gives another result each time. `differentiates` says that the result is a derivative
    of the first operand with respect to the second, `stateful` that it depends on the calls before.
    """

    name: str
    run: Callable[..., Any]
    group: Group = "function"
    pure: bool = True
    differentiates: bool = False
    stateful: bool = False
