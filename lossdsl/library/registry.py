"""The registry: the one place where losses meet their names.

`@loss(...)` makes a record of a function and leaves the function as it is; `@overload(...)` adds
another form of the same loss, for arguments of other kinds.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import torch

from lossdsl.functions.balancers import BALANCERS
from lossdsl.functions.record import functions
from lossdsl.library.record import (
    Condition,
    Critic,
    Example,
    Interval,
    LeastSizes,
    LossRecord,
    Overload,
    Reference,
    ResultRule,
)
from lossdsl.syntax.tokens import WORDS
from lossdsl.types.kinds import KINDS
from lossdsl.types.signature import read_signature

F = TypeVar("F", bound=Callable[..., torch.Tensor])

MODULES = (
    "regression",
    "quantiles",
    "densities",
    "totals",
    "relative",
    "depth",
    "robust",
    "likelihood",
    "proportions",
    "normal_gamma",
    "forecasts",
    "warping",
    "classification",
    "entropies",
    "relative_entropy",
    "margins",
    "label_sets",
    "noisy_labels",
    "divergences",
    "consistency",
    "imbalance",
    "rare_positives",
    "hard_pixels",
    "surprise",
    "simplex",
    "tags",
    "evidence",
    "levels",
    "transcripts",
    "vocabulary",
    "tokens",
    "overlap",
    "tversky",
    "lovasz",
    "regions",
    "compound",
    "contours",
    "neighbourhoods",
    "outlines",
    "boxes",
    "box_shapes",
    "gaussian_boxes",
    "kalman",
    "outliers",
    "landmarks",
    "dense_detection",
    "image",
    "layers",
    "restoration",
    "detail",
    "structure",
    "wavelets",
    "priors",
    "registration",
    "embedding",
    "metric",
    "mining",
    "class_vectors",
    "proxies",
    "partners",
    "views",
    "collapse",
    "sphere",
    "motion",
    "flow",
    "covariances",
    "adversarial",
    "critics",
    "equilibrium",
    "penalties",
    "generative",
    "latents",
    "diffusion",
    "decoder",
    "preference",
    "answers",
    "verdicts",
    "policy",
    "signals",
    "samples",
    "ranking",
    "listwise",
    "attention",
)
"""The modules of the library, in the order in which the catalogue lists them."""

_records: dict[str, LossRecord] = {}
_names: dict[str, str] = {}
_loaded = False


def loss(
    name: str,
    *,
    signature: str,
    family: str = "user",
    aliases: Sequence[str] = (),
    latex: str = "",
    reference: Reference | str | None = None,
    ranges: Mapping[str, str] | None = None,
    conventions: Sequence[str] = (),
    pitfalls: Sequence[str] = (),
    examples: Sequence[Example] = (),
    mask: Literal["map", "inside", "none"] = "map",
    class_weight: Literal["labels", "classes", "none"] = "none",
    image_range: str | None = None,
    least: LeastSizes | None = None,
    values: str | None = None,
    use: str = "",
    avoid: str = "",
    checked: str = "",
    related: Mapping[str, str] | None = None,
    identities: Sequence[tuple[str, str]] = (),
    critic: Critic | None = None,
    result: ResultRule | None = None,
    when: Condition | None = None,
    lengths: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Register a function as the loss `name`.

    The function takes its tensors by position and its parameters by keyword, and returns the
    unreduced map that `signature` states. Its docstring's first line is the summary.

    Args:
        name: the name in the language.
        signature: kinds and shapes, e.g. `"real[*S], real[*S] -> loss[*S]"`. A slot lists the
            kinds it accepts, preferred first; the function receives the last one.
        family: the catalogue's chapter.
        aliases: other names for the same formula.
        latex: the formula of one element of the map.
        reference: authors, title and year.
        ranges: legal intervals of the parameters, e.g. `{"q": "(0, 1)"}`.
        conventions: what the formula leaves open, one sentence each.
        pitfalls: mistakes that this loss invites, one sentence each.
        examples: calls with their values.
        mask: where a mask acts: on the `map`, `inside` the function, or nowhere.
        class_weight: whether class weights are picked by `labels`, lie along the map's class
            axis (`classes`), or have no meaning.
        image_range: name of the parameter that receives the width of the images' range.
        least: the least sizes of the signature's axes for given literal parameters.
        values: the interval of the map's values on legal input, e.g. `"[0, inf)"`.
        use: what it is for, one or two sentences.
        avoid: where another loss does better, and which.
        checked: what its tests hold it against: another library's function, or a paper's formula.
        related: other losses' names, each with what tells them from this one.
        identities: pairs of programs that have one value, e.g.
            `("focal(p, y, gamma=0)", "bce(p, y)")`.
        critic: for a penalty on the derivative of the first input by the second: where
            `name(network, x, …)` takes it.
        result: the result type for given literal parameters, where it depends on them.
        when: restricts this form to some literal parameters.
        lengths: which sizes of the signature are the length of a parameter that is a list.

    Example:
        >>> @lossdsl.loss("quartic", signature="real[*S], real[*S] -> loss[*S]")
        ... def quartic(p, y):
        ...     return (p - y) ** 4
    """

    def register(function: F) -> F:
        if family == "user":
            load_library()
        summary = (inspect.getdoc(function) or name).splitlines()[0]
        record = LossRecord(
            name=name,
            family=family,
            summary=summary,
            overloads=(Overload(signature, function, result, when, dict(lengths or {})),),
            formula=latex,
            aliases=tuple(aliases),
            reference=reference,
            conventions=tuple(conventions),
            pitfalls=tuple(pitfalls),
            examples=tuple(examples),
            ranges=dict(ranges or {}),
            mask=mask,
            class_weight=class_weight,
            image_range=image_range,
            least=least,
            values=None if values is None else Interval.parse(values),
            use=use,
            avoid=avoid,
            checked=checked,
            related=dict(related or {}),
            identities=tuple(identities),
            critic=critic,
        )
        _check_names(record)
        if family == "user":
            _check_signature(record)
        _enter(record)
        return function

    return register


def overload(
    name: str,
    *,
    signature: str,
    result: ResultRule | None = None,
    when: Condition | None = None,
    lengths: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Add a form to the loss `name`, for other kinds of arguments. Earlier forms are preferred."""

    def register(function: F) -> F:
        record = _records[name]
        form = Overload(signature, function, result, when, dict(lengths or {}))
        _records[name] = dataclasses.replace(record, overloads=(*record.overloads, form))
        return function

    return register


def _check_signature(record: LossRecord) -> None:
    """Tell the author of a loss at once what would puzzle its users later."""
    signature = read_signature(record.overloads[0].signature)
    if len(signature.slots) != len(record.inputs):
        raise ValueError(
            f"the signature of {record.name!r} has {len(signature.slots)} slots, and the function "
            f"takes {len(record.inputs)} tensors by position ({', '.join(record.inputs)})"
        )
    if record.critic is not None and len(record.inputs) != 2:
        raise ValueError(
            f"{record.name!r} has a critic, so it takes its scores and the points that they are of"
        )


def _check_names(record: LossRecord) -> None:
    """Refuse what nobody could call, and what is another's. A user's own loss may be defined
    again."""
    for name in (record.name, *record.aliases):
        reason = _no_name(name) or (_taken(name) if record.family == "user" else None)
        if reason is not None:
            raise ValueError(f"a loss cannot be called {name!r}: {reason}")
        owner = _names.get(name)
        if owner is None:
            continue
        if _records[owner].family != "user":
            raise ValueError(f"{name!r} is already the name of the loss {owner!r} of the library")
        if owner != record.name:
            raise ValueError(f"{name!r} is already the name of your loss {owner!r}")


def _no_name(name: str) -> str | None:
    """Why a text cannot be called, if it cannot."""
    if not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        return "a name is made of letters, digits and underscores, with no digit in front"
    if name in WORDS or name in ("learnable", "zip"):
        return "it is a word of the language"
    return None


def _taken(name: str) -> str | None:
    """What of the language has this name already, if something does."""
    if name in functions() or name in BALANCERS:
        return "it is a function of the language"
    return "it is a kind" if name in KINDS else None


def meaning(name: str) -> str | None:
    """What a call of this name already means, if something."""
    if find(name) is not None:
        return "a loss"
    if name in functions() or name in BALANCERS:
        return "a function of the language"
    return "a kind" if name in KINDS else None


def _enter(record: LossRecord) -> None:
    before = _records.get(record.name)
    for name in () if before is None else before.aliases:
        del _names[name]
    _records[record.name] = record
    for name in (record.name, *record.aliases):
        _names[name] = record.name


def find(name: str) -> LossRecord | None:
    """The record behind a name or an alias."""
    load_library()
    owner = _names.get(name)
    return _records[owner] if owner is not None else None


def records() -> dict[str, LossRecord]:
    """All losses by canonical name, in catalogue order."""
    load_library()
    return dict(_records)


def names() -> tuple[str, ...]:
    """Every name and alias, for suggestions and completion."""
    load_library()
    return tuple(_names)


def order() -> dict[str, int]:
    """Each record's place in the catalogue: ties in inference are broken by it, never by text."""
    return {name: place for place, name in enumerate(records())}


def load_library() -> None:
    """Import the families. Done on first use, so that importing lossdsl stays cheap."""
    global _loaded
    if not _loaded:
        for module in MODULES:
            importlib.import_module(f"lossdsl.library.{module}")
        # The catalogue's order is that of the modules, whichever was imported first.
        place = {f"lossdsl.library.{module}": index for index, module in enumerate(MODULES)}
        ordered = sorted(
            _records.items(), key=lambda item: place.get(item[1].function.__module__, len(place))
        )
        _records.clear()
        _records.update(ordered)
        _loaded = True
