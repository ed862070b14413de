"""Speech and sound, written out in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, choice, normal, several, uniform, whole
from torch import Tensor


def hifigan_g(**x: Any) -> Tensor:
    judged = sum(((s - 1) ** 2).mean() for s in x["scores"])
    maps = zip(x["layers"], x["true_layers"], strict=True)
    matched = sum((a - b.detach()).abs().mean() for a, b in maps)
    return judged + 2 * matched + 45 * (x["mel"] - x["true_mel"]).abs().mean()


def hifigan_d(real: list[Tensor], fake: list[Tensor]) -> Any:
    return sum(((r - 1) ** 2).mean() + (f**2).mean() for r, f in zip(real, fake, strict=True))


def magnitude(x: Tensor, window: int) -> Tensor:
    hann = torch.hann_window(window, dtype=x.dtype)
    parts = torch.stft(x, window, window // 4, window, hann, center=False, return_complex=True)
    return parts.abs()


def parallel_wavegan_g(p: Tensor, y: Tensor, score: Tensor) -> Tensor:
    total = 4 * ((score - 1) ** 2).mean()
    for window in (64, 32, 16):
        a, b = magnitude(p, window), magnitude(y, window)
        ratio = (b - a).square().sum((1, 2)).sqrt() / b.square().sum((1, 2)).sqrt()
        logs = (torch.log(a + 1e-5) - torch.log(b + 1e-5)).abs().mean((1, 2))
        total = total + (ratio + logs).mean() / 3
    return total


def ctc_attention(**x: Any) -> Tensor:
    log_p = x["p"].log_softmax(1).permute(2, 0, 1)
    timed = F.ctc_loss(log_p, x["y"], x["frames"], x["lengths"])
    return 0.2 * timed + 0.8 * F.cross_entropy(x["decoder"], x["tokens"])


SCORES = ("list[score[B, _]; 2]", several(normal(2, 3), normal(2, 5)))
MAPS = ("features", several(normal(2, 3, 4), normal(2, 5, 2), normal(2, 4, 3)))
MEL = ("real[B, M, T]", normal(2, 4, 5))
FRAMES = ("real[B, L]", normal(2, 6))

CASES = [
    Case(
        "hifigan_g(scores, layers, true_layers, mel, true_mel)",
        {"scores": SCORES, "layers": MAPS, "true_layers": MAPS, "mel": MEL, "true_mel": MEL},
        hifigan_g,
    ),
    Case(
        "hifigan_d(real, fake)",
        {"real": SCORES, "fake": SCORES},
        hifigan_d,
    ),
    Case(
        "parallel_wavegan_g(p, y, score, window=64)",
        {
            "p": ("real[B, N]", normal(2, 150)),
            "y": ("real[B, N]", normal(2, 150)),
            "score": ("score[B, M]", normal(2, 5)),
        },
        parallel_wavegan_g,
    ),
    Case(
        "tacotron2(mel, refined, target, stop, stopped)",
        {
            "mel": MEL,
            "refined": MEL,
            "target": MEL,
            "stop": ("logits[B, T]", normal(2, 5)),
            "stopped": ("mask[B, T]", choice(2, 5)),
        },
        lambda mel, refined, target, stop, stopped: (
            F.mse_loss(mel, target)
            + F.mse_loss(refined, target)
            + F.binary_cross_entropy_with_logits(stop, stopped.double())
        ),
    ),
    Case(
        "fastspeech2(mel, target, duration, frames, pitch, true_pitch, energy, true_energy)",
        {
            "mel": MEL,
            "target": MEL,
            **dict.fromkeys(("duration", "pitch", "true_pitch", "energy", "true_energy"), FRAMES),
            "frames": ("real[B, L]", uniform(2, 6, high=20.0)),
        },
        lambda mel, target, duration, frames, pitch, true_pitch, energy, true_energy: (
            F.l1_loss(mel, target)
            + F.mse_loss(duration, torch.log(frames + 1))
            + F.mse_loss(pitch, true_pitch)
            + F.mse_loss(energy, true_energy)
        ),
    ),
    Case(
        "ctc_attention(p, y, frames, lengths, decoder, tokens)",
        {
            "p": ("class_logits[B, C, T]", normal(2, 5, 9)),
            "y": ("count[B, L]", whole(2, 3, start=1, below=5)),
            "frames": ("count[B]", lambda g: torch.tensor([9, 8])),
            "lengths": ("count[B]", lambda g: torch.tensor([3, 2])),
            "decoder": ("class_logits[B, C, L]", normal(2, 5, 3)),
            "tokens": ("labels[B, L]", whole(2, 3, below=5)),
        },
        ctc_attention,
    ),
]
