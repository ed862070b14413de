"""What numbers mean: the kinds, which is a special case of which, and which turn into which.

One table. A kind says more than a dtype: it keeps a probability out of a slot for logits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table.

    `parents` are the kinds whose slots take this one unchanged; `conversions` maps kinds that
    the compiler may turn this one into to the function that does it. `integer` kinds hold class
    indices or counts. `number` says which numbers may stand for a tensor of this kind.
    """

    name: str
    meaning: str
    parents: tuple[str, ...] = ()
    conversions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    integer: bool = False
    tensor: bool = True
    number: tuple[float, float] | None = (float("-inf"), float("inf"))
    only_ends: bool = False


def _kind(
    name: str,
    meaning: str,
    *parents: str,
    to: dict[str, str] | None = None,
    integer: bool = False,
    tensor: bool = True,
    number: tuple[float, float] | None = (float("-inf"), float("inf")),
    only_ends: bool = False,
) -> Kind:
    conversions = MappingProxyType(to or {})
    return Kind(name, meaning, parents, conversions, integer, tensor, number, only_ends)


_INF = float("inf")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("real", "any floating-point values"),
        _kind(
            "logits",
            "scores before a sigmoid, each element on its own",
            "real",
            to={"prob": "sigmoid", "log_prob": "logsigmoid"},
        ),
        _kind(
            "class_logits",
            "scores before a softmax over the class axis",
            "real",
            to={"class_prob": "softmax", "class_log_prob": "log_softmax"},
        ),
        _kind("prob", "probabilities, each element on its own", "real", number=(0, 1)),
        _kind("class_prob", "probabilities that sum to 1 over the class axis", "prob", number=None),
        _kind(
            "log_prob", "logarithms of probabilities", "real", to={"prob": "exp"}, number=(-_INF, 0)
        ),
        _kind(
            "class_log_prob",
            "logarithms of probabilities that sum to 1 over the class axis",
            "real",
            to={"class_prob": "exp"},
            number=None,
        ),
        _kind("score", "raw scores of a critic or a ranking", "real"),
        _kind("positive", "values above 0: variances, rates, scales", "real", number=(1e-45, _INF)),
        _kind(
            "labels",
            "class indices, one axis fewer than the logits",
            to={"one_hot": "one_hot"},
            integer=True,
            number=None,
        ),
        _kind(
            "mask",
            "0 or 1, as bool, float or int",
            "prob",
            to={"sign": "mask_to_sign"},
            number=(0, 1),
            only_ends=True,
        ),
        _kind("sign", "targets -1 or 1", "real", number=(-1, 1), only_ends=True),
        _kind(
            "one_hot", "0 or 1, a single 1 over the class axis", "class_prob", "mask", number=None
        ),
        _kind(
            "embedding",
            "feature vectors over the last axis",
            "real",
            to={"unit": "unit_vectors"},
            number=None,
        ),
        _kind("unit", "feature vectors of length 1", "embedding", number=None),
        _kind("image", "pixels", "real"),
        _kind("boxes", "boxes over the last axis", "real", number=None),
        _kind("series", "values over time", "real"),
        _kind("count", "whole numbers from 0: lengths, time steps", integer=True, number=(0, _INF)),
        _kind("complex", "spectra, for `abs`, `real` and `imag` alone", tensor=False, number=None),
        _kind("features", "a list of feature maps", tensor=False, number=None),
        _kind("loss", "what a loss returns", "real"),
    )
}

CLASS_KINDS = frozenset({"class_logits", "class_prob", "class_log_prob", "one_hot"})
"""Kinds with a class axis."""

SCORES = frozenset(
    {"logits", "class_logits", "log_prob", "class_log_prob", "score", "embedding", "unit"}
)
"""Kinds that come out of a network: whole numbers there are a mistake."""

BOX_FORMATS = ("xyxy", "cxcywh", "xywh", "xywhr")

# A bare `real` may stand for these: a network's output has no kind of its own.
_REAL_FITS = frozenset({"logits", "class_logits", "score", "embedding", "image"})

SAME, SUB, CONVERTED = 0, 1, 2
"""How a kind enters a slot, from the best to the last choice."""


@cache
def is_sub(kind: str, other: str) -> bool:
    """Whether every value of `kind` is one of `other`: `one_hot` is a `class_prob`, a `mask` …"""
    return kind == other or any(is_sub(parent, other) for parent in KINDS[kind].parents)


@cache
def fit(kind: str, accepted: tuple[str, ...]) -> tuple[int, str] | None:
    """How a value of `kind` enters a slot: the price and the accepted kind, or None.

    A conversion must land on a listed kind exactly, so that class scores never slip into an
    element-wise slot through `class_prob` and `prob`.
    """
    best: tuple[int, str] | None = None
    for wanted in accepted:
        if kind == wanted:
            found = SAME
        elif is_sub(kind, wanted) or (kind == "real" and wanted in _REAL_FITS):
            found = SUB
        elif wanted in KINDS[kind].conversions:
            found = CONVERTED
        else:
            continue
        if best is None or found < best[0]:
            best = (found, wanted)
    return best


def common(kinds: Iterable[str]) -> str:
    """The closest kind that all of these are."""
    names = list(kinds)
    first = names[0]
    if all(name == first for name in names):
        return first
    queue = [first]
    while queue:
        candidate = queue.pop(0)
        if all(is_sub(name, candidate) for name in names):
            return candidate
        queue += KINDS[candidate].parents
    return "real"
