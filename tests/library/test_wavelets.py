"""Wavelets: against products with the Haar matrix."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, one_graph, same, uniform

from lossdsl.library.wavelets import haar, wavelet

X, Y = uniform(2, 3, 8, 16, seed=1), uniform(2, 3, 8, 16, seed=2)


def level(size: int) -> np.ndarray:
    """One step of the orthonormal transform: sums above, differences below."""
    matrix = np.zeros((size, size))
    for k in range(size // 2):
        matrix[k, 2 * k : 2 * k + 2] = 1
        matrix[size // 2 + k, 2 * k : 2 * k + 2] = 1, -1
    return matrix / np.sqrt(2)


def transformed(image: np.ndarray, levels: int) -> np.ndarray:
    result, (height, width) = image.copy(), image.shape
    for _ in range(levels):
        result[:height, :width] = level(height) @ result[:height, :width] @ level(width).T
        height, width = height // 2, width // 2
    return result


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_wavelet_is_the_haar_matrix(levels: int) -> None:
    difference = (X - Y).numpy()
    expected = [
        np.mean([np.abs(transformed(channel, levels)).mean() for channel in image])
        for image in difference
    ]
    same(wavelet(X, Y, levels=levels), expected)


def test_the_transform_keeps_squares() -> None:
    coarse, detail = haar(X)
    squares = sum((part * part).sum() for part in (coarse, *detail))
    same(squares, (X * X).sum())


def test_odd_sides_are_continued() -> None:
    x, y = X[:, :, :7, :13], Y[:, :, :7, :13]
    longer = [np.pad(z.numpy(), ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge") for z in (x, y)]
    same(wavelet(x, y, levels=1), wavelet(*map(torch.from_numpy, longer), levels=1))
    for side in (1, 2, 3):
        assert wavelet(X[:, :, :side, :side], Y[:, :, :side, :side], levels=4).isfinite().all()


def test_examples_have_their_value() -> None:
    examples_hold("wavelet")


def test_the_gradient_is_the_derivative() -> None:
    is_derivative(partial(wavelet, levels=2), X[:, :, :5, :6], Y[:, :, :5, :6])


def test_it_compiles_in_one_graph() -> None:
    one_graph(wavelet, (X, Y), (X[:1], Y[:1]))
