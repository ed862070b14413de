"""Calls of bound networks: their arguments, and what they give."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from lossdsl.checker import nodes
from lossdsl.checker.typed import Typed, unwrapped
from lossdsl.functions.op import Op
from lossdsl.types.kinds import CONVERTED, fit
from lossdsl.types.renew import renewed
from lossdsl.types.values import Tensor, Type

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


def module_call(typing: Typing, node: nodes.ModuleCall) -> Typed:
    declared = typing.modules.get(node.module)
    arguments = tuple(unwrapped(typing.of(argument)) for argument in node.arguments)
    result: Type = Tensor("real", typing.solver.any_shape())
    if declared is not None:
        # A `_` in its type is another size at each call.
        declared = renewed(typing.solver, declared)
        if len(arguments) != len(declared.arguments):
            typing.refuse(
                "E204",
                f"`{node.module}` takes {len(declared.arguments)} arguments, not {len(arguments)}",
                node.span,
            )
        for argument, wanted in zip(arguments, declared.arguments, strict=True):
            _check_module_argument(typing, node, argument, wanted)
        result = declared.result
    result = _returned(typing, node, result)
    frozen = declared is not None and declared.frozen
    op = Op(node.module, torch.nn.Module.__call__, "module", pure=frozen)
    typed = Typed(op, arguments, {}, result, node.span)
    return typing.entered(typed)


def _returned(typing: Typing, node: nodes.ModuleCall, result: Type) -> Type:
    """At a call: what the network really returns, held against what was declared."""
    came = typing.returned.get(node.span)
    if came is None:
        return result
    fits = type(came) is type(result)
    if isinstance(came, Tensor) and isinstance(result, Tensor):
        fits = typing.solver.unify_shapes(result.shape, came.shape) is None
        came = dataclasses.replace(result, shape=came.shape)
    if not fits:
        shown = came.shape if isinstance(came, Tensor) else came
        typing.refuse(
            "E402",
            f"`{node.module}` is declared to return {result}, and {shown} came",
            node.span,
            help="change the declaration, or take the part that is meant",
        )
    return came


def _check_module_argument(
    typing: Typing, node: nodes.ModuleCall, given: Typed, wanted: Type
) -> None:
    if not isinstance(given.type, Tensor) or not isinstance(wanted, Tensor):
        if type(given.type) is not type(wanted):
            typing.refuse(
                "E308",
                f"`{node.module}` takes {wanted}, and `{given.span.text}` is {given.type}",
                given.span,
            )
        return
    mismatch = typing.solver.unify_shapes(wanted.shape, given.type.shape)
    if mismatch is not None:
        typing.refuse(
            "E401" if mismatch.what == "size" else "E402",
            f"`{node.module}` takes {wanted}, and `{given.span.text}` is {given.type}",
            given.span,
        )
    kind, text = given.type.kind, given.span.text
    entered = fit(kind, (wanted.kind,))
    if entered is None or entered[0] == CONVERTED:
        typing.refuse(
            "E301",
            f"`{node.module}` takes `{wanted.kind}`, and `{text}` is `{kind}`",
            given.span,
            help=f"say that it is: `{wanted.kind}({text})`",
        )
