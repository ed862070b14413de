"""Cross entropies under the names of tasks: against PyTorch's, and by the maps of the papers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from laws import bits, distribution, examples_hold, labels, normal, one_graph, positive, same
from torch import Tensor

import lossdsl
from lossdsl.diagnostics.errors import LossTypeError
from lossdsl.library.entropies import (
    categorical_cross_entropy,
    pixel_softmax_ce,
    temporal_cross_entropy,
    weighted_bce,
    weighted_cross_entropy,
)

WEIGHTS = [0.5, 2.0, 3.0]


def value(text: str, **inputs: Any) -> Tensor:
    result = lossdsl.compile(text, backend="eager")(**inputs)
    assert isinstance(result, Tensor)
    return result


def test_examples_have_their_value() -> None:
    examples_hold(
        "categorical_cross_entropy",
        "weighted_cross_entropy",
        "temporal_cross_entropy",
        "pixel_softmax_ce",
    )


# --- distributions ---


@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_categorical_cross_entropy_is_pytorchs(
    smoothing: float, weight: list[float] | None
) -> None:
    p, y = normal(4, 3, 5), distribution(4, 3, 5, seed=1)
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    expected = F.cross_entropy(p, y, weight=given, label_smoothing=smoothing)
    written = "none" if weight is None else weight
    text = f"cce(p, y, label_smoothing={smoothing}, class_weight={written})"
    same(value(text, p=p, y=y), expected)
    scores = "input p: class_prob[B, C, T]\ninput y: class_prob[B, C, T]\n"
    same(value(scores + text, p=p.softmax(1), y=y), expected)


def test_categorical_cross_entropy_is_divergence_and_entropy() -> None:
    p, y = normal(4, 3, 5), distribution(4, 3, 5, seed=1)
    divergence = F.kl_div(p.log_softmax(1), y, reduction="none").sum(1)
    same(categorical_cross_entropy(p.log_softmax(1), y), divergence - (y * y.log()).sum(1))


def test_categorical_cross_entropy_refuses_labels() -> None:
    with pytest.raises(LossTypeError) as caught:
        lossdsl.compile("input p: class_logits[B, C]\ninput y: labels[B]\ncce(p, y)")
    assert [d.code for d in caught.value.diagnostics] == ["E301"]


# --- weights ---


@pytest.mark.parametrize("ignored", [False, True])
def test_weighted_cross_entropy_divides_by_the_weights(ignored: bool) -> None:
    p, y = normal(4, 3, 5), labels(3, 4, 5)
    if ignored:
        y[0] = -100
    weight = torch.tensor(WEIGHTS, dtype=torch.float64)
    expected = F.cross_entropy(p, y, weight=weight)
    same(value(f"wce(p, y, class_weight={WEIGHTS})", p=p, y=y), expected)
    same(value("wce(p, y, class_weight=w)", p=p, y=y, w=weight), expected)
    declared = "input p: class_prob[B, C, T]\ninput y: labels[B, T]\n"
    text = f"{declared}wce(p, y, class_weight={WEIGHTS})"
    same(value(text, p=p.softmax(1), y=y), expected)


@pytest.mark.parametrize("declared", ["", "input p: logits[B, T]\ninput y: mask[B, T]\n"])
@pytest.mark.parametrize("beta", [0.3, 4.0])
def test_weighted_cross_entropy_of_bits_weighs_positives(beta: float, declared: str) -> None:
    p, y = normal(4, 5), bits(4, 5)
    weight = torch.tensor(beta, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(p, y, pos_weight=weight)
    same(value(f"{declared}wce(p, y, pos_weight={beta})", p=p, y=y), expected)
    same(value(f"{declared}param b = {beta}\nwce(p, y, pos_weight=b)", p=p, y=y), expected)
    probable = "input p: prob[B, T]\ninput y: mask[B, T]\n"
    same(value(f"{probable}wce(p, y, pos_weight={beta})", p=p.sigmoid(), y=y), expected)


def test_class_weights_of_bits_are_those_of_both_sides() -> None:
    p, y = normal(4, 5), bits(4, 5)
    cost = F.binary_cross_entropy_with_logits(p, y, reduction="none")
    expected = (torch.where(y == 1, 3.0, 0.5) * cost).mean()
    text = "input p: logits[B, T]\ninput y: mask[B, T]\nwce(p, y, class_weight=[0.5, 3])"
    same(value(text, p=p, y=y), expected)


def test_positives_have_no_weight_where_there_are_classes() -> None:
    with pytest.raises(ValueError, match="pos_weight is for logits"):
        weighted_cross_entropy(normal(4, 3), labels(3, 4), pos_weight=2.0)
    declared = "input p: class_logits[B, C]\ninput y: labels[B]\n"
    (problem,) = lossdsl.check(f"{declared}wce(p, y, pos_weight=2)").errors
    assert problem.code == "E301"
    assert "takes `logits` or `prob` for `p`" in problem.message


# --- steps ---


def steps() -> tuple[Tensor, Tensor, Tensor]:
    return normal(4, 6, 3), labels(3, 4, 6), bits(4, 6)


@pytest.mark.parametrize("name", ["temporal_cross_entropy", "sequence_ce", "sequence"])
def test_temporal_cross_entropy_is_that_of_kept_steps(name: str) -> None:
    p, y, m = steps()
    cost = np.array([F.cross_entropy(p[:, t], y[:, t], reduction="none").numpy() for t in range(6)])
    kept = m.numpy()
    same(value(f"{name}(p, y)", p=p, y=y), cost.mean())
    same(value(f"{name}(p, y, mask=m)", p=p, y=y, m=m), (cost.T * kept).sum() / kept.sum())


def test_sequences_may_weigh_alike() -> None:
    p, y, m = steps()
    m[1, 1:] = 0
    m[:, 0] = 1
    each = [F.cross_entropy(p[b][m[b] > 0], y[b][m[b] > 0]) for b in range(4)]
    text = "mean(temporal_cross_entropy(p, y, mask=m, reduction='batch'))"
    same(value(text, p=p, y=y, m=m), torch.stack(each).mean())


@pytest.mark.parametrize("weight", ["none", "[1, 2, 5]"])
def test_the_class_axis_of_steps_may_be_declared_elsewhere(weight: str) -> None:
    p, y, _ = steps()
    expected = value(f"ce(p, y, class_weight={weight}, ignore_index=0)", p=p.mT.clone(), y=y)
    text = f"temporal_cross_entropy(p, y, class_weight={weight}, ignore_index=0)"
    same(value(text, p=p, y=y), expected)
    for kind, given in {
        "class_logits(C)[B, T, C]": p,
        "class_logits[B, C, T]": p.mT.clone(),
        "class_prob(C)[B, T, C]": p.softmax(-1),
        "class_log_prob[B, C, T]": p.mT.log_softmax(1),
    }.items():
        declared = f"input p: {kind}\ninput y: labels[B, T]\n"
        same(value(declared + text, p=given, y=y), expected)


def test_steps_refuse_probabilities_of_elements() -> None:
    with pytest.raises(LossTypeError):
        lossdsl.compile("input p: prob[B, T, C]\ntemporal_cross_entropy(sigmoid(p), y)")


# --- pixels ---


def seams(cells: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """U-Net's map of the pixels between cells, without the balance of the classes."""
    edt = scipy.ndimage.distance_transform_edt
    away = np.sort([edt(cells != k) for k in range(1, cells.max() + 1)], axis=0)
    weight: np.ndarray = w0 * np.exp(-((away[0] + away[1]) ** 2) / (2 * sigma**2)) * (cells == 0)
    return weight


def test_pixel_softmax_ce_takes_the_map_of_unet() -> None:
    cells = np.zeros((8, 9), dtype=int)
    cells[1:4, 1:4], cells[1:4, 5:8], cells[6:, 2:] = 1, 2, 3
    weight = torch.from_numpy(1 + seams(cells))[None]
    p, y = normal(1, 2, 8, 9), torch.from_numpy((cells > 0).astype(int))[None]
    cost = F.cross_entropy(p, y, reduction="none")
    expected = (weight * cost).sum()
    same(value("pixel_softmax_ce(p, y, w, reduction='sum')", p=p, y=y, w=weight), expected)
    same(value("pixel_softmax_ce(p, y, weight_map=w)", p=p, y=y, w=weight), expected / 72)
    same(pixel_softmax_ce(p.log_softmax(1), y), cost)
    declared = "input p: class_prob[B, C, H, W]\ninput y: labels[B, H, W]\ninput w: real[B, H, W]\n"
    same(
        value(f"{declared}pixel_softmax_ce(p, y, w)", p=p.softmax(1), y=y, w=weight), expected / 72
    )


def test_losses_compile_in_one_graph() -> None:
    def batch(rows: int) -> tuple[Tensor, Tensor]:
        return normal(rows, 3, 4).log_softmax(1), labels(3, rows, 4)

    one_graph(pixel_softmax_ce, *((*batch(n), positive(n, 4)) for n in (3, 5)))
    one_graph(weighted_cross_entropy, batch(3), batch(5))
    one_graph(partial(weighted_bce, pos_weight=2.0), *((normal(n, 4), bits(n, 4)) for n in (3, 5)))
    one_graph(temporal_cross_entropy, *((normal(n, 4, 3), labels(3, n, 4)) for n in (3, 5)))
    one_graph(
        categorical_cross_entropy, *((normal(n, 3), distribution(n, 3, seed=1)) for n in (3, 5))
    )
