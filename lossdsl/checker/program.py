"""The checker: from a tree to typed terms and a contract, with all problems reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from lossdsl.checker import nodes
from lossdsl.checker.contract import Naming, container_types, with_lengths, written_once
from lossdsl.checker.declarations import Declarations, ParamValue, read_declarations
from lossdsl.checker.expansions import Expansions
from lossdsl.checker.fold import overflows
from lossdsl.checker.infer import Inference
from lossdsl.checker.nodes import Node
from lossdsl.checker.param_values import ParamValues
from lossdsl.checker.reasons import reason_for, reasons
from lossdsl.checker.resolve import Resolver
from lossdsl.checker.suggest import closest
from lossdsl.checker.terms import TermPlan, split_terms
from lossdsl.checker.typed import Entry, Typed, TypedProgram, TypedTerm
from lossdsl.checker.typing import Typing
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.types.shapes import SCALAR
from lossdsl.types.solve import Solver
from lossdsl.types.values import Module, Tensor, Type

ClassCount: TypeAlias = tuple[int, int]
"""How many classes labels are judged against, and the index that is ignored."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a graph is specialised to besides shapes: lengths of open lists, absent inputs."""

    lengths: tuple[tuple[str, int], ...] = ()
    absent: frozenset[str] = frozenset()


@dataclass
class Checked:
    """A program that has a meaning. Keeps what the call-time check needs to run the rules again."""

    program: TypedProgram
    declared: Declarations
    made: list[Node]
    plans: list[TermPlan]
    monitors: dict[str, Node]
    kinds: dict[str, str]
    modules: dict[str, Module | None]
    lists: dict[str, int]
    features: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    bindings: dict[str, Span] = field(default_factory=dict)
    expansions: Expansions = field(default_factory=Expansions)

    def judge_params(self, values: Mapping[str, ParamValue], found: Diagnostics) -> None:
        """Hold new values of params against what is made of them; problems go to `found`."""
        ParamValues(self.made, values, found).judge(_results(self.plans, self.monitors))

    def retype(
        self,
        given: Mapping[str, Type],
        values: Mapping[Any, int],
        returned: Mapping[Span, Type],
        found: Diagnostics,
    ) -> dict[str, ClassCount]:
        """Run the type rules on what came at a call; problems go to `found`. Gives what the
        labels may be, by input."""
        solver = Solver(values=dict(values), _next=1_000_000)
        declared = replace(self.declared, solver=solver)
        typing = Typing(
            declared,
            self.kinds,
            found,
            self.modules,
            given,
            self.features,
            returned=returned,
            expansions=self.expansions,
        )
        typing.run(self.made)
        _typed_terms(self.plans, self.monitors, typing, found)
        return _class_counts(typing)


def _class_counts(typing: Typing) -> dict[str, ClassCount]:
    counts = {}
    for name, size, ignore in typing.label_sizes:
        number = typing.solver.valued(typing.solver.dim(size)).number
        if number is not None:
            counts[name] = (number, ignore)
    return counts


def check_program(
    program: tree.Program,
    found: Diagnostics,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    modules: frozenset[str] = frozenset(),
    bound: bool = False,
    variant: Variant | None = None,
    judge_unused: bool = True,
) -> Checked | None:
    """Check a program. None where there were errors, which then stand in `found`.

    `modules` are the names of networks that may be called; `bound` says that they are all there
    will be.
    """
    variant = variant or Variant()
    declared = read_declarations(program, found, inputs=inputs, params=params)
    resolver = Resolver(declared, found, modules, dict(variant.lengths))
    result, monitors = resolver.program(program)
    plans = split_terms(resolver, result) if result is not None else []
    values = {name: param.value for name, param in declared.params.items()}
    ParamValues(resolver.made, values, found, declared.params).judge(_results(plans, monitors))
    inference = Inference(resolver)
    inference.run()
    signatures = _modules(declared, modules)
    if bound:
        _check_bound(resolver, modules, program, found)
    features = frozenset(inference.features)
    clashed = frozenset(inference.clashed | declared.misread)
    typing = Typing(
        declared,
        inference.kinds,
        found,
        signatures,
        features=features,
        clashed=clashed,
        expansions=resolver.expansions,
    )
    typing.run(resolver.made)
    terms = _typed_terms(plans, monitors, typing, found)
    if result is not None and not found.failed:
        _reads_tensors(terms, result.span, found)
    if judge_unused:
        report_unused([(declared, resolver.used, _bindings(program))], found)
    if found.failed or result is None:
        return None
    entries = _contract(resolver, typing, inference)
    called = tuple(
        dict.fromkeys(n.module for n in resolver.made if isinstance(n, nodes.ModuleCall))
    )
    return Checked(
        TypedProgram(tuple(terms), entries, called),
        declared,
        resolver.made,
        plans,
        monitors,
        inference.kinds,
        signatures,
        resolver.lists,
        features,
        resolver.used,
        bindings=_bindings(program),
        expansions=resolver.expansions,
    )


def _results(plans: list[TermPlan], monitors: Mapping[str, Node]) -> list[Node]:
    return [*(node for plan in plans for node in (plan.raw, plan.weight)), *monitors.values()]


def _check_bound(
    resolver: Resolver, modules: frozenset[str], program: tree.Program, found: Diagnostics
) -> None:
    """Every module that is called was given, and every one given is called."""
    calls = {n.module: n.span for n in resolver.made if isinstance(n, nodes.ModuleCall)}
    for name, span in calls.items():
        if name not in modules:
            found.add(
                "E510",
                f"the module `{name}` was not given",
                span,
                help=f"pass it: `modules={{'{name}': net}}`",
            )
    # A call of something unknown is most likely a call of the one that is left over.
    unknown = any(d.code == "E202" for d in found.items)
    for name in () if unknown else sorted(modules - set(calls)):
        found.add(
            "E510",
            f"the loss does not call the module `{name}`",
            program.span,
            help=closest(name, calls) or "leave it out of `modules=`",
        )


def _modules(declared: Declarations, given: frozenset[str]) -> dict[str, Module | None]:
    modules: dict[str, Module | None] = dict.fromkeys(given)
    for name, entry in declared.inputs.items():
        if isinstance(entry.type, Module):
            modules[name] = entry.type
    return modules


def _typed_terms(
    plans: list[TermPlan], monitors: dict[str, Node], typing: Typing, found: Diagnostics
) -> list[TypedTerm]:
    terms = []
    for plan in plans:
        raw, weight = typing.typed.get(id(plan.raw)), typing.typed.get(id(plan.weight))
        if raw is None or weight is None:
            continue
        if _is_scalar(raw, plan.span, typing, found) and _is_weight(weight, found):
            terms.append(TypedTerm(plan.name, weight, raw, plan.span))
    for name, node in monitors.items():
        raw = typing.typed.get(id(node))
        if raw is not None and _is_scalar(raw, node.span, typing, found):
            weight = Typed("number", (), {"value": 0.0}, raw.type, node.span)
            terms.append(TypedTerm(name, weight, raw, node.span, monitored=True))
    return terms


def _is_weight(weight: Typed, found: Diagnostics) -> bool:
    """A param that is a list is no weight of a term."""
    if isinstance(weight.type, Tensor) and weight.type.shape == SCALAR:
        return True
    found.add(
        "E405",
        f"a weight is one number, and `{weight.span.text}` is {weight.type}",
        weight.span,
        help=f"pick one: `{weight.span.text}[0]`",
    )
    return False


def _is_scalar(raw: Typed, span: Span, typing: Typing, found: Diagnostics) -> bool:
    """A loss is one number. An open shape is left to the call."""
    if not isinstance(raw.type, Tensor):
        found.add("E308", f"a loss is one number, and this is {raw.type}", span)
        return False
    if raw.op == "number" and not isinstance(raw.literals.get("value"), int | float):
        # Beside other terms the sum of them has told.
        if not any(d.code == "E308" and d.span == raw.span for d in found.items):
            found.add("E308", f"a loss is one number, and this is `{span.text}`", span)
        return False
    if overflows(raw.number):
        found.add("E310", f"`{span.text}` is beyond the numbers of float32", span)
        return False
    if raw.type.kind == "complex":
        found.add("E301", "a loss is one number, and this is a spectrum", span, help="take `abs`")
        return False
    if typing.solver.unify_shapes(SCALAR, raw.type.shape) is None:
        return True
    shape = typing.solver.shape(raw.type.shape)
    found.add(
        "E405",
        f"a loss is one number, and this is {raw.type.with_shape(shape)}",
        span,
        help=f"reduce it: `mean({span.text})`" if len(span.text) < 60 else "reduce it: `mean(…)`",
    )
    return False


def _reads_tensors(terms: list[TypedTerm], span: Span, found: Diagnostics) -> None:
    stack = [term.raw for term in terms] + [term.weight for term in terms]
    seen: set[int] = set()
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if value.op == "input":
            return
        if value.op == "size":
            continue
        stack.extend(value.operands)
    found.add(
        "E309", "this loss reads no tensor", span, help="name the tensors that it is a loss of"
    )


def _bindings(program: tree.Program) -> dict[str, Span]:
    return {s.name.id: s.name.span for s in program.statements if isinstance(s, tree.Binding)}


def report_unused(
    bodies: list[tuple[Declarations, set[str], dict[str, Span]]], found: Diagnostics
) -> None:
    """Warn of declarations that no body of the file uses."""
    used = set().union(*(names for _, names, _ in bodies))
    bound = {name: span for _, _, names in bodies for name, span in names.items()}
    for declared, _, _ in bodies[:1]:
        entries = [
            *((n, "input", d.span) for n, d in declared.inputs.items()),
            *((n, "param", p.span) for n, p in declared.params.items()),
            *((n, "function", f.name.span) for n, f in declared.functions.items()),
            *((n, "binding", span) for n, span in bound.items()),
        ]
        for name, what, span in entries:
            if name not in used and name not in declared.brought:
                found.add(
                    "W201",
                    f"nothing uses the {what} `{name}`",
                    span,
                    help="remove it, or use it",
                )


def _contract(resolver: Resolver, typing: Typing, inference: Inference) -> tuple[Entry, ...]:
    """Inputs that the text declares and uses, in its order; then all others as they are used."""
    declared = resolver.declared
    inferred = container_types(resolver, inference.kinds, typing.places)
    types = {
        name: with_lengths(typing.solver, entry.type, name, resolver.fixed_lists)
        for name, entry in declared.inputs.items()
    }
    # Sizes get their names in the order of the inputs' names, so that the order of terms changes
    # nothing but the order of the inputs.
    types |= {name: inferred[name] for name in sorted(inferred)}
    anonymous = written_once(typing.solver, types.values())
    naming = Naming(typing.solver, set(declared.symbols), anonymous)
    named = {name: naming.type(type) for name, type in types.items()}
    written = [name for name, entry in declared.inputs.items() if entry.written]
    asked = reasons(inference)
    entries = []
    for name in dict.fromkeys((*written, *resolver.first_uses)):
        entry = declared.inputs.get(name)
        if name not in named or name not in resolver.first_uses:
            continue
        if entry is None:
            span = resolver.inferred[name]
            because = reason_for(name, asked)
            entries.append(Entry(name, named[name], False, False, span, because))
        elif not isinstance(entry.type, Module):
            entries.append(Entry(name, named[name], True, entry.optional, entry.span))
    return tuple(entries)
