"""Whether two values that a loss compares can mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossdsl.checker.typed import Typed
from lossdsl.types.values import Tensor

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


@dataclass(frozen=True, slots=True)
class _Clash:
    """Kinds that are never equal, though both are numbers."""

    kinds: frozenset[str]
    others: frozenset[str]
    why: str
    help: str

    def between(self, one: str, other: str) -> bool:
        return (one in self.kinds and other in self.others) or (
            other in self.kinds and one in self.others
        )


_UNIT = frozenset({"prob", "class_prob", "mask", "one_hot"})

_CLASHES = (
    _Clash(
        frozenset({"logits", "class_logits", "score"}),
        _UNIT,
        "scores against values in [0, 1]",
        "apply the activation first, or use a loss of scores (`bce`, `ce`)",
    ),
    _Clash(
        frozenset({"log_prob", "class_log_prob"}),
        _UNIT,
        "logarithms against values in [0, 1]",
        "take `exp` of the logarithms first",
    ),
)


def compare(typing: Typing, name: str, first: Typed, second: Typed) -> None:
    """Plain losses of values take any kind, but two that cannot mean the same are told."""
    one, other = first.tensor, second.tensor
    clash = next((clash for clash in _CLASHES if clash.between(one.kind, other.kind)), None)
    if clash is not None:
        typing.found.add(
            "W301",
            f"`{name}` compares `{one.kind}` with `{other.kind}`: {clash.why}",
            second.span,
            labels=[(first.span, f"this is `{one.kind}`")],
            help=clash.help,
        )
    forms = {(value.kind, value.format, value.range) for value in (one, other)}
    if one.kind == other.kind and one.kind in ("boxes", "image") and len(forms) > 1:
        typing.refuse(
            "E307",
            f"`{name}` compares {stated(one)} with {stated(other)}",
            second.span,
            labels=[(first.span, f"this is {stated(one)}")],
            help="bring them to one format or range where they are made",
        )


def stated(type: Tensor) -> str:
    """The format or range of boxes or an image, also where a declaration need not say it."""
    if type.kind == "boxes":
        return f"boxes({type.format})"
    return f"image({type.range[0]:g}, {type.range[1]:g})"
