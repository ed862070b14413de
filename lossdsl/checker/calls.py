"""What a call calls: a function of the user, a loss, a function, a kind or a bound module."""

from __future__ import annotations

from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.balancers import balanced
from lossdsl.checker.declarations import literal
from lossdsl.checker.fold import overflows
from lossdsl.checker.loss_arguments import loss_call
from lossdsl.checker.nodes import Node
from lossdsl.checker.resolve import Resolver, Unresolved
from lossdsl.checker.suggest import closest
from lossdsl.checker.unknown_calls import refuse_call
from lossdsl.checker.unroll import comprehension
from lossdsl.checker.wording import count, listed
from lossdsl.diagnostics.diagnostic import Advice
from lossdsl.functions import record as functions
from lossdsl.functions.axes import product
from lossdsl.functions.balancers import BALANCERS
from lossdsl.functions.numbers import is_whole
from lossdsl.functions.record import FunctionRecord
from lossdsl.library import registry
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.types.declared import TypeReader
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.kinds import KINDS
from lossdsl.types.values import Tensor


def call(resolver: Resolver, node: tree.Call) -> Node:
    """Resolve a call by the callee's name."""
    name = node.callee.id
    _named_last(resolver, node)
    if node.arguments and isinstance(node.arguments[0], tree.Comprehension):
        return comprehension(resolver, node)
    if name in resolver.unread:
        raise Unresolved
    if resolver.local is not None and name in resolver.local:
        network = resolver.network(name)
        if network is not None:
            return _module(resolver, network, node)
    if name in resolver.declared.functions:
        resolver.used.add(name)
        return _user_function(resolver, resolver.declared.functions[name], node)
    if name in BALANCERS:
        return balanced(resolver, node)
    record = registry.find(name)
    if record is not None:
        return loss_call(resolver, record, node)
    function = functions.find(name)
    if function is not None and name.isidentifier():
        return _function(resolver, function, node)
    if name in KINDS:
        return _cast(resolver, name, node)
    network = resolver.network(name)
    if network is not None:
        return _module(resolver, network, node)
    refuse_call(resolver, node)


def _named_last(resolver: Resolver, node: tree.Call) -> None:
    """`where(y = 1, x, 0)` is most likely a comparison."""
    first = node.keywords[0] if node.keywords else None
    for argument in node.arguments:
        if first is not None and argument.span.start > first.span.start:
            resolver.refuse(
                "E204",
                "arguments without a name stand in front of those with one",
                argument.span,
                labels=[(first.span, "this has a name")],
                help=f"move it to the front; to compare write "
                f"`{first.name.id} == {first.value.span.text}`",
            )


# --- functions of the user --------------------------------------------------------------------


def _user_function(resolver: Resolver, function: tree.Function, node: tree.Call) -> Node:
    name = function.name.id
    if name in resolver.calls:
        resolver.refuse(
            "E207",
            f"the function `{name}` calls itself",
            node.callee.span,
            labels=[(function.name.span, "defined here")],
            help="a loss is finite: write the cases out",
        )
    values = _bind(resolver, function, node)
    outer, start = resolver.local, len(resolver.made)
    resolver.local, resolver.calls = values, [*resolver.calls, name]
    try:
        for parameter in function.parameters:
            if parameter.name.id not in values:
                assert parameter.default is not None
                values[parameter.name.id] = resolver.expression(parameter.default)
        body = resolver.expression(function.body)
    finally:
        resolver.local, resolver.calls = outer, resolver.calls[:-1]
    if not resolver.calls and function.span.source is not node.span.source:
        resolver.expansions.add(name, node.span, start, len(resolver.made))
    return resolver.make(nodes.Label(body, name, "call", node.span, node.callee.span))


def _bind(resolver: Resolver, function: tree.Function, node: tree.Call) -> dict[str, Node]:
    names = [parameter.name.id for parameter in function.parameters]
    where = [(function.span, "defined here")]
    if len(node.arguments) > len(names):
        resolver.refuse(
            "E204",
            f"`{function.name.id}` takes {len(names)} arguments, not {len(node.arguments)}",
            node.arguments[len(names)].span,
            labels=where,
        )
    values = {
        name: resolver.expression(argument)
        for name, argument in zip(names, node.arguments, strict=False)
    }
    for keyword in node.keywords:
        key = keyword.name.id
        if key not in names:
            resolver.refuse(
                "E205",
                f"`{function.name.id}` has no parameter `{key}`",
                keyword.name.span,
                labels=where,
                help=closest(key, names, own=True),
            )
        if key in values:
            resolver.refuse("E204", f"`{key}` is given twice", keyword.name.span)
        values[key] = resolver.expression(keyword.value)
    missing = [
        p.name.id for p in function.parameters if p.default is None and p.name.id not in values
    ]
    if missing:
        resolver.refuse(
            "E204",
            f"`{function.name.id}` misses {listed(missing)}",
            node.span,
            labels=where,
        )
    return values


# --- functions, kinds, modules ----------------------------------------------------------------


def _function(resolver: Resolver, function: FunctionRecord, node: tree.Call) -> Node:
    names = list(function.signature.parameters)
    operand_names = [n for n in names if n not in function.literals]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in function.signature.parameters.values())
    # `max(a, b)` must not read `b` as an axis: what reductions take besides values is named.
    named_only = variadic or function.family == "reductions"
    ordered = operand_names if named_only else names
    operands: dict[str, Node] = {}
    literals: dict[str, Any] = {}
    places: dict[str, Span] = {}
    given: list[tuple[str, tree.Expression, Span]] = []
    if len(node.arguments) > len(ordered) and not variadic:
        _too_many(resolver, function, node, ordered)
    for index, argument in enumerate(node.arguments):
        key = f"{index}" if variadic else ordered[index]
        if key == "where" and function.family == "reductions":
            _no_axis(resolver, argument)
        given.append((key, argument, argument.span))
    for keyword in node.keywords:
        if keyword.name.id not in names or (variadic and keyword.name.id in operand_names):
            resolver.refuse(
                "E205",
                f"`{function.name}` has no parameter `{keyword.name.id}`",
                keyword.name.span,
                help=closest(keyword.name.id, names),
            )
        given.append((keyword.name.id, keyword.value, keyword.name.span))
    for key, expression, span in given:
        if key in places:
            resolver.refuse("E204", f"`{key}` is given twice", span)
        places[key] = expression.span
        if key in function.literals:
            literals[key] = _literal(resolver, function, key, expression)
            if key == "classes" and isinstance(literals[key], Dim):
                # The rule knows the size by name, the function reads it off a tensor.
                operands[key] = resolver.expression(expression)
        else:
            operands[key] = resolver.expression(expression)
    required = [
        n
        for n, p in function.signature.parameters.items()
        if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and n not in places
    ]
    if required or (variadic and not operands):
        resolver.refuse(
            "E204", f"`{function.name}` misses {listed(required or operand_names)}", node.span
        )
    ordered_keys = [k for k in (*operand_names, *operands) if k in operands]
    keys = list(dict.fromkeys(ordered_keys))
    keywords = tuple(_passed_by_name(operand_names, keys, index) for index in range(len(keys)))
    return resolver.apply(
        function.name, tuple(operands[k] for k in keys), node.span, literals, places, keywords
    )


def _no_axis(resolver: Resolver, argument: tree.Expression) -> None:
    """`mean(x, 1)`: elsewhere the axis stands second, here it is named."""
    axes = literal(argument)
    if isinstance(axes, int | tuple) and not isinstance(axes, bool):
        axis = f"over={argument.span.text}"
        resolver.refuse(
            "E301",
            "`where` takes a mask, and this is a literal",
            argument.span,
            help=Advice(f"an axis is named: `{axis}`", axis),
        )


def _passed_by_name(names: list[str], given: list[str], index: int) -> str | None:
    """The keyword an operand must be passed by, where an earlier optional one is absent."""
    key = given[index]
    return key if key in names and names.index(key) != index else None


def _too_many(
    resolver: Resolver, function: FunctionRecord, node: tree.Call, names: list[str]
) -> None:
    pair = {"max": "maximum", "min": "minimum"}.get(function.name)
    resolver.refuse(
        "E204",
        f"`{function.name}` takes {count(len(names))} ({', '.join(names)})",
        node.arguments[len(names)].span,
        help=f"for two tensors there is `{pair}`" if pair else None,
    )


def _literal(
    resolver: Resolver, function: FunctionRecord, key: str, expression: tree.Expression
) -> Any:
    """A literal argument: plain values; where an axis is meant, symbols too."""
    if isinstance(expression, tree.ListOf):
        single = function.wanted(key)
        if single is not None and key != "over":
            resolver.refuse(
                "E206",
                f"`{key}` of `{function.name}` is {WANTED[single]}, not a list",
                expression.span,
            )
        return tuple(_literal(resolver, function, key, item) for item in expression.items)
    if isinstance(expression, tree.Name) and key in ("over", "classes", "shape", "axes"):
        if expression.id in resolver.declared.symbols:
            return Dim.of(Symbol(expression.id))
        resolver.refuse(
            "E408",
            f"`{expression.id}` is not a dimension symbol of this loss",
            expression.span,
            help=closest(expression.id, resolver.declared.symbols, own=True)
            or "name the axis in an input's type, or give its number",
        )
    if key == "shape" and isinstance(expression, tree.Product):
        sizes = [_literal(resolver, function, key, operand) for operand in expression.operands]
        sized = all(isinstance(size, Dim) or is_whole(size) for size in sizes)
        if sized and set(expression.operators) == {"*"}:
            return product([size if isinstance(size, Dim) else Dim.of(size) for size in sizes])
    value = nodes.unlabelled(resolver.expression(expression))
    if isinstance(value, nodes.Constant):
        wanted = function.wanted(key)
        if wanted is not None and not fits_literal(value.value, wanted):
            resolver.refuse(
                "E206",
                f"`{key}` of `{function.name}` is {WANTED[wanted]}, not `{expression.span.text}`",
                expression.span,
            )
        if overflows(value.value):
            resolver.refuse(
                "E310",
                f"`{expression.span.text}` is beyond the numbers of float32",
                expression.span,
            )
        return value.value
    resolver.refuse(
        "E209",
        f"`{key}` of `{function.name}` must be known before the call",
        expression.span,
        help="write the number itself: a param can change at run time"
        if isinstance(value, nodes.ParamRef)
        else None,
    )


WANTED: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def fits_literal(value: Any, wanted: type) -> bool:
    """Whether a literal may stand for a parameter annotated as `bool`, `int` or `float`."""
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    return isinstance(value, int) or (wanted is float and isinstance(value, float))


def _cast(resolver: Resolver, kind: str, node: tree.Call) -> Node:
    """`logits(x)`: read the value as that kind. Further arguments are those of the type."""
    if not node.arguments:
        resolver.refuse("E204", f"`{kind}(x)` takes a value", node.span)
    value = resolver.expression(node.arguments[0])
    if not KINDS[kind].tensor:
        resolver.refuse("E308", f"`{kind}` is not a kind of tensors", node.callee.span)
    arguments = []
    named = ((keyword.name, keyword.value) for keyword in node.keywords)
    for name, extra in (*((None, argument) for argument in node.arguments[1:]), *named):
        literal = resolver.expression(extra) if not isinstance(extra, tree.Name) else None
        text = (
            extra.id
            if isinstance(extra, tree.Name)
            else literal.value
            if isinstance(literal, nodes.Constant)
            else None
        )
        if not isinstance(text, str | int | float):
            resolver.refuse("E209", "what a kind takes in brackets is literal", extra.span)
        arguments.append(tree.KindArgument(name, text, extra.span))
    reader = TypeReader(resolver.declared.solver, resolver.found)
    written = tree.KindType((node.callee,), tuple(arguments), None, node.span)
    plain = reader.tensor(written)
    assert isinstance(plain, Tensor)
    axis = arguments[0].value if arguments and plain.kind.startswith("class_") else None
    explicit = int(axis) if isinstance(axis, float) else axis
    return resolver.make(nodes.Cast(plain, value, node.span, explicit))


def _module(resolver: Resolver, name: str, node: tree.Call) -> Node:
    if node.keywords:
        resolver.refuse(
            "E205", "a module is called with values by position", node.keywords[0].name.span
        )
    resolver.used.add(name)
    arguments = tuple(resolver.expression(argument) for argument in node.arguments)
    return resolver.make(nodes.ModuleCall(name, arguments, node.span))
