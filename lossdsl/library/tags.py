"""Several labels a sample: losses that set the present ones against the absent ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


def highest(scores: Tensor, chosen: Tensor, axis: int, temperature: Number) -> Tensor:
    """The soft maximum of the chosen scores along an axis."""
    none = torch.finfo(scores.dtype).min
    return temperature * torch.where(chosen, scores / temperature, none).logsumexp(axis)


def contrasted(
    p: Tensor, present: Tensor, absent: Tensor, axis: int, temperatures: tuple[Number, Number]
) -> Tensor:
    """How the lowest present score stands to the highest absent one along an axis: the mean over
    the lines that have something present."""
    low = highest(-p, present, axis, temperatures[0])
    high = highest(p, absent, axis, temperatures[1])
    some = present.any(axis)
    both = some & absent.any(axis)
    cost = torch.where(both, -F.logsigmoid(-torch.where(both, low + high, 0.0)), 0.0)
    return cost.sum() / some.to(cost.dtype).sum().clamp(min=1)


@loss(
    "two_way",
    signature="logits[B, C], mask[B, C] -> loss[]",
    family="classification",
    values="[0, inf)",
    latex=r"\frac{1}{|R|} \sum_{r \in R} \log\Big(1 + \Big[\sum_{i \in r : y_i = 0} "
    r"e^{p_i / T_0}\Big]^{T_0} \Big[\sum_{i \in r : y_i = 1} e^{-p_i / T_1}\Big]^{T_1}\Big)"
    r" + \text{the same over columns}",
    reference=Reference("T. Kobayashi", "Two-Way Multi-Label Loss", 2023),
    ranges={"present_temperature": "(0, inf)", "absent_temperature": "(0, inf)"},
    mask="inside",
    conventions=(
        "The mean over the rows (samples) with a present label, plus that over the columns "
        "(classes) with a sample that has it; those with nothing absent cost 0.",
        "A mask leaves samples or entries out of both.",
    ),
    pitfalls=(
        "Scores rank labels: their sigmoid is no probability, and the threshold is yours to find.",
        "The columns compare the samples of a batch, so the value depends on what it is made of.",
    ),
    examples=(
        Example("two_way(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [[1.0, 0.0]]}),
        Example(
            "two_way(p, y, present_temperature=1)",
            2 * 0.6931471805599453,
            {"p": [[0.0, 0.0], [0.0, 0.0]], "y": [[1.0, 0.0], [0.0, 1.0]]},
        ),
    ),
    use="For many tags of which few are present, judged by rankings such as mean average "
    "precision, with batches of at least some tens of samples.",
    avoid="Where probabilities are needed take `bce` or `asymmetric_focal`; with batches of a few "
    "samples `zlpr`, which looks at each sample alone.",
    checked="Loops over rows and columns from the paper in NumPy, in float64.",
    related={
        "zlpr": "one way, with a threshold at 0",
        "multilabel_margin": "hinges over the same pairs of a sample",
        "asymmetric_focal": "element by element",
    },
    identities=(
        (
            "input p: logits[B, C]; input y: mask[B, C]; two_way(p, y)",
            "input p: logits[B, C]; input y: mask[B, C]; two_way(p + 2, y)",
        ),
    ),
)
def two_way(
    p: Tensor,
    y: Tensor,
    *,
    present_temperature: Number = 4.0,
    absent_temperature: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """The lowest present label against the highest absent one, over classes and over samples.

    Args:
        present_temperature: the larger, the more present labels count beside the lowest.
        absent_temperature: the larger, the more absent labels count beside the highest.

    Shape:
        p and y with the classes last; one value for the batch.

    Example:
        `two_way(p, tags)`
    """
    p = wide(p)
    kept = torch.ones_like(p, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    p = torch.where(kept, p, 0.0)
    present, absent = kept & (y > 0), kept & (y <= 0)
    temperatures = (present_temperature, absent_temperature)
    rows = contrasted(p, present, absent, 1, temperatures)
    return rows + contrasted(p, present, absent, 0, temperatures)
