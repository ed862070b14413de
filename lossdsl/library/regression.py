"""Regression: what a residual costs, from squares to lines.

All but `rmse` give one value an element. Residuals are prediction minus target.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import log_cosh_of
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


@loss(
    "mse",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("pmse",),
    latex=r"(p - y)^2",
    reference=Reference(
        "A.-M. Legendre", "Nouvelles méthodes pour la détermination des orbites des comètes", 1805
    ),
    pitfalls=("Without the factor ½ that many texts put in front of the square.",),
    examples=(Example("mse(p, y)", 2.5, {"p": [1.0, 3.0], "y": [0.0, 1.0]}),),
    use=(
        "Noise that is roughly normal and alike everywhere, where the mean is wanted: clean "
        "targets, pixels, the noise that a diffusion model predicts."
    ),
    avoid=(
        "Targets with outliers, whose squares rule the gradient: `huber` or `l1`. Where the noise "
        "differs from sample to sample, `gaussian_nll` learns it."
    ),
    checked="`torch.nn.functional.mse_loss`, values and gradients.",
    related={
        "rmse": "its root, in the units of the target",
        "euclidean": "half the sum over a sample in place of the mean",
        "l1": "seeks the median rather than the mean",
        "gaussian_nll": "with a variance that is predicted too",
    },
    identities=(
        ("mse(p, y)", "rmse(p, y)**2"),
        ("mse(p, y)", "2*barron(p, y, alpha=2)"),
        ("mse(p, y)", "2*gaussian_nll(p, y, 1)"),
    ),
)
def mse(p: Tensor, y: Tensor) -> Tensor:
    """Squared error of each element.

    The likelihood of normal noise with one fixed variance: large residuals dominate.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `mse(p, y)`, or `sqrt(mse(p, y, mask=m))` for a root over the kept elements.
    """
    residual = p - y
    return residual * residual


@loss(
    "l1",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("mae", "cycle", "identity"),
    latex=r"\lvert p - y \rvert",
    reference=Reference(
        "P.-S. Laplace", "Mémoire sur la probabilité des causes par les évènements", 1774
    ),
    conventions=("The gradient at p = y is 0.",),
    examples=(Example("l1(p, y)", 1.5, {"p": [1.0, 3.0], "y": [0.0, 1.0]}),),
    use=(
        "Targets with outliers or heavy tails, for which the median is a good answer; image "
        "restoration, where it blurs less than `mse`; boxes in DETR, beside `giou`."
    ),
    avoid=(
        "Training to high precision: its slope does not fade with the error, so steps overshoot. "
        "`smooth_l1`, `huber` and `charbonnier` are round at 0."
    ),
    checked="`torch.nn.functional.l1_loss`, values and gradients.",
    related={
        "huber": "a square near 0",
        "charbonnier": "with its corner rounded",
        "quantile": "half of this at q=0.5, other quantiles else",
        "laplace_nll": "with a scale that is predicted too",
    },
    identities=(
        ("l1(p, y)", "2*quantile(p, y, q=0.5)"),
        ("l1(p, y)", "epsilon_insensitive(p, y, epsilon=0)"),
        ("l1(p, y)", "charbonnier(p, y, eps=0)"),
    ),
)
def l1(p: Tensor, y: Tensor) -> Tensor:
    """Absolute error of each element.

    Its minimiser is the median, so single wild targets hardly move it.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `5*l1(box, target) + 2*giou(box, target)`
    """
    return (p - y).abs()


@loss(
    "smooth_l1",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} (p-y)^2 / 2\beta & \lvert p-y \rvert < \beta \\"
        r" \lvert p-y \rvert - \beta/2 & \text{otherwise} \end{cases}"
    ),
    reference=Reference("R. Girshick", "Fast R-CNN", 2015, "1504.08083"),
    ranges={"beta": "[0, inf)"},
    conventions=("With beta = 0 it is l1, in value and gradient.",),
    pitfalls=(
        "Not huber: huber(delta=b) is b times smooth_l1(beta=b).",
        "Code that asks for sigma means beta = 1/sigma².",
    ),
    examples=(Example("smooth_l1(p, y)", 0.8125, {"p": [0.5, 2.0], "y": [0.0, 0.0]}),),
    use=(
        "Offsets of boxes in two-stage detectors, whose slope must stay at most 1 whatever the "
        "width of the square part."
    ),
    avoid=(
        "Boxes that are judged by overlap: `giou` and `ciou` follow the measure itself. Where "
        "small errors should keep their curvature as the width changes: `huber`."
    ),
    checked="`torch.nn.functional.smooth_l1_loss`, values and gradients, beta = 0 included.",
    related={
        "huber": "delta times this: the curvature stays 1 and the slope grows",
        "l1": "this with beta = 0",
        "balanced_l1": "more slope for small residuals",
    },
    identities=(
        ("smooth_l1(p, y, beta=0)", "l1(p, y)"),
        ("smooth_l1(p, y, beta=2)", "0.5*huber(p, y, delta=2)"),
    ),
)
def smooth_l1(p: Tensor, y: Tensor, *, beta: Number = 1.0) -> Tensor:
    """Absolute error, rounded off to a square within `beta` of 0.

    Its slope never exceeds 1, whatever `beta`: the box regression of Fast R-CNN.

    Args:
        beta: where the square ends.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `smooth_l1(deltas, target, beta=1/9)`
    """
    residual = p - y
    size = residual.abs()
    within = size < beta
    inner = torch.where(within, residual, 0.0)
    # Adding the comparison turns a beta of 0 into 1, and nothing is within that.
    return torch.where(within, 0.5 * inner * inner / (beta + (beta == 0)), size - 0.5 * beta)


@loss(
    "huber",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} (p-y)^2 / 2 & \lvert p-y \rvert \le \delta \\"
        r" \delta (\lvert p-y \rvert - \delta/2) & \text{otherwise} \end{cases}"
    ),
    reference=Reference("P. J. Huber", "Robust Estimation of a Location Parameter", 1964),
    ranges={"delta": "(0, inf)"},
    pitfalls=("Not smooth_l1: huber(delta=b) is b times smooth_l1(beta=b).",),
    examples=(Example("huber(p, y, delta=2)", 4.0, {"p": [3.0], "y": [0.0]}),),
    use=(
        "Regression with a few wild targets, and temporal-difference errors of Q-learning: squares "
        "for ordinary residuals, a bounded slope for the others."
    ),
    avoid=(
        "Many gross outliers, whose pull is bounded here but never fades: `cauchy`, "
        "`geman_mcclure` or `tukey`. Clean normal noise: `mse`."
    ),
    checked="`torch.nn.functional.huber_loss`, values and gradients.",
    related={
        "smooth_l1": "this divided by delta",
        "log_cosh": "smooth in every derivative, without a width",
        "barron": "slopes that fade, by one number",
        "huber_quantile": "other weights above and below",
    },
    identities=(
        ("huber(p, y, delta=0.5)", "0.5*smooth_l1(p, y, beta=0.5)"),
        ("huber(p, y)", "2*huber_quantile(p, y, q=0.5)"),
    ),
)
def huber(p: Tensor, y: Tensor, *, delta: Number = 1.0) -> Tensor:
    """Half the squared error up to `delta`, a straight line with that slope beyond.

    Args:
        delta: the residual from which errors count linearly.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `huber(q, reward + 0.99*detach(next_q))`
    """
    residual = p - y
    capped = residual.clamp(min=-delta).clamp(max=delta)
    return capped * (residual - 0.5 * capped)


@loss(
    "log_cosh",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=r"\log \cosh (p - y)",
    reference=Reference(
        "R. A. Saleh and A. K. Md. E. Saleh",
        "Statistical Properties of the log-cosh Loss Function Used in Machine Learning",
        2022,
        "2208.04564",
    ),
    examples=(Example("log_cosh(p, y)", 0.4337808304830271, {"p": [1.0], "y": [0.0]}),),
    use=(
        "In place of `huber` where second derivatives are used, as by boosted trees or Newton's "
        "method: it is smooth everywhere."
    ),
    avoid=(
        "Residuals far from 1 in size, since it has no width to set: scale the targets, or take "
        "`huber` with its delta."
    ),
    checked="NumPy's logarithm of cosh, and its Taylor series near 0.",
    related={
        "huber": "the same shape with a width",
        "charbonnier": "a hyperbola, closer to l1 with a small eps",
        "log_cosh_dice": "of a Dice loss",
    },
    identities=(("log_cosh(p, y)", "mean(softplus(2*(p - y)) - (p - y)) - log(2)"),),
)
def log_cosh(p: Tensor, y: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine of the residual: half a square that turns into a line.

    Like `huber` with `delta=1`, and smooth in every derivative.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `log_cosh(p, y)`
    """
    return log_cosh_of(p - y)


@loss(
    "charbonnier",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=r"\sqrt{(p - y)^2 + \epsilon^2}",
    reference=Reference(
        "P. Charbonnier, L. Blanc-Féraud, G. Aubert and M. Barlaud",
        "Two Deterministic Half-Quadratic Regularization Algorithms for Computed Imaging",
        1994,
    ),
    ranges={"eps": "[0, inf)"},
    conventions=(
        "eps stands squared under the root and defaults to 1e-3, as in LapSRN.",
        "Nothing is subtracted: a perfect match costs eps, not 0.",
        "With eps = 0 it is l1, gradient 0 at p = y included.",
    ),
    pitfalls=("Some libraries add eps as it is; their 1e-12 is an eps of 1e-6 here.",),
    examples=(Example("charbonnier(p, y, eps=3)", 5.0, {"p": [4.0], "y": [0.0]}),),
    use=(
        "Super-resolution, deblurring, dehazing: `l1` in all but name, with a gradient that fades "
        "within eps of 0."
    ),
    avoid=(
        "Where a perfect match should cost 0, since it costs eps: `huber` or `smooth_l1`. "
        "Structure rather than pixels: `ssim` beside it."
    ),
    checked="NumPy's hypot.",
    related={
        "l1": "this with eps = 0",
        "barron": "alpha=1 is this less its least value, in units of a scale",
        "huber": "exactly a square near 0",
    },
    identities=(
        ("charbonnier(p, y, eps=0)", "l1(p, y)"),
        ("charbonnier(p, y, eps=1)", "1 + barron(p, y, alpha=1)"),
    ),
)
def charbonnier(p: Tensor, y: Tensor, *, eps: Number = 1e-3) -> Tensor:
    """Absolute error with its corner rounded over a width of `eps`.

    The usual choice of super-resolution and restoration.

    Args:
        eps: the width of the rounding, and the value at a perfect match.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `charbonnier(img, target) + 0.1*tv(img)`
    """
    # The default eps² has no digits in half precision.
    residual = wide(p - y)
    square = residual * residual + eps * eps
    # eps² may underflow; the smallest normal number keeps the root's slope finite.
    return square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()


@loss(
    "rmse",
    signature="real[*S], real[*S] -> loss[]",
    family="regression",
    values="[0, inf)",
    latex=r"\sqrt{\tfrac{1}{N} \sum_i (p_i - y_i)^2}",
    reference="classical",
    conventions=(
        "One root for the whole batch, without an epsilon under it.",
        "A perfect match has value 0 and gradient 0.",
    ),
    pitfalls=(
        "The mean of the samples' roots is another number.",
        "The batch's root is not the mean of its micro-batches' roots.",
    ),
    examples=(Example("rmse(p, y)", 5.0, {"p": [1.0, 7.0], "y": [0.0, 0.0]}),),
    mask="none",
    use="Reports in the units of the target, and competitions that are scored by it.",
    avoid=(
        "Small batches and accumulated gradients, whose roots do not average to that of the whole; "
        "its gradient keeps its length however small the error. `mse` has the same minimum."
    ),
    checked="`sklearn.metrics.root_mean_squared_error`.",
    related={
        "mse": "without the root",
        "rel_l2": "relative to the size of the target, sample by sample",
        "psnr": "its logarithm, for images",
    },
    identities=(("rmse(p, y)", "sqrt(mse(p, y))"),),
)
def rmse(p: Tensor, y: Tensor) -> Tensor:
    """Root of the mean squared error over everything.

    In the units of the target, which makes it readable; its gradient has length one over the
    root of the number of elements, however small the error.

    Shape:
        p and y alike, any shape; one value for the batch.

    Example:
        `rmse(p, y)`
    """
    residual = wide(p - y)
    mean = (residual * residual).sum() / max(residual.numel(), 1)
    wrong = mean > 0
    return torch.where(wrong, torch.where(wrong, mean, 1.0).sqrt(), 0.0)
