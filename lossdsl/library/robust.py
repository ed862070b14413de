"""Robust regression: residuals beyond some size count less and less, or not at all.

One value an element; the residual is prediction minus target.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.limits import expm1_ratio
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

SIGNATURE = "real[*S], real[*S] -> loss[*S]"


@loss(
    "epsilon_insensitive",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=r"\max\left(0,\ \lvert p - y \rvert - \epsilon\right)",
    reference=Reference(
        "H. Drucker, C. J. C. Burges, L. Kaufman, A. Smola and V. Vapnik",
        "Support Vector Regression Machines",
        1996,
    ),
    ranges={"epsilon": "[0, inf)"},
    conventions=("With epsilon = 0 it is l1.", "The gradient is 0 up to and at epsilon."),
    examples=(
        Example("epsilon_insensitive(p, y, epsilon=0.5)", 1.0, {"p": [2.5, 0.25], "y": [0.0, 0.0]}),
    ),
    use=(
        "Targets known to a tolerance only, such as rounded measurements: errors within it are not "
        "chased."
    ),
    avoid=(
        "Where every error counts, and starts at which all lie within the tube and nothing pulls: "
        "`huber` charges small errors a little."
    ),
    checked="The formula in NumPy.",
    related={
        "l1": "this with epsilon = 0",
        "huber": "small errors cheap rather than free",
        "hinge": "the same corner, for signs",
    },
    identities=(("epsilon_insensitive(p, y, epsilon=0)", "l1(p, y)"),),
)
def epsilon_insensitive(p: Tensor, y: Tensor, *, epsilon: Number = 0.1) -> Tensor:
    """Absolute error beyond a tube of half-width `epsilon`, within which errors are free.

    The loss of support vector regression.

    Args:
        epsilon: the error that costs nothing.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `epsilon_insensitive(p, y, epsilon=0.05)`
    """
    return ((p - y).abs() - epsilon).relu()


@loss(
    "tukey",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    aliases=("biweight",),
    latex=(
        r"\begin{cases} \tfrac{c^2}{6} \left(1 - \left(1 - (p-y)^2/c^2\right)^3\right) &"
        r" \lvert p-y \rvert \le c \\ c^2/6 & \text{otherwise} \end{cases}"
    ),
    reference=Reference(
        "A. E. Beaton and J. W. Tukey",
        "The Fitting of Power Series, Meaning Polynomials, Illustrated on Band-Spectroscopic Data",
        1974,
    ),
    ranges={"c": "(0, inf)"},
    conventions=(
        "Half the squared error near 0, and c²/6 from c on.",
        "Residuals are taken as they are, not divided by their median deviation: c = 4.685 is "
        "meant for noise of unit variance.",
    ),
    pitfalls=("No gradient reaches residuals beyond c: a bad start stays bad.",),
    examples=(Example("tukey(p, y, c=2)", 0.3854166666666667, {"p": [1.0], "y": [0.0]}),),
    use=(
        "Fits among gross outliers that should not count at all, once residuals are scaled to unit "
        "noise and the start is good."
    ),
    avoid=(
        "A bad start, since residuals beyond c do not pull: begin with `huber`, or lower the alpha "
        "of `barron` step by step."
    ),
    checked="`statsmodels.robust.norms.TukeyBiweight`, values and slopes.",
    related={
        "geman_mcclure": "flattens, and is never flat",
        "cauchy": "still grows, like a logarithm",
        "barron": "a family that can be annealed",
    },
    identities=(("tukey(2*p, 2*y, c=2)", "4*tukey(p, y, c=1)"),),
)
def tukey(p: Tensor, y: Tensor, *, c: Number = 4.685) -> Tensor:
    """Tukey's biweight: half a square near 0, constant for outliers.

    Args:
        c: the residual from which nothing more is charged.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `tukey((p - y)/s, 0)` with a scale s of the residuals
    """
    # 1 - (1 - t)³ multiplied out, which keeps the digits of small residuals.
    square = (((p - y) / c) ** 2).clamp(max=1.0)
    return c * c / 6 * (square * (3 - square * (3 - square)))


@loss(
    "cauchy",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    aliases=("lorentzian",),
    latex=r"\log\left(1 + \tfrac12 \left(\frac{p - y}{c}\right)^2\right)",
    reference=Reference(
        "M. J. Black and P. Anandan",
        "The Robust Estimation of Multiple Motions: Parametric and Piecewise-Smooth Flow Fields",
        1996,
    ),
    ranges={"c": "(0, inf)"},
    conventions=("Without a factor c²: the curvature at 0 is 1/c².",),
    examples=(Example("cauchy(p, y)", 1.0986122886681098, {"p": [2.0], "y": [0.0]}),),
    use=(
        "Heavy-tailed residuals, as of optical flow or stereo matches: far ones pull like one over "
        "their size."
    ),
    avoid=(
        "Light noise, which `mse` uses better; outliers that should hardly count: `geman_mcclure` "
        "or `tukey`."
    ),
    checked="`kornia.losses.cauchy_loss`.",
    related={
        "student_t_nll": "the likelihood, its scale learnt too",
        "barron": "alpha=0 is this",
        "geman_mcclure": "bounded",
    },
    identities=(
        ("cauchy(p, y, c=2)", "barron(p, y, alpha=0, c=2)"),
        ("cauchy(p, y, c=2)", "cauchy(p/2, y/2)"),
    ),
)
def cauchy(p: Tensor, y: Tensor, *, c: Number = 1.0) -> Tensor:
    """Cauchy's or Lorentz's loss: grows like a logarithm, so its slope fades for outliers.

    Args:
        c: the scale of ordinary residuals.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `cauchy(flow, target, c=0.5)`
    """
    return torch.log1p(0.5 * ((p - y) / c) ** 2)


@loss(
    "geman_mcclure",
    signature=SIGNATURE,
    family="regression",
    values="[0, 2]",
    latex=r"\frac{2 (p - y)^2 / c^2}{(p - y)^2 / c^2 + 4}",
    reference=Reference(
        "S. Geman and D. E. McClure",
        "Bayesian Image Analysis: An Application to Single Photon Emission Tomography",
        1985,
    ),
    ranges={"c": "(0, inf)"},
    conventions=(
        "Scaled as in Barron's family, of which it is the member alpha = -2: half the squared "
        "error near 0, and never more than 2.",
    ),
    pitfalls=("The slope of far outliers fades like the inverse cube of their residual.",),
    examples=(Example("geman_mcclure(p, y)", 1.0, {"p": [2.0], "y": [0.0]}),),
    use=(
        "Registration and pose fits with many false matches: each costs at most 2, however far it "
        "is."
    ),
    avoid=(
        "A bad start, since far residuals hardly pull: `cauchy` or `huber` first, or `barron` with "
        "an alpha that moves from 2 to -2."
    ),
    checked="`kornia.losses.geman_mcclure_loss`.",
    related={
        "barron": "alpha=-2 is this",
        "tukey": "exactly flat beyond c",
        "cauchy": "unbounded",
    },
    identities=(("geman_mcclure(p, y, c=2)", "barron(p, y, alpha=-2, c=2)"),),
)
def geman_mcclure(p: Tensor, y: Tensor, *, c: Number = 1.0) -> Tensor:
    """A square that saturates: each outlier costs almost the same.

    Args:
        c: the scale of ordinary residuals.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `geman_mcclure(p, y, c=0.5)`
    """
    ratio = (p - y) / c
    sine = ratio / torch.hypot(ratio, torch.full_like(ratio, 2.0))
    return 2 * sine * sine


@loss(
    "barron",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    aliases=("adaptive_robust",),
    latex=(
        r"\frac{2 - \alpha}{\alpha} \left(\left(\frac{(p-y)^2/c^2}{2 - \alpha} + 1"
        r"\right)^{\alpha/2} - 1\right)"
    ),
    reference=Reference(
        "J. T. Barron", "A General and Adaptive Robust Loss Function", 2017, "1701.03077"
    ),
    ranges={"alpha": "(-inf, 2]", "c": "(0, inf)"},
    conventions=(
        "alpha = 2 is half the squared error, 1 Charbonnier's, 0 Cauchy's, -2 Geman and "
        "McClure's; towards -inf it becomes Welsch's.",
        "At alpha = 0 and 2 it is the limit; the slope in alpha is infinite at 2 and counts as 0 "
        "there.",
        "The density's normaliser is not part of it: a learnable alpha or c alone runs to where "
        "every residual is free.",
    ),
    pitfalls=("Powers above 2, which the paper defines too, are not taken.",),
    examples=(
        Example("barron(p, y)", 1.0, {"p": [1.7320508075688772], "y": [0.0]}),
        Example("barron(p, y, alpha=2)", 2.0, {"p": [2.0], "y": [0.0]}),
    ),
    use=(
        "To try robustness, or to let it set in, by one number: alpha from 2 (squares) over 1 "
        "(`charbonnier`) and 0 (`cauchy`) downwards."
    ),
    avoid=(
        "A learnable alpha or c on its own, which runs to where all is free: `student_t_nll` is a "
        "likelihood and learns both."
    ),
    checked="The paper's formula in NumPy, and its members.",
    related={
        "mse": "twice the member alpha=2",
        "charbonnier": "the member alpha=1, plus 1",
        "cauchy": "the member alpha=0",
        "geman_mcclure": "the member alpha=-2",
    },
    identities=(
        ("barron(p, y, alpha=2)", "0.5*mse(p, y)"),
        ("barron(p, y, alpha=1)", "charbonnier(p, y, eps=1) - 1"),
        ("barron(p, y, alpha=0)", "cauchy(p, y)"),
        ("barron(p, y, alpha=-2)", "geman_mcclure(p, y)"),
    ),
)
def barron(p: Tensor, y: Tensor, *, alpha: Number = 1.0, c: Number = 1.0) -> Tensor:
    """One family from the square to Welsch's loss, by its power `alpha`.

    Args:
        alpha: the power with which large residuals count.
        c: the residual up to which it looks like a square.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `barron(p, y, alpha=linear(step, 2, 0, 0, 1000))`
    """
    square = wide((p - y) / c) ** 2
    gap = square.new_tensor(2.0) - alpha
    whole = gap == 0
    # From here on the formula differs from its limit by less than its own rounding.
    gap = torch.where(whole, 1.0, gap).clamp(min=1e-20)
    growth = torch.log1p(square / gap)
    value = gap * 0.5 * growth * expm1_ratio(alpha * 0.5 * growth)
    return torch.where(whole, 0.5 * square, value)


@loss(
    "balanced_l1",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} \tfrac{\alpha}{b} (b d + 1) \log(b d + 1) - \alpha d & d < \beta = 1 \\"
        r" \gamma d + \gamma / b - \alpha & \text{otherwise} \end{cases},\quad"
        r" d = \lvert p - y \rvert,\ \alpha \log(b + 1) = \gamma"
    ),
    reference=Reference(
        "J. Pang, K. Chen, J. Shi, H. Feng, W. Ouyang and D. Lin",
        "Libra R-CNN: Towards Balanced Learning for Object Detection",
        2019,
        "1904.02701",
    ),
    ranges={"alpha": "(0, inf)", "gamma": "(0, inf)", "beta": "(0, inf)"},
    conventions=(
        "A beta other than 1 measures residuals and values in units of beta: the slope beyond it "
        "stays gamma.",
    ),
    pitfalls=(
        "mmdetection divides by beta inside the logarithm alone, which for beta other than 1 "
        "leaves a slope at 0.",
    ),
    examples=(
        Example("balanced_l1(p, y)", 1 + 1.5 / 19.085536923187668, {"p": [1.0], "y": [0.0]}),
    ),
    use=(
        "Box regression of two-stage detectors in which hard samples drown the accurate ones: "
        "these get more slope than under `smooth_l1`."
    ),
    avoid=(
        "Residuals in pixels, since its defaults are for normalised offsets; boxes that are judged "
        "by overlap: `giou`."
    ),
    checked="The paper's formula in NumPy.",
    related={
        "smooth_l1": "less slope for small residuals",
        "l1": "full slope everywhere",
        "wing": "still more slope near 0, for landmarks",
    },
    identities=(("balanced_l1(2*p, 2*y, beta=2)", "2*balanced_l1(p, y)"),),
)
def balanced_l1(
    p: Tensor,
    y: Tensor,
    *,
    alpha: Number = 0.5,
    gamma: Number = 1.5,
    beta: Number = 1.0,
) -> Tensor:
    """Absolute error with larger slopes for small residuals than `smooth_l1` has.

    Args:
        alpha: the less, the more gradient small residuals get.
        gamma: the slope of large residuals.
        beta: where the line begins.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `balanced_l1(deltas, target)`
    """
    size = (p - y).abs() / beta
    near = size.clamp(max=1.0)
    bend = math.e ** (gamma / alpha) - 1
    inner = alpha * ((near + 1 / bend) * torch.log1p(bend * near) - near)
    return beta * (inner + gamma * (size - near))


@loss(
    "wing",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} w \log(1 + \lvert p-y \rvert / \epsilon) & \lvert p-y \rvert < w \\"
        r" \lvert p-y \rvert - w + w \log(1 + w / \epsilon) & \text{otherwise} \end{cases}"
    ),
    reference=Reference(
        "Z.-H. Feng, J. Kittler, M. Awais, P. Huber and X.-J. Wu",
        "Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural Networks",
        2017,
        "1711.06753",
    ),
    ranges={"width": "(0, inf)", "epsilon": "(0, inf)"},
    conventions=(
        "width 10 and epsilon 2 in pixels, as in the paper; other libraries have 5 and 0.5.",
        "The slope is width/epsilon next to 0, and 0 at p = y.",
    ),
    pitfalls=("Its width and epsilon are pixels: for coordinates in [0, 1] scale them down.",),
    examples=(Example("wing(p, y)", 6.931471805599453, {"p": [2.0], "y": [0.0]}),),
    use=(
        "Facial landmarks and other keypoints in pixels, to push errors of a few pixels further "
        "down."
    ),
    avoid=(
        "Noisy annotations, whose small errors it magnifies: `smooth_l1`. Heat maps: "
        "`gaussian_focal` or `mse`."
    ),
    checked="The paper's formula in NumPy.",
    related={
        "l1": "the same slope for all residuals",
        "balanced_l1": "a milder form, for boxes",
        "smooth_l1": "the opposite near 0",
    },
    identities=(("wing(2*p, 2*y, width=20, epsilon=4)", "2*wing(p, y)"),),
)
def wing(p: Tensor, y: Tensor, *, width: Number = 10.0, epsilon: Number = 2.0) -> Tensor:
    """A logarithm near 0, which magnifies small errors, and absolute error beyond `width`.

    For landmarks.

    Args:
        width: the residual up to which the logarithm goes.
        epsilon: how sharp the tip is; the slope there is width/epsilon.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `wing(landmarks, target)`
    """
    size = (p - y).abs()
    near = size.clamp(max=width)
    return width * torch.log1p(near / epsilon) + (size - near)
