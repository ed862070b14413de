"""Balancers: calls that take terms and give each a weight of its own.

`uncertainty(a, b)` stands for `exp(-s1)*a + exp(-s2)*b + (s1 + s2)` with two learnable weights, so
that all that is known of sums holds for it: the terms are logged one by one with their weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossdsl.checker import nodes
from lossdsl.checker.declarations import Param, literal, replace_learnable
from lossdsl.checker.nodes import Node
from lossdsl.checker.suggest import closest
from lossdsl.checker.terms import called
from lossdsl.functions.numbers import is_number
from lossdsl.syntax import tree

if TYPE_CHECKING:
    from lossdsl.checker.resolve import Resolver


def balanced(resolver: Resolver, node: tree.Call) -> Node:
    """Terms weighted by their learnt homoscedastic uncertainty (Kendall, Gal, Cipolla 2018).

    `s` is the logarithm of a term's variance; `init` is where it begins and `min` how low it may
    fall, which bounds the weight from above.
    """
    balancer = node.callee.id
    init, low = _keywords(resolver, node)
    if len(node.arguments) < 2:
        resolver.refuse(
            "E204",
            f"`{balancer}` weighs terms against each other, and there is "
            f"{'one' if node.arguments else 'none'}",
            node.span,
            help=f"write `{balancer}(ce(p, y), mse(d, z))`",
        )
    terms = resolver.all(node.arguments)
    parts: list[Node] = []
    scales: list[Node] = []
    for term, argument in zip(terms, node.arguments, strict=True):
        name = _param(resolver, called(term) or f"term{len(scales) + 1}", init, low, node)
        scale = resolver.make(nodes.ParamRef(name, argument.span))
        scales.append(scale)
        falling = resolver.apply("neg", (scale,), argument.span)
        weight = resolver.apply("exp", (falling,), argument.span)
        parts.append(resolver.apply("*", (weight, term), argument.span))
    signs = ("+",) * len(scales)
    rest = resolver.make(nodes.Total(tuple(scales), signs, node.span))
    span = node.callee.span
    parts.append(resolver.make(nodes.Label(rest, balancer, "call", node.span, span)))
    return resolver.make(nodes.Total(tuple(parts), (*signs, "+"), node.span))


def _keywords(resolver: Resolver, node: tree.Call) -> tuple[float, float | None]:
    balancer = node.callee.id
    found: dict[str, float] = {}
    for keyword in node.keywords:
        key, value = keyword.name.id, literal(keyword.value)
        if key not in ("init", "min"):
            resolver.refuse(
                "E205",
                f"`{balancer}` has no parameter `{key}`",
                keyword.name.span,
                help=closest(key, ("init", "min")) or "its parameters are `init` and `min`",
            )
        if not isinstance(value, int | float) or not is_number(value):
            resolver.refuse("E206", f"`{key}` is a number", keyword.value.span)
        found[key] = float(value)
    init, low = found.get("init", 0.0), found.get("min")
    if low is not None and init < low:
        resolver.refuse(
            "E206", f"`init` is {init:g}, below `min`", node.span, help="begin above the floor"
        )
    return init, low


def _param(resolver: Resolver, term: str, init: float, low: float | None, node: tree.Call) -> str:
    """Declare the learnable of one term. The caller may have given where it begins."""
    params = resolver.declared.params
    # Of `monai.DiceLoss` the last word: the weight is an attribute of a module.
    plain = name = f"{node.callee.id}_{term.rpartition('.')[2]}"
    number = 2
    while name in params and params[name].role == "learnable":
        name, number = f"{plain}_{number}", number + 1
    given = params.get(name)
    params[name] = Param(name, "learnable", init, node.callee.span, low)
    resolver.used.add(name)
    if given is None:
        return name
    if isinstance(given.value, bool) or not isinstance(given.value, int | float):
        resolver.refuse("E504", f"`{name}` begins with a number", given.span)
    if given.span.source is node.span.source:
        resolver.refuse(
            "E203",
            f"`{name}` is a weight that `{node.callee.id}` makes itself",
            given.span,
            labels=[(node.callee.span, "here")],
            help="choose another name, or give it where the loss is compiled: `params={…}`",
        )
    replace_learnable(resolver.declared, params[name], given.value, given.span, resolver.found)
    return name
