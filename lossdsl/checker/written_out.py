"""Losses of the literature without a name here: counts that nothing can learn from, and what the
language writes out. `{x}` is the text of the first argument."""

from __future__ import annotations

_COUNT = (
    "it counts mistakes, and a count has no gradient: train with `ce`, or with `bce` or `hinge` "
    "for two classes, and log `mean(argmax({x}, over=1) != y)` under `monitor` of a loss file"
)
_IMAGES = "`l1({x}, y)` or `mse({x}, y)`, whichever norm is meant"
_ADDED = "losses are added with their weights, `a + 0.1*b`"
_GAN = "`gan_d(real, fake)` is the discriminator's loss and `gan_g(fake)` the generator's"

WRITTEN_OUT: dict[str, str] = {
    "zero_one": _COUNT,
    "zero_one_loss": _COUNT,
    "accuracy": _COUNT,
    "error_rate": _COUNT,
    "soft_f1": "`dice({x}, y, over='batch')`: the F1 score of each class over the batch",
    "boundary_map": "`mean(sigmoid({x})*map)` with a map of signed distances made beforehand",
    "multi_task": _ADDED,
    "weighted_sum": _ADDED,
    "reconstruction": _IMAGES,
    "pixel_mean": _IMAGES,
    "gan": _GAN,
    "adversarial": _GAN,
    "beta_gaussian_nll": "`gaussian_nll({x}, y, var, weight=detach(var)**0.5)`",
}
