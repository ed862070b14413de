"""Example inputs fit the contract that they are made from, for all that the language has."""

from __future__ import annotations

import pytest
import torch

import lossdsl
from lossdsl.checker.declarations import RESERVED_INPUTS
from lossdsl.inspect.specialise import specialise

PARAMETERS = {
    "weights": "[0.5, 0.5]",
    "q": "0.5",
    "season": "1",
    "counts": "[4, 3, 2]",
    "typical": "0.5",
    "spread": "0.1",
    "k": "0.5",
    "token": "0",
}
"""Values for what a loss of the catalogue cannot do without."""


def examples(text: str) -> dict[str, object]:
    loss = lossdsl.compile(text, backend="eager")
    return dict(zip(loss.contract.names, specialise(loss, None).values, strict=True))


@pytest.mark.parametrize("name", lossdsl.losses())
def test_every_loss_of_the_catalogue_takes_its_examples(name: str) -> None:
    record = lossdsl.losses()[name]
    required = [f"{p.name}={PARAMETERS[p.name]}" for p in record.parameters if p.required]
    inputs = [f"{x}_" if x in RESERVED_INPUTS else x for x in record.inputs]
    if record.critic is not None:
        # A penalty on a derivative needs a value that depends on the other.
        inputs = [f"sum({inputs[1]}**2)", inputs[1]]
    # Any matrix is no covariance.
    spread = "covariance @ transpose(covariance) + eye(covariance)"
    inputs = [spread if x == "covariance" else x for x in inputs]
    loss = lossdsl.compile(f"{name}({', '.join([*inputs, *required])})", backend="eager")
    made = specialise(loss, None)
    assert torch.isfinite(made.graph(*made.values)[0])


@pytest.mark.parametrize(
    ("declared", "use", "shape"),
    [
        ("real[B, C]", "mean(x)", (2, 3)),
        ("real[B, 5]", "mean(x)", (2, 5)),
        ("real[B, 2*H, H//2]", "mean(x)", (2, 16, 4)),
        ("real[N, *S]", "mean(x)", (8, 8, 8)),
        ("boxes(xywhr)[N, 5]", "mean(x)", (8, 5)),
        ("class_logits[B, T, C]", "mean(x)", (2, 8, 3)),
    ],
)
def test_sizes(declared: str, use: str, shape: tuple[int, ...]) -> None:
    x = examples(f"input x: {declared}\n{use}")["x"]
    assert isinstance(x, torch.Tensor)
    assert tuple(x.shape) == shape


def test_sizes_grow_until_the_loss_has_room() -> None:
    x = examples("ssim(x, y)")["x"]
    assert isinstance(x, torch.Tensor)
    assert x.shape[-1] == 16


def test_the_rank_is_found_by_trying() -> None:
    x = examples("mean(x[:, 0, 1:, 2])")["x"]
    assert isinstance(x, torch.Tensor)
    assert x.dim() == 4


@pytest.mark.parametrize(
    ("declared", "legal"),
    [
        ("mask[B, N]", lambda x: ((x == 0) | (x == 1)).all()),
        ("sign[B, N]", lambda x: (x.abs() == 1).all()),
        ("prob[B, N]", lambda x: ((x >= 0) & (x <= 1)).all()),
        ("positive[B, N]", lambda x: (x > 0).all()),
        ("log_prob[B, N]", lambda x: (x <= 0).all()),
        ("image(-1, 1)[B, C, H, W]", lambda x: ((x >= -1) & (x <= 1)).all() and (x < 0).any()),
        ("class_prob[B, C, N]", lambda x: torch.allclose(x.sum(1), torch.ones(()))),
        ("class_log_prob[B, N, C]", lambda x: torch.allclose(x.exp().sum(2), torch.ones(()))),
        ("one_hot[B, C, N]", lambda x: (x.sum(1) == 1).all() and (x.amax(1) == 1).all()),
        ("unit[N, D]", lambda x: torch.allclose(x.norm(dim=1), torch.ones(()))),
        ("boxes[N, 4]", lambda x: (x[:, 2:] > x[:, :2]).all()),
        ("boxes(xywh)[N, 4]", lambda x: (x[:, 2:] > 0).all()),
    ],
)
def test_values_are_what_the_kind_says(declared: str, legal: object) -> None:
    x = examples(f"input x: {declared}\nmean(x)")["x"]
    assert callable(legal)
    assert legal(x)


def test_labels_are_whole_and_below_any_class_count() -> None:
    y = examples("input p: class_logits[B, 2]\ninput y: labels[B]\nce(p, y)")["y"]
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.int64
    assert set(y.tolist()) <= {0, 1}


def test_containers_are_filled() -> None:
    out = examples(
        "input out: {main: real[B], aux: list[real[B, N]; 3]}\n"
        "mean(out.main) + sum(mean(a) for a in out.aux)"
    )["out"]
    assert isinstance(out, dict)
    assert list(out) == ["main", "aux"]
    assert [tuple(part.shape) for part in out["aux"]] == [(2, 8)] * 3


def test_the_same_every_time_and_without_torchs_generator() -> None:
    state = torch.get_rng_state()
    first, second = examples("mse(x, y)"), examples("mse(x, y)")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.as_tensor(first["x"]), torch.as_tensor(second["x"]))
    assert not torch.equal(torch.as_tensor(first["x"]), torch.as_tensor(first["y"]))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bce(p, y)", {"p"}),
        ("ce(p, y)", {"p"}),
        ("input p: prob[B]\ninput y: mask[B]\nbce(p, y)", {"p"}),
        ("mse(x, y)", {"x", "y"}),
        ("input y: labels[B]\nmean(real(y))", set()),
    ],
)
def test_gradients_are_taken_of_predictions(text: str, wanted: set[str]) -> None:
    found = examples(text)
    assert {
        n for n, x in found.items() if isinstance(x, torch.Tensor) and x.requires_grad
    } == wanted
