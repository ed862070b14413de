"""What holds for every function: the rule tells the truth about shapes and kinds.

Each call of the table is made with symbols, with numbers and with unknown shapes; the tensor
that torch returns has the shape that the rules foretell, and its values are of the kind.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from calling import call, holds, record, sizes_of
from cases import CASES, Case, sizes_for
from torch import Tensor, fx
from torch._dynamo.testing import CompileCounterWithBackend

from lossdsl.functions.record import functions
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import NUMBER

every_case = pytest.mark.parametrize("case", CASES, ids=str)

PIECEWISE_CONSTANT = {
    *("sign", "floor", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not"),
    *("argmax", "one_hot", "argsort", "arange", "eye", "size", "piecewise", "detach", "ema"),
    # Of random points: tests/backend/test_derivatives.py.
    *("between", "around"),
}
"""Functions without a gradient, or with one that is shown elsewhere."""


ELSEWHERE = {
    "grad",  # its operands depend on one another: tests/backend/test_derivatives.py
    "imag",  # takes a spectrum, which cannot be declared: test_spectra.py
    "all_gather",  # its first size depends on processes: tests/compile/test_processes.py
}


def test_the_table_has_every_function() -> None:
    assert {case.name for case in CASES} | ELSEWHERE == set(functions())


@every_case
def test_shapes_with_symbols(case: Case) -> None:
    outcome = call(case.name, *case.operands, **case.literals)
    for sizes in sizes_for(case):
        value = case.run(case.tensors(sizes), outcome.literals)
        assert sizes_of(outcome.tensor.shape, sizes) == tuple(value.shape)
        # The same rule when a loss is called: the names are kept, and have values.
        solver = Solver(values={Symbol(name): size for name, size in sizes.items()})
        again = call(case.name, *case.operands, solver=solver, **case.literals)
        assert sizes_of(again.tensor.shape, sizes) == tuple(value.shape)


@every_case
def test_shapes_with_numbers(case: Case) -> None:
    """As of undeclared inputs at the call."""
    for sizes in sizes_for(case):
        tensors = case.tensors(sizes)
        operands = [
            type.with_shape(Shape.numbers(tuple(x.shape))) if isinstance(x, Tensor) else x
            for type, x in zip(case.types(), tensors, strict=True)
        ]
        literals = {key: _numbered(case, value, sizes) for key, value in case.literals.items()}
        outcome = call(case.name, *operands, **literals)
        value = case.run(tensors, outcome.literals)
        assert outcome.tensor.shape == Shape.numbers(tuple(value.shape))


def _numbered(case: Case, literal: Any, sizes: dict[str, int]) -> Any:
    """A symbol as a number: a size of `reshape`, otherwise an axis of the first operand."""
    if isinstance(literal, tuple):
        return tuple(_numbered(case, item, sizes) for item in literal)
    if not isinstance(literal, Dim):
        return literal
    return sizes[str(literal)] if case.name == "reshape" else case.axis(literal)


def _flat(values: Any) -> list[Any]:
    return [y for x in values for y in (_flat(x) if isinstance(x, tuple) else [x])]


def _may_be_undeclared(case: Case) -> bool:
    """A symbol names an axis of a declared shape, and a class axis behind 1 a declared kind."""
    named = any(isinstance(literal, Dim) for literal in _flat(case.literals.values()))
    return not named and not (case.name == "gather" and case.types()[0].axis == 2)


@pytest.mark.parametrize("case", [c for c in CASES if _may_be_undeclared(c)], ids=str)
def test_shapes_that_are_unknown(case: Case) -> None:
    """A rule accepts operands of unknown shape, says nothing false, and the call is the same."""
    tensors = case.tensors(sizes_for(case)[0])
    solver = Solver()
    types = [
        type if type is NUMBER or type.shape.rank == 0 else type.with_shape(solver.any_shape())
        for type in case.types()
    ]
    # Only a class axis whose name is not known yet can be without a place.
    types = [type if type is NUMBER else _without_axis(type) for type in types]
    operands = [n if t is NUMBER else t for t, n in zip(types, case.operands, strict=True)]
    outcome = call(case.name, *operands, solver=solver, **case.literals)
    value = case.run(tensors, outcome.literals)
    for type, x in zip(types, tensors, strict=True):
        if isinstance(x, Tensor):
            assert solver.unify_shapes(type.shape, Shape.numbers(tuple(x.shape))) is None
    assert solver.unify_shapes(outcome.tensor.shape, Shape.numbers(tuple(value.shape))) is None


def _without_axis(type: Any) -> Any:
    return type.of_kind("real").of_kind(type.kind)


@every_case
def test_kinds(case: Case) -> None:
    outcome = call(case.name, *case.operands, **case.literals)
    for seed, sizes in enumerate(sizes_for(case)):
        assert holds(outcome.tensor, case.run(case.tensors(sizes, seed), outcome.literals))


def _moving(case: Case) -> list[bool]:
    """The operands that have a gradient."""
    if case.name in PIECEWISE_CONSTANT:
        return [False] * len(case.operands)
    still = ("labels", "count", "mask", "one_hot")
    return [t is not NUMBER and t.kind not in still for t in case.types()]


@pytest.mark.parametrize("case", [c for c in CASES if any(_moving(c))], ids=str)
def test_gradients(case: Case) -> None:
    outcome = call(case.name, *case.operands, **case.literals)
    tensors, moving = case.tensors(sizes_for(case)[2]), _moving(case)

    def at(*values: Tensor) -> Any:
        given = iter(values)
        operands = [next(given) if m else x for m, x in zip(moving, tensors, strict=True)]
        return case.run(operands, outcome.literals)

    inputs = [x.requires_grad_() for x, moves in zip(tensors, moving, strict=True) if moves]
    assert torch.autograd.gradcheck(at, inputs)


FIRST = {case.name: case for case in reversed(CASES)}


# Defaults of functions are constants, not numbers that may change.
@torch._dynamo.config.patch(specialize_float=True)
@pytest.mark.parametrize(
    "family", sorted({record(case.name).family for case in CASES} - {"differential"})
)
def test_one_graph_for_all_sizes(family: str) -> None:
    """All functions of a module as nodes of one graph, the way a loss calls them: they trace
    without a break, and other sizes need no second graph. (Derivatives: tests/backend.)"""
    cases = [case for name, case in FIRST.items() if record(name).family == family]
    graph = fx.Graph()
    results = []
    for case in cases:
        outcome = call(case.name, *case.operands, **case.literals)
        operands = [
            graph.placeholder(f"x{len(graph.nodes)}") if isinstance(x, str) else x
            for x in case.operands
        ]
        run = record(case.name).run
        results.append(graph.call_function(run, tuple(operands), outcome.literals))
    graph.output(results)
    module = fx.GraphModule(torch.nn.Module(), graph)
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, backend=counter, fullgraph=True, dynamic=True)
    for smallest in (10, 20):
        # Equal sizes would be taken for one size: all differ, also from literal ones.
        sizes = {name: smallest + place for place, name in enumerate("BCDHWNKT")}
        rows = [case.tensors(sizes) for case in cases]
        tensors = [x for row in rows for x in row if isinstance(x, Tensor)]
        torch.testing.assert_close(compiled(*tensors), module(*tensors), rtol=1e-13, atol=1e-13)
    assert len([g for g in counter.graphs if g.graph.find_nodes(op="placeholder")]) == 1
