"""Transcripts: labels in order, without saying at which frame each stands.

The recursion over frames is one operator of torch's dispatcher, opaque to compilation: a sequence
of any length is one node. It gives the cost and its slope together; derivatives stop there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES
from lossdsl.library.guarded import log_prob
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss, overload

NEVER = -torch.inf


def extended(labels: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """Labels with a blank around each, and where a state may be reached from two before: from a
    label to a different one."""
    batch, length = labels.shape
    states = labels.new_full((batch, 2 * length + 1), blank)
    states[:, 1::2] = labels
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    return states, skips


def later(x: Tensor, by: int) -> Tensor:
    """Each state's value some states on; what enters is impossible."""
    return F.pad(x, (by, 0), value=NEVER)[:, : x.shape[1]]


def earlier(x: Tensor, by: int) -> Tensor:
    """Each state's value some states back."""
    return F.pad(x, (0, by), value=NEVER)[:, by:]


def any_of(*logs: Tensor) -> Tensor:
    """The logarithm of a sum of probabilities."""
    return torch.stack(logs).logsumexp(0)


@custom_op("lossdsl::transcript_cost", mutates_args=())
def transcript_cost(
    log_p: Tensor, labels: Tensor, frames: Tensor, lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The negative log-likelihood of transcripts, `[B]`, and its slope, `[B, C, T]`.

    A transcript that does not fit into its frames has cost 0 and slope 0.
    """
    batch, _, count = log_p.shape
    states, skips = extended(labels, blank)
    places = torch.arange(states.shape[1], device=log_p.device)
    emitted = log_p.gather(1, states.unsqueeze(2).expand(-1, -1, count)).movedim(2, 0)
    last = 2 * lengths.unsqueeze(1)
    ends = torch.where((places == last) | ((places == last - 1) & (lengths > 0)[:, None]), 0, NEVER)
    ends = ends.to(log_p.dtype)
    starts = torch.where(places < 2, 0.0, NEVER).to(log_p.dtype).expand(batch, -1)

    reached: list[Tensor] = []
    for t in range(count):
        before = reached[-1] if reached else starts
        skipping = torch.where(skips, later(before, 2), NEVER)
        came = any_of(before, later(before, 1), skipping) if reached else before
        reached.append(torch.where((t < frames)[:, None], came + emitted[t], before))
    total = (reached[-1] + ends if reached else ends + NEVER).logsumexp(1)
    possible = (total > NEVER) & (frames > 0)

    slope = torch.zeros_like(log_p)
    ahead = ends
    for t in reversed(range(count)):
        if t + 1 < count:
            onwards = ahead + emitted[t + 1]
            skipping = earlier(torch.where(skips, onwards, NEVER), 2)
            going = any_of(onwards, earlier(onwards, 1), skipping)
            ahead = torch.where((t + 1 < frames)[:, None], going, ends)
        share = torch.exp(reached[t] + ahead - torch.where(possible, total, 0.0)[:, None])
        share = torch.where((possible & (t < frames))[:, None], share, 0.0)
        slope[:, :, t].scatter_add_(1, states, -share)
    return torch.where(possible, -total, 0.0), slope


@transcript_cost.register_fake
def _(
    log_p: Tensor, labels: Tensor, frames: Tensor, lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    return log_p.new_empty(log_p.shape[0]), torch.empty_like(log_p)


def keep_slope(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])


def by_slope(ctx: Any, cost: Tensor, slope: Tensor) -> tuple[Tensor | None, ...]:
    return cost[:, None, None] * ctx.saved_tensors[0], None, None, None, None


transcript_cost.register_autograd(by_slope, setup_context=keep_slope)


@loss(
    "ctc",
    signature="class_logits|class_log_prob[B, C, T], count[B, L], count[B], count[B] -> loss[B]",
    family="classification",
    values="[0, inf)",
    latex=r"-\frac{1}{n} \log \sum_{\pi : \mathrm{collapse}(\pi) = y} \prod_t q_{\pi_t t}, \quad "
    r"q = \mathrm{softmax}(p)",
    reference=Reference(
        "A. Graves, S. Fernández, F. Gomez and J. Schmidhuber",
        "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with "
        "Recurrent Neural Networks",
        2006,
    ),
    ranges={"blank": "[0, inf)"},
    conventions=(
        "Divided by the number of labels, so the mean is PyTorch's; per_label=false leaves it out.",
        "A transcript that does not fit into its frames costs 0, as with PyTorch's zero_infinity.",
        "Labels behind a transcript's length do not matter; lengths beyond the axes are cut.",
        "The gradient is that of the log-probabilities as they come; PyTorch's holds only behind "
        "a log_softmax. There is no second derivative.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Classes are axis 1 and frames axis 2; PyTorch has frames, batch, classes.",),
    examples=(
        Example(
            "ctc(class_prob(p), y, n, m)",
            0.2876820724517809,
            {"p": [[[0.5, 0.5], [0.5, 0.5]]], "y": [[1]], "n": [2], "m": [1]},
        ),
    ),
    use=(
        "Speech, handwriting and other transcripts without timing, whose labels come in the order "
        "of the frames."
    ),
    avoid=(
        "A label for each frame: `ce`. Labels in another order, or more of them than frames, as in "
        "translation: a decoder with `ce`. Series of numbers: `soft_dtw`."
    ),
    checked="`torch.nn.functional.ctc_loss`, and the sum over all paths.",
    related={
        "ce": "where the timing is known",
        "soft_dtw": "aligns numbers",
    },
    identities=(("ctc(p, y, n, m)", "ctc(log_softmax(p), y, n, m)"),),
)
def ctc(
    p: Tensor,
    y: Tensor,
    frames: Tensor,
    lengths: Tensor,
    *,
    blank: int = 0,
    per_label: bool = True,
) -> Tensor:
    """Connectionist temporal classification: any timing of the labels counts.

    Args:
        blank: the class that stands for no label.
        per_label: whether the cost is divided by the number of labels.

    Shape:
        p is [B, C, T], y [B, L] with the labels first, frames and lengths [B] say how much of T
        and L is used; one value a sequence.

    Example:
        `ctc(p, text, frames, letters)`
    """
    p = wide(p)
    labels = y.clamp(0, p.shape[1] - 1)
    frames = frames.clamp(0, p.shape[2])
    lengths = lengths.clamp(0, y.shape[1])
    cost: Tensor = transcript_cost(p, labels, frames, lengths, blank)[0]
    return cost / lengths.clamp(min=1).to(cost.dtype) if per_label else cost


@overload("ctc", signature="class_prob[B, C, T], count[B, L], count[B], count[B] -> loss[B]")
def ctc_of_prob(
    p: Tensor,
    y: Tensor,
    frames: Tensor,
    lengths: Tensor,
    *,
    blank: int = 0,
    per_label: bool = True,
) -> Tensor:
    """Connectionist temporal classification of class probabilities."""
    return ctc(log_prob(p), y, frames, lengths, blank=blank, per_label=per_label)
