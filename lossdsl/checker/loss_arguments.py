"""A loss call's arguments: which are tensors, which parameters, which belong to the compiler."""

from __future__ import annotations

from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node
from lossdsl.checker.resolve import Resolver, is_number
from lossdsl.checker.suggest import closest
from lossdsl.checker.wording import count, listed
from lossdsl.library.record import LossRecord, Parameter
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.types.signature import read_signature

KEYWORDS = ("reduction", "weight", "mask", "ignore_index", "class_weight", "per")
"""Keywords that every loss call takes; the compiler acts on them."""

REDUCTIONS = ("mean", "sum", "none", "batch", "batchmean")


def loss_call(resolver: Resolver, record: LossRecord, node: tree.Call) -> Node:
    """Resolve a call of a primitive."""
    arguments = _loss_arguments(resolver, record, node)
    parameters: dict[str, Any] = {}
    keywords: dict[str, Any] = {}
    places: dict[str, Span] = {}
    for keyword in node.keywords:
        key = keyword.name.id
        if key in record.inputs:
            continue
        if key in places:
            resolver.refuse("E204", f"`{key}` is given twice", keyword.name.span)
        places[key] = keyword.value.span
        parameter = record.parameter(key)
        if parameter is not None:
            value = resolver.expression(keyword.value)
            parameters[key] = _parameter(resolver, record, parameter, value, keyword)
        elif key in KEYWORDS:
            keywords[key] = _keyword(resolver, record, keyword)
        else:
            known = [*(p.name for p in record.parameters), *KEYWORDS, *record.inputs]
            own = ", ".join(p.name for p in record.parameters)
            resolver.refuse(
                "E205",
                f"`{node.callee.id}` has no parameter `{key}`",
                keyword.name.span,
                help=closest(key, known)
                or (f"its parameters are {own}" if own else "it has no parameters of its own"),
            )
    missing = [p.name for p in record.parameters if p.required and p.name not in parameters]
    if missing:
        resolver.refuse(
            "E204",
            f"`{node.callee.id}` needs {listed(missing)}",
            node.span,
            help=f"add `{missing[0]}=…`",
        )
    return resolver.make(
        nodes.LossCall(
            record,
            node.callee.id,
            arguments,
            parameters,
            keywords,
            node.span,
            node.callee.span,
            places,
        )
    )


def _loss_arguments(
    resolver: Resolver, record: LossRecord, node: tree.Call
) -> tuple[Node | None, ...]:
    slots = read_signature(record.overloads[0].signature).slots
    names = record.inputs
    if len(node.arguments) > len(names):
        extra = node.arguments[len(names)]
        rest = [p.name for p in record.parameters]
        resolver.refuse(
            "E204",
            f"`{node.callee.id}` takes {count(len(names))} ({', '.join(names)}), "
            f"not {len(node.arguments)}",
            extra.span,
            help=f"parameters are named: `{rest[0]}={extra.span.text}`" if rest else None,
        )
    given = dict(zip(names, resolver.all(node.arguments), strict=False))
    for keyword in node.keywords:
        key = keyword.name.id
        if key in names:
            if key in given:
                resolver.refuse("E204", f"`{key}` is given twice", keyword.name.span)
            given[key] = resolver.expression(keyword.value)
    missing = [
        name
        for name, slot in zip(names, slots, strict=True)
        if name not in given and not slot.optional
    ]
    if missing:
        resolver.refuse(
            "E204",
            f"`{node.callee.id}` takes {count(len(names))} ({', '.join(names)}); "
            f"{listed(missing)} is missing"
            if len(missing) == 1
            else f"`{node.callee.id}` takes {count(len(names))} ({', '.join(names)}); "
            f"{listed(missing)} are missing",
            node.span,
        )
    return tuple(given.get(name) for name in names)


def _parameter(
    resolver: Resolver,
    record: LossRecord,
    parameter: Parameter,
    value: Node,
    keyword: tree.Keyword,
) -> Any:
    """A parameter's value: a literal in its range, or a node where it may move."""
    span = keyword.value.span
    name = keyword.name.id
    if isinstance(value, nodes.Label):
        value = value.value
    if not isinstance(value, nodes.Constant):
        if parameter.may_be_tensor:
            return value
        resolver.refuse(
            "E209",
            f"`{name}` must be known before the call",
            span,
            help="write a literal, or a param that is a text or a truth value",
        )
    literal = value.value
    wanted = _accepts(parameter, literal)
    if wanted is not None:
        resolver.refuse("E206", f"`{name}` is {wanted}, not `{span.text}`", span)
    numbers = literal if isinstance(literal, tuple) else (literal,)
    for number in numbers:
        outside = is_number(number) and parameter.range is not None
        if outside and parameter.range is not None and number not in parameter.range:
            resolver.refuse(
                "E206",
                f"`{name}` of `{record.name}` lies in {parameter.range}, and this is {number:g}",
                span,
            )
    if parameter.kind == "vector" and is_number(literal):
        return (literal,)
    return literal


def _accepts(parameter: Parameter, literal: Any) -> str | None:
    """What the parameter takes, where it does not take this literal."""
    if literal is None:
        return None if parameter.optional else "not optional: give it a value"
    match parameter.kind:
        case "number" | "literal":
            # A list is accepted where an overload takes several values (`quantile(q=[…])`).
            fine = is_number(literal) or isinstance(literal, tuple)
            return None if fine else "a number"
        case "integer":
            whole = is_number(literal) and literal == int(literal)
            return None if whole else "a whole number"
        case "flag":
            return None if isinstance(literal, bool) else "true or false"
        case "choice":
            choices = " or ".join(repr(choice) for choice in parameter.choices)
            return None if literal in parameter.choices else f"one of {choices}"
        case "vector":
            fine = isinstance(literal, tuple) or is_number(literal)
            return None if fine else "a list of numbers"


def _keyword(resolver: Resolver, record: LossRecord, keyword: tree.Keyword) -> Any:
    key, span = keyword.name.id, keyword.value.span
    value = resolver.expression(keyword.value)
    literal = value.value if isinstance(value, nodes.Constant) else None
    if key == "mask" and record.mask == "none":
        resolver.refuse(
            "E212", f"`{record.name}` has one value a batch: nothing can be masked", span
        )
    if key == "class_weight" and record.class_weight == "none":
        resolver.refuse(
            "E212", f"`{record.name}` has no classes to weight", span, help="use `weight=`"
        )
    if key == "reduction":
        if literal not in REDUCTIONS:
            resolver.refuse(
                "E206",
                f"there is no reduction `{span.text}`",
                span,
                help=closest(str(literal), REDUCTIONS)
                or f"the reductions are {', '.join(map(repr, REDUCTIONS))}",
            )
        return literal
    if key == "ignore_index":
        if not isinstance(literal, int) or isinstance(literal, bool):
            resolver.refuse("E209", "`ignore_index` is a whole number", span)
        return literal
    if isinstance(literal, tuple):
        if key != "class_weight":
            resolver.refuse("E209", f"`{key}` is a tensor or a number, not a list", span)
        return literal
    if isinstance(value, nodes.Constant) and not is_number(literal):
        resolver.refuse("E209", f"`{key}` is a tensor or a number, not `{span.text}`", span)
    return value
