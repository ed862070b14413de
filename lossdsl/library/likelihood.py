"""Likelihoods beyond the normal one: minus the logarithm of a density, from its parameters.

Each is one value an element. But for `tweedie`, whose density has no closed form, it is the
whole density: no constant is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored
from lossdsl.library.limits import log1p_ratio, log_excess, log_gamma_rest, log_rise
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

LEAST_PARAMETER = 1e-8
"""Rates, shapes and degrees of freedom below it count as this much, as in `poisson_nll`."""

LEAST_TARGET = 1e-20
"""Where the logarithm of a positive target stops: its slope there is finite in float32."""

OF_PARAMETERS = "A rate, shape or dispersion below 1e-8 counts as 1e-8."
OF_TARGETS = "A target below 1e-20 counts as 1e-20 inside the logarithm."
WHOLE = "The whole density, constants included."


@loss(
    "neg_binomial_nll",
    signature="positive[*S], real[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=(
        r"-\log \frac{\Gamma(y + r)}{\Gamma(y + 1)\, \Gamma(r)}"
        r" - r \log \frac{1}{1 + \alpha\mu} - y \log \frac{\alpha\mu}{1 + \alpha\mu},"
        r"\quad r = 1/\alpha"
    ),
    reference=Reference(
        "D. Salinas, V. Flunkert and J. Gasthaus",
        "DeepAR: Probabilistic Forecasting with Autoregressive Recurrent Networks",
        2017,
        "1704.04110",
    ),
    conventions=(
        "By mean and dispersion alpha: the variance is mean + alpha*mean². PyTorch's total_count "
        "is 1/alpha, its probs alpha*mean/(1 + alpha*mean).",
        "Towards alpha = 0 it is the Poisson likelihood, to all digits.",
        "A count below 0 counts as 0.",
        WHOLE,
        OF_PARAMETERS,
    ),
    pitfalls=("The third argument is the dispersion, not the number of failures 1/alpha.",),
    examples=(
        Example(
            "neg_binomial_nll(m, y, a)",
            1.3862943611198906,
            {"m": [1.0], "y": [1.0], "a": [1.0]},
        ),
    ),
    use=(
        "Counts that come in bursts, as of sales or visits, whose variance grows faster than their "
        "mean; DeepAR's loss of counts."
    ),
    avoid=(
        "Counts whose variance is about their mean, where alpha runs to 0: `poisson_nll` has one "
        "output less. Amounts: `gamma_nll` or `tweedie`."
    ),
    checked="`scipy.stats.nbinom`, and `scipy.stats.poisson` at the limit.",
    related={
        "poisson_nll": "its limit without dispersion",
        "tweedie": "for amounts that are often 0",
        "gamma_nll": "of the rate that varies behind such counts",
    },
)
def neg_binomial_nll(mean: Tensor, target: Tensor, alpha: Tensor) -> Tensor:
    """Negative log-likelihood of counts that vary more than Poisson's.

    Shape:
        mean, target and alpha alike, any shape, mean and alpha > 0, target >= 0; one value an
        element.

    Example:
        `neg_binomial_nll(softplus(m), sales, softplus(a))`
    """
    mean = floored(wide(mean), LEAST_PARAMETER)
    alpha = floored(wide(alpha), LEAST_PARAMETER)
    count = wide(target).clamp(min=0.0)
    spread = alpha * mean
    kept = count * (torch.log1p(spread) - mean.log()) + mean * log1p_ratio(spread)
    return kept + torch.lgamma(count + 1) - log_rise(count, alpha)


def bent_exp(x: Tensor) -> Tensor:
    """e^x, which above half of the largest exponent goes on along its tangent."""
    held = x.clamp(max=0.5 * math.log(torch.finfo(x.dtype).max))
    return held.exp() * (1 + (x - held))


@loss(
    "tweedie",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    latex=r"\frac{e^{(2 - \rho) z}}{2 - \rho} - \frac{y\, e^{(1 - \rho) z}}{1 - \rho}",
    reference=Reference("B. Jørgensen", "Exponential Dispersion Models", 1987),
    ranges={"power": "(1, 2)"},
    conventions=(
        "An undeclared or real prediction is the logarithm of the mean, a positive one the mean.",
        "Half the deviance without the terms of the target alone: its minimum is not 0.",
        "An exponent above half of the largest one (44 in float32) goes on along the tangent.",
        "A mean below 1e-8 counts as 1e-8.",
    ),
    pitfalls=("power = 1 is poisson_nll and 2 is gamma's; both ends are left out here.",),
    examples=(Example("tweedie(z, y)", 6.0, {"z": [0.0], "y": [2.0]}),),
    use=(
        "Amounts that are often exactly 0 and else positive: rain, insurance claims, intermittent "
        "demand."
    ),
    avoid=(
        "Amounts that are never 0: `gamma_nll` or `lognormal_nll`, which learn the spread too. "
        "Counts: `poisson_nll` or `neg_binomial_nll`."
    ),
    checked="Half of `sklearn.metrics.mean_tweedie_deviance`, less the terms of the target.",
    related={
        "poisson_nll": "its limit at power 1",
        "gamma_nll": "power 2, with a shape that is learnt",
        "neg_binomial_nll": "for counts",
    },
)
def tweedie(p: Tensor, y: Tensor, *, power: Number = 1.5) -> Tensor:
    """Likelihood of amounts that are often exactly 0 and else positive: rain, insurance claims.

    Args:
        power: the variance grows like this power of the mean.

    Shape:
        p and y alike, any shape, y >= 0; one value an element.

    Example:
        `tweedie(log_mean, claims, power=1.7)`
    """
    p = wide(p)
    return bent_exp(p * (2 - power)) / (2 - power) + y * bent_exp(p * (1 - power)) / (power - 1)


@overload("tweedie", signature="positive[*S], real[*S] -> loss[*S]")
def tweedie_of_mean(p: Tensor, y: Tensor, *, power: Number = 1.5) -> Tensor:
    """Tweedie's likelihood from the mean itself."""
    mean = floored(wide(p), LEAST_PARAMETER)
    return mean ** (2 - power) / (2 - power) + y * mean ** (1 - power) / (power - 1)


@loss(
    "exponential_nll",
    signature="positive[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=r"\lambda y - \log \lambda",
    reference="classical",
    conventions=(WHOLE, OF_PARAMETERS),
    pitfalls=("The prediction is the rate, whose inverse is the mean.",),
    examples=(Example("exponential_nll(r, y)", 5.306852819440055, {"r": [2.0], "y": [3.0]}),),
    use=(
        "Waiting times between events of a constant rate: arrivals, decays, failures without "
        "ageing."
    ),
    avoid=(
        "Times that gather around a value, or spread wider than their mean: `gamma_nll` and "
        "`lognormal_nll` have a second parameter."
    ),
    checked="`scipy.stats.expon`.",
    related={
        "gamma_nll": "this is its concentration 1",
        "poisson_nll": "counts the events instead",
    },
    identities=(("exponential_nll(r, y)", "gamma_nll(1, y, r)"),),
)
def exponential_nll(rate: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of waiting times whose rate is predicted.

    Shape:
        rate and target alike, any shape, both > 0; one value an element.

    Example:
        `exponential_nll(exp(z), hours)`
    """
    rate = floored(wide(rate), LEAST_PARAMETER)
    return rate * target - rate.log()


@loss(
    "gamma_nll",
    signature="positive[*S], positive[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=r"\log \Gamma(a) - a \log b - (a - 1) \log y + b y",
    reference="classical",
    conventions=(
        "By concentration a and rate b: the mean is a/b.",
        WHOLE,
        OF_PARAMETERS,
        OF_TARGETS,
    ),
    pitfalls=("The third argument is the rate, not the scale 1/rate.",),
    examples=(
        Example(
            "gamma_nll(a, y, b)",
            0.6137056388801094,
            {"a": [2.0], "y": [1.0], "b": [2.0]},
        ),
    ),
    use=(
        "Positive, skewed amounts whose spread grows with their mean: durations, incomes, sizes of "
        "claims."
    ),
    avoid="Targets that may be 0: `tweedie`. Tails heavier than an exponential's: `lognormal_nll`.",
    checked="`scipy.stats.gamma`.",
    related={
        "exponential_nll": "concentration 1",
        "lognormal_nll": "heavier tails",
        "tweedie": "zeros too, with a fixed power",
    },
    identities=(("gamma_nll(1, y, r)", "exponential_nll(r, y)"),),
)
def gamma_nll(concentration: Tensor, target: Tensor, rate: Tensor) -> Tensor:
    """Negative log-likelihood of positive amounts with a gamma distribution.

    Shape:
        concentration, target and rate alike, any shape, all > 0; one value an element.

    Example:
        `gamma_nll(softplus(a), y, softplus(b))`
    """
    shape = floored(wide(concentration), LEAST_PARAMETER)
    rate = floored(wide(rate), LEAST_PARAMETER)
    target = floored(wide(target), LEAST_TARGET)
    # By the ratio to the mean, so that large shapes keep their digits.
    return shape * log_excess(rate * target / shape) + log_gamma_rest(shape) + target.log()


@loss(
    "laplace_nll",
    signature="real[*S], real[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=r"\log 2b + \frac{\lvert \mu - y \rvert}{b}",
    reference=Reference(
        "P.-S. Laplace", "Mémoire sur la probabilité des causes par les évènements", 1774
    ),
    ranges={"eps": "(0, inf)"},
    conventions=(
        WHOLE,
        "A scale below eps counts as eps, with the gradient that eps has.",
        "The gradient of the location at p = y is 0.",
    ),
    pitfalls=("The third argument is the scale b; the variance is 2b².",),
    examples=(
        Example("laplace_nll(m, y, b)", 2.6931471805599454, {"m": [0.0], "y": [2.0], "b": [1.0]}),
    ),
    use=(
        "Regression with an uncertainty where single targets are far off: the location learns the "
        "median, the scale the mean absolute error."
    ),
    avoid=(
        "Noise that is close to normal, of which `gaussian_nll` learns more; outliers of any size: "
        "`student_t_nll`."
    ),
    checked="`scipy.stats.laplace`.",
    related={
        "l1": "the scale fixed",
        "gaussian_nll": "squares in place of distances",
        "student_t_nll": "far residuals pull less and less",
    },
    identities=(
        ("laplace_nll(m, y, 1)", "l1(m, y) + log(2)"),
        ("laplace_nll(m, y, 0.5)", "2*l1(m, y)"),
    ),
)
def laplace_nll(loc: Tensor, target: Tensor, scale: Tensor, *, eps: Number = 1e-6) -> Tensor:
    """Negative log-likelihood of Laplace noise: absolute error with a predicted scale.

    Args:
        eps: the smallest scale that is believed.

    Shape:
        loc, target and scale alike, any shape, scale > 0; one value an element.

    Example:
        `laplace_nll(m, y, exp(log_b))`
    """
    scale = floored(wide(scale), eps)
    return (2 * scale).log() + (loc - target).abs() / scale


@loss(
    "student_t_nll",
    signature="real[*S], real[*S], positive[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=(
        r"\log \frac{\Gamma(\nu / 2)\, \sqrt{\pi \nu}\, \sigma}{\Gamma((\nu + 1) / 2)}"
        r" + \frac{\nu + 1}{2} \log\left(1 + \frac{(\mu - y)^2}{\nu \sigma^2}\right)"
    ),
    reference=Reference("Student", "The Probable Error of a Mean", 1908),
    ranges={"eps": "(0, inf)"},
    conventions=(
        "Towards infinite degrees of freedom it is the normal likelihood, to all digits.",
        WHOLE,
        "A scale below eps counts as eps, with the gradient that eps has; degrees of freedom "
        "below 1e-8 count as 1e-8.",
    ),
    pitfalls=(
        "The scale is not the standard deviation, which is scale*sqrt(df/(df - 2)) and infinite "
        "up to df = 2.",
    ),
    examples=(
        Example(
            "student_t_nll(m, y, s, 1)",
            1.8378770664093453,
            {"m": [0.0], "y": [1.0], "s": [1.0]},
        ),
    ),
    use=(
        "Noise with outliers of any size, as of financial returns: far residuals pull less and "
        "less, and df says how heavy the tails are."
    ),
    avoid=(
        "Light tails, where df runs off: `gaussian_nll`. Few samples, which do not tell df: fix "
        "it, at 4 for instance."
    ),
    checked="`scipy.stats.t`, and `scipy.stats.norm` at the limit.",
    related={
        "gaussian_nll": "its limit without tails",
        "cauchy": "df = 1, with the scale fixed",
        "laplace_nll": "tails in between",
    },
    identities=(
        ("student_t_nll(m, y, 1, 1)", "cauchy(m, y, c=sqrt(0.5)) + log(3.141592653589793)"),
    ),
)
def student_t_nll(
    loc: Tensor, target: Tensor, scale: Tensor, df: Tensor, *, eps: Number = 1e-6
) -> Tensor:
    """Negative log-likelihood of noise with heavy tails.

    Args:
        eps: the smallest scale that is believed.

    Shape:
        loc, target, scale and df (degrees of freedom) alike, any shape, scale and df > 0; df
        may be a number; one value an element.

    Example:
        `student_t_nll(m, y, softplus(s), 4)`
    """
    scale, df = floored(wide(scale), eps), floored(wide(df), LEAST_PARAMETER)
    square = ((loc - target) / scale) ** 2
    ratio = square / df
    tail = 0.5 * (square * log1p_ratio(ratio) + torch.log1p(ratio))
    half = torch.full_like(df, 0.5)
    return tail + scale.log() + 0.5 * math.log(2 * math.pi) - log_rise(half, 2 / df)


@loss(
    "lognormal_nll",
    signature="real[*S], positive[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=r"\log y + \tfrac12 \left[\log 2\pi v + \frac{(\mu - \log y)^2}{v}\right]",
    reference="classical",
    ranges={"eps": "(0, inf)"},
    conventions=(
        "mean and var are those of log y.",
        WHOLE,
        "A variance below eps counts as eps, with the gradient that eps has.",
        OF_TARGETS,
    ),
    pitfalls=("The predicted mean is that of the logarithm; y has the mean exp(mean + var/2).",),
    examples=(
        Example(
            "lognormal_nll(m, y, v)",
            1.4189385332046727,
            {"m": [1.0], "y": [1.0], "v": [1.0]},
        ),
    ),
    use=(
        "Positive amounts that are products of many influences: prices, incomes, reaction times, "
        "sizes of files."
    ),
    avoid=(
        "Targets that may be 0: `tweedie`. Where the mean matters more than the median: "
        "`gamma_nll`."
    ),
    checked="`scipy.stats.lognorm`.",
    related={
        "gaussian_nll": "of the logarithm, up to a term of the target",
        "gamma_nll": "lighter tails",
        "msle": "without a spread, and for values at 0",
    },
    identities=(
        (
            "lognormal_nll(m, y, v)",
            "t = log(maximum(y, 1e-20)); gaussian_nll(m, t, v, full=true) + mean(t)",
        ),
    ),
)
def lognormal_nll(mean: Tensor, target: Tensor, var: Tensor, *, eps: Number = 1e-6) -> Tensor:
    """Negative log-likelihood of positive amounts whose logarithm is normal.

    Args:
        eps: the smallest variance that is believed.

    Shape:
        mean, target and var alike, any shape, target and var > 0; one value an element.

    Example:
        `lognormal_nll(m, price, exp(log_var))`
    """
    var = floored(wide(var), eps)
    log_target = floored(wide(target), LEAST_TARGET).log()
    residual = mean - log_target
    return log_target + 0.5 * ((2 * math.pi * var).log() + residual * residual / var)
