"""From a tree to an fx graph: the phases in their order, with all that each one leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lossdsl.backend.lower import Lowered, lower
from lossdsl.backend.names import StateNames, state_names
from lossdsl.checker.program import Checked, Variant, check_program
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import raise_errors
from lossdsl.diagnostics.levels import settled
from lossdsl.functions import convert, operators, processes
from lossdsl.hazards.derivatives import differentiated
from lossdsl.hazards.find import find_hazards
from lossdsl.ir.build import build
from lossdsl.ir.graph import Graph, topological
from lossdsl.ir.passes import optimise
from lossdsl.source import Span
from lossdsl.syntax import tree


@dataclass(frozen=True)
class Recipe:
    """What a loss is made from: enough to make it again, here or in another process."""

    program: tree.Program
    inputs: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    backend: Any = "inductor"
    name: str | None = None
    judge_unused: bool = True


@dataclass(frozen=True)
class Stages:
    """One loss at every stage, specialised to one variant."""

    variant: Variant
    checked: Checked
    graph: Graph
    optimised: Graph
    lowered: Lowered
    names: StateNames
    warnings: tuple[Diagnostic, ...]

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """Which terms read an input."""
        readers: dict[str, tuple[str, ...]] = {}
        for term in self.graph.terms:
            for node in topological((term.weight, term.raw)):
                if node.op == "input":
                    name = node.literals["name"]
                    readers[name] = (*readers.get(name, ()), term.name)
        return readers

    @cached_property
    def differentiated(self) -> dict[str, Span]:
        """The inputs that the loss itself takes derivatives by, with the place."""
        return differentiated(self.optimised)

    @cached_property
    def self_contained(self) -> bool:
        """Whether it is calculated from the inputs and the params alone: without networks, running
        means, other processes, and derivatives of its own."""
        operations = [node.op for node in self.optimised.nodes() if not isinstance(node.op, str)]
        return not any(
            op.group == "module"
            or op.stateful
            or op.differentiates
            or op.run is processes.all_gather
            for op in operations
        )

    @cached_property
    def hiding(self) -> frozenset[str]:
        """The inputs that are read behind a mask or a condition: there they may hold anything."""
        hidden = [
            node
            for node in self.graph.nodes()
            if node.run in (convert.hidden, operators.where) or {"mask", "where"} & {*node.keywords}
        ]
        below = topological(operand for node in hidden for operand in node.operands)
        return frozenset(node.literals["name"] for node in below if node.op == "input")


def run(recipe: Recipe, modules: frozenset[str], variant: Variant | None = None) -> Stages:
    """Check and lower a program.

    Raises:
        LossError: with every problem that was found.
    """
    variant = variant or Variant()
    found = Diagnostics()
    checked = check_program(
        recipe.program,
        found,
        inputs=recipe.inputs,
        params=recipe.params,
        modules=modules,
        bound=True,
        variant=variant,
        judge_unused=recipe.judge_unused,
    )
    if checked is None:
        raise_errors(found.errors)
    built = build(checked.program)
    graph = _without_absent(built, variant)
    optimised = optimise(graph)
    declared = checked.declared
    # Hazards, and comments that silence none, are those of the loss, not of each length of a list.
    if variant == Variant():
        find_hazards(optimised, declared.params, declared.options.compute_dtype, found)
    judged = (recipe.program.span.source,) if recipe.judge_unused and variant == Variant() else ()
    told = settled(found, declared.options.levels, judged)
    if any(diagnostic.severity == "error" for diagnostic in told):
        raise_errors(d for d in told if d.severity == "error")
    inputs = [e.name for e in checked.program.inputs if e.name not in variant.absent]
    averages = [n.literals["state"] for n in built.nodes() if "state" in n.literals]
    called = sorted({*modules, *checked.program.modules})
    names = state_names(declared.params, called, averages)
    lowered = lower(optimised, inputs, declared.params, names)
    return Stages(variant, checked, graph, optimised, lowered, names, tuple(told))


def _without_absent(graph: Graph, variant: Variant) -> Graph:
    """A term that reads an absent optional input is 0."""
    if not variant.absent:
        return graph

    def reads_absent(root: Any) -> bool:
        return any(
            node.op == "input" and node.literals["name"] in variant.absent
            for node in topological((root,))
        )

    terms = tuple(
        replace(term, dropped=True) if reads_absent(term.raw) or reads_absent(term.weight) else term
        for term in graph.terms
    )
    return Graph(terms, graph.rewrites)
