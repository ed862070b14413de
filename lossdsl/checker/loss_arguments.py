"""A loss call's arguments: which are tensors, which parameters, which belong to the compiler."""

from __future__ import annotations

from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.argument_hints import as_keyword, weights_of_channels, word
from lossdsl.checker.critics import critic_arguments
from lossdsl.checker.nodes import Node
from lossdsl.checker.resolve import Resolver
from lossdsl.checker.suggest import closest
from lossdsl.checker.wording import count, listed
from lossdsl.functions.numbers import is_number
from lossdsl.library.record import LossRecord, Parameter
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.types.signature import read_signature

KEYWORDS = ("reduction", "weight", "mask", "ignore_index", "class_weight", "per")
"""Keywords that every loss call takes; the compiler acts on them."""

_FLAGS = frozenset(
    {"from_logits", "with_logits", "apply_sigmoid", "apply_softmax", "sigmoid", "softmax", "logits"}
)
_FLAG = "no flag is needed: the kind says what comes, `logits` or `prob`, and the loss converts it"

REDUCTIONS = ("mean", "sum", "none", "batch", "batchmean")


def loss_call(resolver: Resolver, record: LossRecord, node: tree.Call) -> Node:
    """Resolve a call of a primitive."""
    _known_keywords(resolver, record, node)
    arguments = critic_arguments(resolver, record, node) or _loss_arguments(resolver, record, node)
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
            _quoted_choice(resolver, parameter, keyword)
            value = resolver.expression(keyword.value)
            parameters[key] = _parameter(resolver, record, parameter, value, keyword)
        else:
            value = _keyword(resolver, record, node, keyword)
            if value is not None:
                keywords[key] = value
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


def _known_keywords(resolver: Resolver, record: LossRecord, node: tree.Call) -> None:
    """Refuse keywords that there are not, before anything is missed that they stand for."""
    known = [*(p.name for p in record.parameters), *KEYWORDS, *record.inputs]
    own = ", ".join(p.name for p in record.parameters)
    for keyword in node.keywords:
        key = keyword.name.id
        if key not in known:
            resolver.refuse(
                "E205",
                f"`{node.callee.id}` has no parameter `{key}`",
                keyword.name.span,
                help=_FLAG
                if key in _FLAGS
                else closest(key, known)
                or (f"its parameters are {own}" if own else "it has no parameters of its own"),
            )


def _loss_arguments(
    resolver: Resolver, record: LossRecord, node: tree.Call
) -> tuple[Node | None, ...]:
    slots = read_signature(record.overloads[0].signature).slots
    names = record.inputs
    if len(node.arguments) > len(names):
        extra = node.arguments[len(names)]
        resolver.refuse(
            "E204",
            f"`{node.callee.id}` takes {count(len(names))} ({', '.join(names)}), "
            f"not {len(node.arguments)}",
            extra.span,
            help=as_keyword(resolver, record, extra),
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
    value = nodes.unlabelled(value)
    if not isinstance(value, nodes.Constant):
        if parameter.may_be_tensor:
            return value
        resolver.refuse(
            "E209",
            f"`{name}` must be known before the call",
            span,
            help="write the number itself: a param can change at run time"
            if isinstance(value, nodes.ParamRef)
            else "write a literal, or a param that is a text or a truth value",
        )
    literal = value.value
    wanted = _accepts(record, parameter, literal)
    if wanted is not None:
        advice = word(keyword.value, parameter.choices)
        resolver.refuse("E206", f"`{name}` is {wanted}, not `{span.text}`", span, help=advice)
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
    return int(literal) if parameter.kind == "integer" and literal is not None else literal


def _quoted_choice(resolver: Resolver, parameter: Parameter, keyword: tree.Keyword) -> None:
    """A choice is a text: without quotes it would be an input."""
    node = keyword.value
    bare = isinstance(node, tree.Name) and node.id not in resolver.declared.params
    advice = word(node, parameter.choices) if bare and parameter.kind == "choice" else None
    if advice is not None:
        choices = " or ".join(map(repr, parameter.choices))
        message = f"`{parameter.name}` is one of {choices}, not `{node.span.text}`"
        resolver.refuse("E206", message, node.span, help=advice)


def _reduction(resolver: Resolver, keyword: tree.Keyword) -> str:
    node = keyword.value
    advice = word(node, REDUCTIONS)
    named = isinstance(node, tree.Name) and node.id not in resolver.declared.params
    value = None if named and advice else nodes.unlabelled(resolver.expression(node))
    if isinstance(value, nodes.Constant) and value.value in REDUCTIONS:
        return str(value.value)
    resolver.refuse(
        "E206",
        f"there is no reduction `{node.span.text}`",
        node.span,
        help=advice or f"the reductions are {', '.join(map(repr, REDUCTIONS))}",
    )


def _accepts(record: LossRecord, parameter: Parameter, literal: Any) -> str | None:
    """What the parameter takes, where it does not take this literal."""
    if literal is None:
        return None if parameter.optional else "not optional: give it a value"
    match parameter.kind:
        case "number" | "literal":
            several = isinstance(literal, tuple) and takes_lists(record, parameter, literal)
            return None if is_number(literal) or several else "a number"
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


def takes_lists(record: LossRecord, parameter: Parameter, literal: tuple[float, ...]) -> bool:
    """Whether a form of the loss is there for lists alone (`quantile(p, y, q=[0.1, 0.9])`)."""
    given = {p.name: p.default for p in record.parameters}
    one, several = {**given, parameter.name: 0.0}, {**given, parameter.name: literal}
    conditions = [form.when for form in record.overloads if form.when is not None]
    return any(when(several) and not when(one) for when in conditions)


def _keyword(resolver: Resolver, record: LossRecord, call: tree.Call, keyword: tree.Keyword) -> Any:
    """The value of one of the compiler's keywords; None where the text says `none`, as if it were
    not written."""
    key, span = keyword.name.id, keyword.value.span
    if key == "reduction":
        return _reduction(resolver, keyword)
    value = resolver.expression(keyword.value)
    inner = nodes.unlabelled(value)
    literal = inner.value if isinstance(inner, nodes.Constant) else None
    if isinstance(inner, nodes.Constant) and literal is None:
        return None
    if key == "mask" and record.mask == "none":
        resolver.refuse(
            "E212", f"`{record.name}` has one value a batch: nothing can be masked", span
        )
    if key == "class_weight" and record.class_weight == "none":
        resolver.refuse(
            "E212", f"`{record.name}` has no classes to weight", span, help="use `weight=`"
        )
    if key == "ignore_index":
        if not isinstance(literal, int) or isinstance(literal, bool):
            resolver.refuse("E209", "`ignore_index` is a whole number", span)
        return literal
    if isinstance(literal, tuple):
        if key != "class_weight":
            resolver.refuse(
                "E209",
                f"`{key}` is a tensor or a number, not a list",
                span,
                help=weights_of_channels(resolver, call, keyword.value)
                if key == "weight"
                else None,
            )
        return literal
    if key == "mask" and is_number(literal) and literal not in (0, 1):
        resolver.refuse("E206", f"`mask` takes 0/1 values, not `{span.text}`", span)
    if isinstance(inner, nodes.Constant) and not is_number(literal):
        resolver.refuse("E209", f"`{key}` is a tensor or a number, not `{span.text}`", span)
    return value
