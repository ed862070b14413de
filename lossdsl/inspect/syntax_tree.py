"""The syntax tree as text: what the parser read, before anything has a meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from lossdsl.inspect.outline import branches, columns, excerpt
from lossdsl.syntax import tree


def syntax_text(program: tree.Program) -> str:
    """The tree of a program, a node a line, each with its place and its text."""
    return columns(
        (guide + _title(node), *_place(node)) for guide, node in branches(program, _below)
    )


def _below(node: Any) -> Sequence[Any]:
    match node:
        case tree.Program():
            written = node.span.source
            # What `compile` was given as arguments is no part of the text.
            options = (o for o in node.options if o.span.source is written)
            return (*node.statements, node.result, *options)
        case tree.Param(_, value) | tree.Binding(_, value) | tree.Term(_, value):
            return (value,)
        case tree.Option(_, value) | tree.Keyword(_, value):
            return (value,)
        case tree.Function(_, parameters, body):
            return (*parameters, body)
        case tree.FunctionParameter(_, default):
            return () if default is None else (default,)
        case tree.Call(_, arguments, keywords):
            return (*arguments, *keywords)
    return tuple(tree.children(node))


def _title(node: Any) -> str:
    """The node's class, and what it holds besides other nodes: `Call bce`, `Sum + -`."""
    words = [type(node).__name__]
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        match field.name:
            case "id" | "operator":
                words.append(value)
            case "callee" | "name" if isinstance(value, tree.Name):
                words.append(value.id)
            case "value" if isinstance(value, bool | int | float):
                words.append(str(value).lower())
            case "value" if isinstance(value, str):
                words.append(repr(value))
            case "signs" | "operators":
                words += value
            case "targets":
                words += [target.id for target in value]
            case "optional" | "monitored" if value:
                words.append(field.name)
    return " ".join(words)


def _place(node: Any) -> tuple[str, str]:
    if isinstance(node, tree.Program):
        return "", ""
    return f"{node.span.line}:{node.span.column}", excerpt(node.span.text)
