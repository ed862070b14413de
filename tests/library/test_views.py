"""Agreement of views and of matched batches: against other libraries and the papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from monai.losses import BarlowTwinsLoss, ContrastiveLoss
from pytorch_metric_learning import distances as their_distances
from pytorch_metric_learning import losses as their_losses
from torch import Tensor

import lossdsl
from lossdsl.library.collapse import barlow_twins, dino, vicreg
from lossdsl.library.partners import n_pairs, nt_xent, text_image_matching
from lossdsl.library.views import byol, cosine_distance, cosine_embedding, simsiam

Loss = Callable[..., Tensor]
NAMES = (
    "nt_xent",
    "n_pairs",
    "text_image_matching",
    "cosine_distance",
    "cosine_embedding",
    "byol",
    "simsiam",
    "barlow_twins",
    "vicreg",
    "dino",
)
A, B = normal(7, 5, seed=1), normal(7, 5, seed=2)
BATCHES = (
    nt_xent,
    partial(n_pairs, l2=0.1),
    text_image_matching,
    partial(text_image_matching, negatives="hardest"),
    cosine_distance,
    partial(barlow_twins, redundancy=0.5),
    vicreg,
)


def cosines(a: Tensor, b: Tensor) -> np.ndarray:
    return np.asarray((F.normalize(a, dim=1) @ F.normalize(b, dim=1).T).numpy())


# --- other libraries ---


@pytest.mark.parametrize("temperature", [0.07, 0.1, 0.5])
def test_nt_xent_is_that_of_two_libraries(temperature: float) -> None:
    value = nt_xent(A, B, temperature=temperature)
    own = torch.arange(7).repeat(2)
    expected = their_losses.NTXentLoss(temperature=temperature)(torch.cat([A, B]), own)
    same(value, expected, rtol=1e-9)
    same(value, ContrastiveLoss(temperature=temperature)(A, B), rtol=1e-6)


def test_n_pairs_is_theirs() -> None:
    pairs = torch.stack([A, B], 1).flatten(0, 1)
    classes = torch.arange(7).repeat_interleave(2)
    none = torch.zeros(0, dtype=torch.int64)
    order = torch.arange(0, 14, 2), torch.arange(1, 14, 2), none, none
    raw = their_distances.DotProductSimilarity(normalize_embeddings=False)
    expected = their_losses.NPairsLoss(distance=raw)(pairs, classes, order)
    same(n_pairs(A, B), expected, rtol=1e-10)


@pytest.mark.parametrize("redundancy", [5e-3, 1.0])
def test_barlow_twins_is_that_of_monai(redundancy: float) -> None:
    value = barlow_twins(A, B, redundancy=redundancy, correction=1, eps=1e-14)
    same(value, BarlowTwinsLoss(lambd=redundancy)(A, B), rtol=1e-5)


def test_vicreg_is_theirs() -> None:
    for scale in (0.3, 1.0):
        expected = their_losses.VICRegLoss()(scale * A, ref_emb=scale * B)
        same(vicreg(scale * A, scale * B), expected, rtol=1e-10)


@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.3])
def test_cosine_embedding_is_that_of_pytorch(margin: float) -> None:
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0]).double()
    expected = F.cosine_embedding_loss(A, B, sign, margin=margin, reduction="none")
    same(cosine_embedding(A, B, sign, margin=margin), expected, rtol=1e-10)
    same(cosine_distance(A, B), 1 - F.cosine_similarity(A, B))


# --- the papers ---


@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_n_pairs_is_the_papers(l2: float) -> None:
    a, p = A.numpy(), B.numpy()
    costs = [
        math.log(1 + sum(math.exp(a[i] @ p[j] - a[i] @ p[i]) for j in range(7) if j != i))
        for i in range(7)
    ]
    lengths = [x @ x + z @ z for x, z in zip(a, p, strict=True)]
    same(n_pairs(A, B, l2=l2), np.mean(costs) + l2 * np.mean(lengths) / 2)


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_text_image_matching_is_that_of_loops(margin: float) -> None:
    s = cosines(A, B)
    of_image = [[max(0, margin - s[i, i] + s[i, j]) for j in range(7) if j != i] for i in range(7)]
    of_text = [[max(0, margin - s[i, i] + s[j, i]) for j in range(7) if j != i] for i in range(7)]
    total = (np.sum(of_image) + np.sum(of_text)) / (7 * 6)
    same(text_image_matching(A, B, margin=margin), total)
    worst = np.mean([max(a) + max(b) for a, b in zip(of_image, of_text, strict=True)])
    same(text_image_matching(A, B, margin=margin, negatives="hardest"), worst)


@pytest.mark.parametrize("redundancy", [5e-3, 1.0])
def test_barlow_twins_is_the_papers(redundancy: float) -> None:
    def standard(x: np.ndarray) -> np.ndarray:
        return np.asarray((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5))

    c = standard(A.numpy()).T @ standard(B.numpy()) / 7
    on = np.sum((1 - np.diag(c)) ** 2)
    off = np.sum(c**2) - np.sum(np.diag(c) ** 2)
    same(barlow_twins(A, B, redundancy=redundancy), on + redundancy * off)


def test_vicreg_is_a_sum_of_three() -> None:
    a, b = A.numpy(), B.numpy()

    def spread(x: np.ndarray) -> float:
        return float(np.mean(np.maximum(0, 1.5 - np.sqrt(x.var(0, ddof=1) + 1e-3))))

    def shared(x: np.ndarray) -> float:
        c = np.cov(x.T)
        return float((np.sum(c**2) - np.sum(np.diag(c) ** 2)) / 5)

    expected = (
        2 * np.mean((a - b) ** 2) + 3 * (spread(a) + spread(b)) / 2 + 4 * (shared(a) + shared(b))
    )
    value = vicreg(A, B, invariance=2.0, variance=3.0, covariance=4.0, gamma=1.5, eps=1e-3)
    same(value, expected)


def test_byol_and_simsiam_are_the_papers() -> None:
    own = np.diag(cosines(A, B))
    same(byol(A, B), 2 - 2 * own)
    c, d = normal(7, 5, seed=3), normal(7, 5, seed=4)
    same(simsiam(A, c, d, B), -0.5 * own - 0.5 * np.diag(cosines(c, d)))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("temperatures", [(0.1, 0.04), (1.0, 0.5)])
def test_dino_is_the_papers(centred: bool, temperatures: tuple[float, float]) -> None:
    center = normal(5, seed=5) if centred else torch.zeros(5).double()
    student, teacher = temperatures
    target = ((B - center) / teacher).softmax(1)
    expected = F.cross_entropy(A / student, target, reduction="none")
    given = (A, B, center) if centred else (A, B)
    same(dino(*given, student_temperature=student, teacher_temperature=teacher), expected)


# --- laws ---


def test_no_gradient_goes_into_targets() -> None:
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    for loss in (byol, dino, lambda p, z: simsiam(p, p, z, z)):
        left, right = torch.autograd.grad(loss(a, b).sum(), (a, b), allow_unused=True)
        assert left.any()
        assert right is None


def test_views_may_be_exchanged() -> None:
    for loss in (nt_xent, vicreg, text_image_matching, cosine_distance):
        same(loss(A, B), loss(B, A))


@pytest.mark.parametrize("loss", BATCHES[:4] + BATCHES[5:])
def test_the_order_of_the_rows_does_not_matter(loss: Loss) -> None:
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    same(loss(A[order], B[order]), loss(A, B))


def test_a_batch_of_one() -> None:
    a, b = A[:1], B[:1]
    assert nt_xent(a, b).item() == 0
    assert n_pairs(a, b).item() == 0
    assert text_image_matching(a, b).item() == 0
    assert barlow_twins(a, b).item() == 5


def test_a_mask_takes_pairs_out() -> None:
    loss = lossdsl.compile("cosine_distance(a, b, mask=m)", backend="eager")
    kept = torch.tensor([True, False, True, True, False, True, True])
    same(loss(a=A, b=B, m=kept), cosine_distance(A, B)[kept].mean())


# --- gradients, compilation, records ---


@pytest.mark.parametrize("loss", BATCHES)
def test_gradients_are_derivatives(loss: Loss) -> None:
    is_derivative(loss, A, B)


def test_gradients_of_predictions_are_derivatives() -> None:
    is_derivative(lambda p: byol(p, B), A)
    is_derivative(lambda p, q: simsiam(p, q, B, A), A, B)
    is_derivative(lambda s: dino(s, B), A)
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0]).double()
    is_derivative(lambda a, b: cosine_embedding(a, b, sign), A, B)


def signed(a: Tensor, b: Tensor) -> Tensor:
    return cosine_embedding(a, b, a[:, 0].detach().sign())


@pytest.mark.parametrize("loss", [*BATCHES, signed, byol, dino, lambda p, z: simsiam(p, z, z, p)])
def test_one_graph(loss: Loss) -> None:
    one_graph(loss, (A, B), (normal(9, 5, seed=6), normal(9, 5, seed=7)))


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        (nt_xent, "temperature", 0.5),
        (n_pairs, "l2", 0.02),
        (text_image_matching, "margin", 0.5),
        (barlow_twins, "redundancy", 0.01),
        (barlow_twins, "eps", 0.01),
        (vicreg, "invariance", 2.0),
        (vicreg, "variance", 2.0),
        (vicreg, "covariance", 2.0),
        (vicreg, "gamma", 2.0),
        (vicreg, "eps", 0.01),
        (dino, "student_temperature", 0.5),
        (dino, "teacher_temperature", 0.5),
    ],
)
def test_parameters_may_move(loss: Loss, name: str, value: float) -> None:
    takes_tensor(loss, name, value, A, B)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
