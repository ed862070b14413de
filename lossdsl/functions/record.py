"""The record of a function of the language, and what a type rule sees of a call.

A new function is one decorated torch function in one of this folder's modules: its Python
signature says how it is called, its rule says which kind and shape come out.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NoReturn, TypeVar

from lossdsl.diagnostics.diagnostic import Advice
from lossdsl.functions.numbers import is_whole
from lossdsl.functions.op import Op
from lossdsl.types.dims import Dim
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Mismatch, Solver
from lossdsl.types.values import Module, Tensor, Type


class Refused(Exception):
    """A rule's verdict that the call is wrong; the checker turns it into a diagnostic."""

    def __init__(
        self, code: str, message: str, argument: int | str | None, help: str | Advice | None
    ) -> None:
        self.code = code
        self.message = message
        self.argument = argument
        self.help = help
        super().__init__(message)


@dataclass
class CallSite:
    """One call as a type rule sees it.

    `operands` are the types of the tensor arguments in order, `numbers` their values where they
    are literal, `texts` how they are written. `literals` are the other arguments, already plain
    Python values (an axis may be a `Dim`). A rule returns the result's type and may replace
    literals by what the torch function needs.
    """

    name: str
    operands: list[Type]
    numbers: list[float | int | None]
    literals: dict[str, Any]
    solver: Solver
    texts: list[str] = field(default_factory=list)

    def tensor(self, index: int) -> Tensor:
        """The type of an operand, which must be a tensor."""
        operand = self.operands[index]
        if isinstance(operand, Tensor):
            shape, axis = self.solver.shape(operand.shape), operand.axis
            if axis is not None and axis < 0 and shape.rank is not None:
                axis += shape.rank
            return dataclasses.replace(operand, shape=shape, axis=axis)
        self.refuse(
            "E308",
            f"`{self.name}` takes a tensor here, not {operand}",
            index,
            f"a network is called: `{self.texts[index]}(…)`"
            if isinstance(operand, Module) and self.texts
            else "pick an item of the list or a field of the record",
        )

    def refuse(
        self,
        code: str,
        message: str,
        argument: int | str | None = None,
        help: str | Advice | None = None,
    ) -> NoReturn:
        raise Refused(code, message, argument, help)

    def unify(self, left: Shape, right: Shape, argument: int | str | None = None) -> None:
        """Demand equal shapes."""
        mismatch = self.solver.unify_shapes(left, right)
        if mismatch is not None:
            self.differ(mismatch, argument)

    def differ(self, mismatch: Mismatch, argument: int | str | None = None) -> NoReturn:
        left, right = self.solver.told(mismatch.left), self.solver.told(mismatch.right)
        if mismatch.what == "rank":
            self.refuse("E402", f"`{self.name}` of {left} and {right}: the axes differ", argument)
        self.refuse("E401", f"`{self.name}` of {left} and {right}: the sizes differ", argument)


Rule = Callable[[CallSite], Type]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class FunctionRecord:
    """A function of the language.

    `keeps` says that the result has the kind of its first operands, so that a use of the result
    is a use of what went in (`detach(p)`, `p[:, 0]`, `2*p`): the inference of undeclared inputs
    looks through it. `prefers` is the kind that an undeclared input gets from this use alone as
    the first operand, `takes` the kind that it gets at the place of another. `random` functions
    give another value at each call; one that `differentiates` is a derivative of its first operand
    with respect to its second, and one that is `stateful` also depends on the calls before.
    """

    name: str
    family: str
    run: Callable[..., Any]
    rule: Rule
    literals: frozenset[str]
    keeps: bool = False
    prefers: tuple[str, ...] = ("real",)
    latex: str | None = None
    schedule: bool = False
    order: tuple[str, ...] = ()
    takes: Mapping[int, str] = field(default_factory=dict)
    random: bool = False
    differentiates: bool = False
    stateful: bool = False

    @cached_property
    def signature(self) -> inspect.Signature:
        """How the language calls the function. `order` says where its arguments stand, where
        that is not the order of the torch function (operands first)."""
        signature = inspect.signature(self.run)
        if not self.order:
            return signature
        parameters = [signature.parameters[name] for name in self.order]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([p.replace(kind=kind) for p in parameters])

    @cached_property
    def op(self) -> Op:
        return Op(
            self.name,
            self.run,
            pure=not self.random,
            differentiates=self.differentiates,
            stateful=self.stateful,
        )

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.run)

    def wanted(self, parameter: str) -> type | None:
        """The plain type that a literal parameter is annotated with, if it is one."""
        hint = self._hints.get(parameter)
        return hint if hint in (bool, int, float) and parameter in self.literals else None

    @property
    def docs(self) -> str:
        return inspect.getdoc(self.run) or ""


MODULES = (
    "operators",
    "products",
    "pointwise",
    "reductions",
    "classes",
    "distances",
    "shaping",
    "joining",
    "picking",
    "positions",
    "spatial",
    "frequency",
    "differential",
    "processes",
    "averages",
    "schedules",
)

_functions: dict[str, FunctionRecord] = {}


def function(
    name: str,
    rule: Rule,
    *,
    literals: Sequence[str] = (),
    keeps: bool = False,
    prefers: Sequence[str] = ("real",),
    latex: str | None = None,
    schedule: bool = False,
    order: Sequence[str] = (),
    takes: Mapping[int, str] | None = None,
    random: bool = False,
    differentiates: bool = False,
    stateful: bool = False,
) -> Callable[[F], F]:
    """Enter a torch function into the language.

    `literals` names the parameters that must be known at compile time; all others are operands.
    """

    def register(run: F) -> F:
        family = run.__module__.rpartition(".")[2]
        _functions[name] = FunctionRecord(
            name,
            family,
            run,
            rule,
            frozenset(literals),
            keeps,
            tuple(prefers),
            latex,
            schedule,
            tuple(order),
            dict(takes or {}),
            random,
            differentiates,
            stateful,
        )
        return run

    return register


@cache
def functions() -> Mapping[str, FunctionRecord]:
    """All functions by name. The modules are imported on first use."""
    for module in MODULES:
        importlib.import_module(f"lossdsl.functions.{module}")
    return _functions


def find(name: str) -> FunctionRecord | None:
    return functions().get(name)


def axis_of(site: CallSite, shape: Shape, axis: Any, argument: str = "over") -> int:
    """The position of an axis given by number or by symbol."""
    if isinstance(axis, Dim):
        number = axis.number
        if number is not None:
            return axis_of(site, shape, number, argument)
        for index, dim in enumerate(shape.before):
            if dim == axis:
                return index
        for index, dim in enumerate(shape.after):
            if dim == axis:
                return index - len(shape.after)
        site.refuse("E404", f"{shape} has no axis `{axis}`", argument)
    if not is_whole(axis):
        site.refuse("E404", "an axis is a number or a dimension symbol", argument)
    rank = shape.rank
    if rank is not None and not -rank <= axis < rank:
        site.refuse("E404", f"{shape} has no axis {axis}", argument)
    return axis + rank if rank is not None and axis < 0 else axis
