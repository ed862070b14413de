"""From a tree to an fx graph: the phases in their order, with all that each one leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lossdsl.backend.lower import Lowered, lower
from lossdsl.checker.program import Checked, Variant, check_program
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import raise_errors
from lossdsl.ir.build import build
from lossdsl.ir.graph import Graph, topological
from lossdsl.ir.passes import optimise
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
    graph = _without_absent(build(checked.program), variant)
    optimised = optimise(graph)
    inputs = [e.name for e in checked.program.inputs if e.name not in variant.absent]
    lowered = lower(optimised, inputs, checked.declared.params)
    return Stages(variant, checked, graph, optimised, lowered, tuple(found.warnings))


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
