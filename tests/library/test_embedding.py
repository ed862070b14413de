"""Embedding losses: against PyTorch, NumPy and scikit-learn, at coinciding vectors, and as laws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library import embedding
from lossdsl.library.embedding import clip, contrastive, info_nce, triplet
from lossdsl.library.registry import find

Loss = Callable[..., Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def units(*shape: int, seed: int = 0) -> Tensor:
    """What the compiler hands over to a slot for `unit`."""
    return F.normalize(normal(*shape, seed=seed), dim=-1)


def labels(count: int) -> Tensor:
    return (torch.arange(count) % 3 == 0).double()


def same(actual: Tensor, expected: Any, rtol: float = 1e-12) -> None:
    torch.testing.assert_close(
        actual.detach(), torch.as_tensor(expected, dtype=torch.float64), rtol=rtol, atol=1e-14
    )


# --- values ---


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_contrastive_is_the_papers_formula_doubled(margin: float) -> None:
    a, b, y = normal(30, 3, seed=1), normal(30, 3, seed=2), labels(30)
    expected = []
    for u, v, similar in zip(a.numpy(), b.numpy(), y.tolist(), strict=True):
        distance = np.linalg.norm(u - v)
        dissimilar = 1 - similar  # the paper's Y
        expected.append(
            2
            * ((1 - dissimilar) * distance**2 / 2 + dissimilar * max(0, margin - distance) ** 2 / 2)
        )
    same(contrastive(a, b, y, margin=margin), expected)


@pytest.mark.parametrize("p", [1, 1.5, 2.0, 3, 7])
@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_triplet_is_that_of_pytorch(p: float, margin: float) -> None:
    given = [normal(20, 4, seed=k).requires_grad_() for k in range(3)]
    theirs = [vector.detach().clone().requires_grad_() for vector in given]
    value = triplet(*given, margin=margin, p=p)
    expected = F.triplet_margin_loss(*theirs, margin=margin, p=p, eps=0.0, reduction="none")
    same(value, expected.detach())
    value.sum().backward()
    expected.sum().backward()
    for mine, other in zip(given, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_squared_triplet_compares_squared_distances(p: float) -> None:
    a, b, c = (units(20, 4, seed=k).numpy() for k in range(3))
    near, far = (np.linalg.norm(a - other, ord=p, axis=1) ** 2 for other in (b, c))
    expected = np.maximum(0, near - far + 0.2)
    given = [torch.tensor(vectors) for vectors in (a, b, c)]
    same(triplet(*given, margin=0.2, p=p, squared=True), expected)


def test_facenet_is_triplet_on_the_sphere() -> None:
    a, b, c = (units(20, 4, seed=k) for k in range(3))
    # On unit vectors the squared distance is 2 - 2 cos.
    cosine = F.cosine_similarity
    expected = (2 * cosine(a, c) - 2 * cosine(a, b) + 0.2).clamp(min=0)
    same(triplet(a, b, c, margin=0.2, squared=True), expected)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_within_the_batch_is_a_log_loss(temperature: float) -> None:
    query, key = units(9, 5, seed=3), units(9, 5, seed=4)
    probability = scipy.special.softmax(query.numpy() @ key.numpy().T / temperature, axis=1)
    expected = sklearn.metrics.log_loss(np.arange(9), probability)
    same(info_nce(query, key, temperature=temperature), expected)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("bank", [1, 6])
def test_info_nce_with_a_bank_contrasts_with_it_alone(temperature: float, bank: int) -> None:
    query, key, negatives = units(9, 5, seed=5), units(9, 5, seed=6), units(bank, 5, seed=7)
    q, k, n = query.numpy(), key.numpy(), negatives.numpy()
    total = 0.0
    for i in range(9):
        positive = np.exp(q[i] @ k[i] / temperature)
        total -= np.log(positive / (positive + sum(np.exp(q[i] @ m / temperature) for m in n)))
    same(info_nce(query, key, negatives, temperature=temperature), total / 9)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_clip_is_the_mean_of_two_cross_entropies(temperature: float) -> None:
    image, text = units(9, 5, seed=8), units(9, 5, seed=9)
    similarity, own = image @ text.T / temperature, torch.arange(9)
    expected = (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2
    same(clip(image, text, temperature=temperature), expected)


# --- laws ---


def test_contrastive_of_a_vector_with_itself() -> None:
    a = normal(4, 3, seed=10)
    same(contrastive(a, a, torch.ones(4).double()), torch.zeros(4))
    same(contrastive(a, a, torch.zeros(4).double(), margin=1.5), torch.full((4,), 2.25))


def test_triplet_of_equal_candidates_is_the_margin() -> None:
    a, b = normal(4, 3, seed=11), normal(4, 3, seed=12)
    same(triplet(a, b, b, margin=0.3), [0.3] * 4)


def test_clip_is_both_directions_of_info_nce() -> None:
    a, b = units(7, 4, seed=13), units(7, 4, seed=14)
    same(clip(a, b), (info_nce(a, b) + info_nce(b, a)) / 2)
    same(clip(a, b), clip(b, a))


def test_batch_losses_ignore_the_order_of_the_rows() -> None:
    a, b = units(7, 4, seed=15), units(7, 4, seed=16)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    same(clip(a[order], b[order]), clip(a, b))
    same(info_nce(a[order], b[order]), info_nce(a, b))


def test_a_batch_that_looks_all_alike_is_a_guess() -> None:
    vectors = units(1, 4, seed=17).expand(8, 4)
    same(clip(vectors, vectors), np.log(8))
    same(info_nce(vectors, vectors, vectors[:3]), np.log(4))


def test_a_moving_parameter_is_a_tensor() -> None:
    a, b, c = units(6, 4, seed=18), units(6, 4, seed=19), units(6, 4, seed=20)
    for value in (0.5, 2.0):
        number = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        losses = (
            (
                contrastive(a, b, labels(6), margin=number),
                contrastive(a, b, labels(6), margin=value),
            ),
            (triplet(a, b, c, margin=number), triplet(a, b, c, margin=value)),
            (info_nce(a, b, temperature=number), info_nce(a, b, temperature=value)),
            (info_nce(a, b, c, temperature=number), info_nce(a, b, c, temperature=value)),
            (clip(a, b, temperature=number), clip(a, b, temperature=value)),
        )
        for moving, fixed in losses:
            same(moving, fixed)
            assert torch.autograd.grad(moving.sum(), number)[0].isfinite()


# --- extremes, gradients ---


def finite_with_gradient(loss: Loss, *given: Tensor) -> Tensor:
    free = [vectors.clone().requires_grad_() for vectors in given]
    value = loss(*free)
    value.sum().backward()
    assert value.isfinite().all()
    for vectors in free:
        assert vectors.grad is not None
        assert vectors.grad.isfinite().all()
    return value.detach()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-20, 1.0, 1e4])
@pytest.mark.parametrize("similar", [0.0, 1.0])
def test_contrastive_is_finite_at_and_near_coinciding_vectors(scale: float, similar: float) -> None:
    a = scale * normal(5, 3, seed=21).float()
    b = scale * normal(5, 3, seed=22).float()
    y = torch.full((5,), similar)
    finite_with_gradient(lambda u, v: contrastive(u, v, y), a, a)
    finite_with_gradient(lambda u, v: contrastive(u, v, y), a, b)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-20, 1.0, 1e4])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 20])
@pytest.mark.parametrize("squared", [False, True])
def test_triplet_is_finite_at_and_near_coinciding_vectors(
    scale: float, p: float, squared: bool
) -> None:
    loss = partial(triplet, p=p, squared=squared)
    a, b, c = (scale * normal(5, 3, seed=k).float() for k in range(3))
    for given in ((a, a, a), (a, a, b), (a, b, a), (a, b, c)):
        finite_with_gradient(loss, *given)


def test_the_distance_of_a_vector_to_itself_has_gradient_zero() -> None:
    for p in (1, 1.5, 2, 3):
        a = normal(4, 3, seed=23).requires_grad_()
        positive = a.detach().clone().requires_grad_()
        triplet(a, positive, a.detach() + 0.1, p=p).sum().backward()
        assert positive.grad is not None
        assert not positive.grad.any()
    a = normal(4, 3, seed=24).requires_grad_()
    contrastive(a, a.detach(), torch.zeros(4)).sum().backward()
    assert a.grad is not None
    assert not a.grad.any()


def test_a_broken_vector_is_not_hidden() -> None:
    a, b = normal(2, 3, seed=32), normal(2, 3, seed=33)
    a[1, 2] = torch.nan
    broken = [False, True]
    for similar in (0.0, 1.0):
        assert contrastive(a, b, torch.full((2,), similar)).isnan().tolist() == broken
    for p in (1, 1.5, 2, 3):
        for squared in (False, True):
            assert triplet(a, b, b, p=p, squared=squared).isnan().tolist() == broken
            assert triplet(b, b, a, p=p, squared=squared).isnan().tolist() == broken
    assert clip(a, b).isnan()
    assert info_nce(a, b).isnan()
    assert info_nce(b, b, a).isnan()


def test_a_high_power_neither_overflows_nor_vanishes() -> None:
    for size in (1e-6, 1e6):
        a, zero = torch.full((1, 4), size), torch.zeros(1, 4)
        value = triplet(a, zero, a, p=20, margin=0.0)
        assert value.item() == pytest.approx(size * 4 ** (1 / 20), rel=1e-6)


@pytest.mark.parametrize("temperature", [1e-4, 0.07, 1e4])
@pytest.mark.parametrize("batch", [1, 6])
def test_batch_losses_are_finite(temperature: float, batch: int) -> None:
    a, b = units(batch, 4, seed=25).float(), units(batch, 4, seed=26).float()
    zero = torch.zeros(batch, 4)  # the unit vector of a zero vector
    for given in ((a, b), (a, a), (a, -a), (zero, zero)):
        finite_with_gradient(partial(clip, temperature=temperature), *given)
        finite_with_gradient(partial(info_nce, temperature=temperature), *given)
        finite_with_gradient(partial(info_nce, temperature=temperature), *given, b)


def test_a_batch_of_one_has_nothing_to_confuse() -> None:
    a, b = units(1, 4, seed=27), units(1, 4, seed=28)
    assert clip(a, b).item() == 0
    assert info_nce(a, b).item() == 0
    assert info_nce(a, b, b).item() == pytest.approx(np.log(2), rel=1e-14)


def test_gradients_are_derivatives() -> None:
    a, b, c = (normal(4, 3, seed=k).requires_grad_() for k in (29, 30, 31))
    check = torch.autograd.gradcheck
    assert check(lambda u, v: contrastive(u, v, labels(4), margin=3.0), (a, b))
    for p in (1, 1.5, 2, 3):
        assert check(partial(triplet, p=p), (a, b, c))
        assert check(partial(triplet, p=p, squared=True, margin=9.0), (a, b, c))
    assert check(partial(info_nce, temperature=0.5), (a, b))
    assert check(partial(info_nce, temperature=0.5), (a, b, c))
    assert check(partial(clip, temperature=0.5), (a, b))
    assert torch.autograd.gradgradcheck(triplet, (a, b, c))
    assert torch.autograd.gradgradcheck(clip, (a, b))


# --- compiled, recorded ---


def contrastive_of_labels(a: Tensor, b: Tensor) -> Tensor:
    return contrastive(a, b, (a[:, 0].detach() > 0).to(a.dtype))


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (contrastive_of_labels, 2),
        (triplet, 3),
        (partial(triplet, p=3, squared=True), 3),
        (info_nce, 2),
        (info_nce, 3),
        (clip, 2),
    ],
)
def test_compiles_in_one_graph(loss: Loss, count: int) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (4, 7):
        ours = [units(batch, 5, seed=k).requires_grad_() for k in range(count)]
        theirs = [vectors.detach().clone().requires_grad_() for vectors in ours]
        value, expected = compiled(*ours), loss(*theirs)
        value.sum().backward()
        expected.sum().backward()
        same(value, expected.detach())
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["contrastive", "triplet", "info_nce", "clip"])
def test_examples_have_their_value(name: str) -> None:
    record = find(name)
    assert record is not None
    assert record.function is getattr(embedding, name)
    assert record.examples
    for example in record.examples:
        inputs: dict[str, Any] = {
            key: torch.tensor(value, dtype=torch.float64) for key, value in example.inputs.items()
        }
        value = eval(example.text, {name: record.function, "true": True}, inputs).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)
