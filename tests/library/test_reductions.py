"""Reduction, weight, mask, ignored labels and class weights mean the same for every loss:
`mean = sum(m*w*c*l) / max(sum(m*c), tiny)` of the map l that `reduction='none'` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from arguments import SMALL, Call, calls, sweep
from exceptions import law
from legal_values import ordinary
from torch import Tensor

import lossdsl

CALLS = calls(space=(2, 3), sizes=SMALL, variants=True)
CORE = calls(kinds=False)
IGNORED = 1
CLASS_WEIGHTS = (0.5, 2.0, 1.25)


@dataclass(frozen=True)
class Modifier:
    """An input behind a keyword, with its type."""

    type: str
    value: Tensor


def values(
    call: Call, terms: Mapping[str, str], modifiers: Mapping[str, Modifier]
) -> dict[str, Tensor]:
    """What the loss gives with each of these keywords, from one program: they are the gradients by
    factors in front. What keeps axes has a factor with as many."""
    declared = [f"input {name}: {modifier.type}" for name, modifier in modifiers.items()]
    factors, parts = {}, []
    for name, keywords in terms.items():
        axes = {"'none'": call.map_axes, "'batch'": call.map_axes[:1]}
        own = next((kept for text, kept in axes.items() if text in keywords), ())
        declared.append(f"input {name}: {call.declared(own)}")
        factors[name] = torch.ones(call.lengths(own), dtype=torch.float64, requires_grad=True)
        parts.append(f"sum({name}*{call.expression(keywords)})")
    text = "\n".join([call.inputs(), *declared, " + ".join(parts)])
    given = {**ordinary(call), **{name: modifier.value for name, modifier in modifiers.items()}}
    total = lossdsl.compile(text, backend="eager")({**given, **factors})
    gradients = torch.autograd.grad(total, tuple(factors.values()))
    return dict(zip(factors, gradients, strict=True))


def labels_of(call: Call) -> Tensor | None:
    names = [n for n, kind in zip(call.names, call.kinds, strict=True) if kind == "labels"]
    return ordinary(call)[names[0]] if names else None


def with_map_axes(x: Tensor, call: Call) -> Tensor:
    """Numbers of the labels' shape, in the map's."""
    return (x.unsqueeze(1) if x.dim() < len(call.map_axes) else x).expand(call.map_shape)


def class_weights(call: Call, labels: Tensor | None) -> Tensor:
    """The class weight of each element of the map; 1 where the formula weighs inside a sum."""
    weights = torch.tensor(CLASS_WEIGHTS, dtype=torch.float64)
    if call.record.class_weight == "labels" and labels is not None:
        return with_map_axes(weights[labels], call)
    if has_classes(call) and call.record.class_weight == "classes":
        axis = next(i for i, name in enumerate(call.map_axes) if name.startswith("C"))
        own = weights[-call.map_shape[axis] :]
        return own.reshape(-1, *[1] * (len(call.map_axes) - axis - 1)).expand(call.map_shape)
    return torch.ones(call.map_shape, dtype=torch.float64)


def has_classes(call: Call) -> bool:
    """Whether class weights mean something: over='all' has one number for all classes."""
    along = any(name.startswith("C") for name in call.map_axes)
    return call.record.class_weight == "labels" or (call.record.class_weight == "classes" and along)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sweep(CALLS, CORE))
def test_reductions_and_weights(name: str) -> None:
    call = CALLS[name]
    terms = {
        "l": ", reduction='none'",
        "mean": "",
        "sum": ", reduction='sum'",
        "per": ", per=4",
        "weighted": ", weight=w",
    }
    if call.map_axes:
        terms |= {"rows": ", reduction='batch'", "batchmean": ", reduction='batchmean'"}
    w = call.shares()
    got = values(call, terms, {"w": Modifier(call.declared(call.map_axes), w)})
    loss = got["l"]
    assert tuple(loss.shape) == tuple(call.map_shape)
    close(got["mean"], loss.mean())
    close(got["sum"], loss.sum())
    close(got["per"], loss.sum() / 4)
    close(got["weighted"], (w * loss).mean())
    if call.map_axes:
        close(got["rows"], loss.reshape(loss.shape[0], -1).mean(1))
        close(got["batchmean"], loss.sum() / loss.shape[0])


@pytest.mark.parametrize("name", sweep(CALLS, calls(kinds=False, variants=True)))
def test_one_formula_for_all_together(name: str) -> None:
    call = CALLS[name]
    labels, w = labels_of(call), call.shares()
    modifiers = {"w": Modifier(call.declared(call.map_axes), w)}
    hides = ""
    if call.record.mask != "none":
        modifiers["m"] = Modifier(call.declared(call.mask_axes, "mask"), call.mask())
        hides += ", mask=m"
    if labels is not None:
        hides += f", ignore_index={IGNORED}"
    classes = call.record.class_weight
    weighs = f", class_weight={list(CLASS_WEIGHTS)}" if has_classes(call) else ""
    # Soft targets are weighed inside the class sum, which the map then shows.
    own = weighs if classes == "labels" and labels is None else ""
    terms = {
        "l": f"{own}, reduction='none'",
        "hidden": f"{own}{hides}, reduction='none'",
        "all": f", weight=w{hides}{weighs}",
        "total": f", weight=w{hides}{weighs}, reduction='sum'",
    }
    got = values(call, terms, modifiers)
    m = torch.ones(call.map_shape, dtype=torch.float64)
    if call.record.mask == "map":
        m = m * modifiers["m"].value
        if labels is not None:
            m = m * with_map_axes(labels != IGNORED, call)
        with law("an element does not read what is masked", call):
            close(got["hidden"], m * got["l"])
    c = class_weights(call, labels)
    total = (w * c * got["hidden"]).sum()
    close(got["total"], total)
    close(got["all"], total / (m * c).sum().clamp_min(torch.finfo(torch.float64).tiny))


@pytest.mark.parametrize("name", sweep(CALLS, [*CORE, "dice-logits-prob-over=all"]))
def test_what_has_no_meaning_is_refused(name: str) -> None:
    call = CALLS[name]
    refused = {
        ", mask=m": call.record.mask == "none",
        ", class_weight=[1, 1, 1]": not has_classes(call),
        ", ignore_index=1": "labels" not in call.kinds,
        ", reduction='batch'": not call.map_axes,
        ", reduction='batchmean'": not call.map_axes,
    }
    for keywords, expected in refused.items():
        declared = "\ninput m: mask" if "m" in keywords else ""
        text = f"{call.inputs()}{declared}\nsum({call.expression(keywords)})"
        codes = {d.code for d in lossdsl.check(text).errors}
        assert codes == ({"E405" if "reduction" in keywords else "E212"} if expected else set())
