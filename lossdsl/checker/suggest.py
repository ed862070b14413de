"""Did you mean …? Close names, and what other libraries call the same thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SYNONYMS: dict[str, str] = {
    "l2": "mse",
    "mseloss": "mse",
    "l1loss": "l1",
    "smoothl1loss": "smooth_l1",
    "huberloss": "huber",
    "crossentropyloss": "ce",
    "nllloss": "ce",
    "bceloss": "bce",
    "bcewithlogitsloss": "bce",
    "kldivloss": "kl_div",
    "gaussiannllloss": "gaussian_nll",
    "poissonnllloss": "poisson_nll",
    "tripletmarginloss": "triplet",
    "diceloss": "dice",
    "focalloss": "focal",
    "tverskyloss": "tversky",
    "l2_loss": "mse",
    "mse_loss": "mse",
    "squared_error": "mse",
    "l1_loss": "l1",
    "absolute_error": "l1",
    "smooth_l1_loss": "smooth_l1",
    "huber_loss": "huber",
    "xent": "ce",
    "cross_entropy_loss": "ce",
    "softmax_xent": "ce",
    "nll": "ce",
    "nll_loss": "ce",
    "sparse_categorical_crossentropy": "ce",
    "categorical_crossentropy": "ce",
    "bce_loss": "bce",
    "bce_with_logits": "bce",
    "bcewithlogits": "bce",
    "binary_cross_entropy_with_logits": "bce",
    "binary_crossentropy": "bce",
    "sigmoid_focal_loss": "focal",
    "focal_loss": "focal",
    "dice_loss": "dice",
    "soft_dice": "dice",
    "iou_loss": "iou",
    "jaccard_loss": "jaccard",
    "tversky_loss": "tversky",
    "lovasz": "lovasz_softmax",
    "ssim_loss": "ssim",
    "total_variation": "tv",
    "tv_loss": "tv",
    "triplet_margin_loss": "triplet",
    "infonce": "info_nce",
    "ntxent": "info_nce",
    "clip_loss": "clip",
    "kl": "kl_div",
    "kld": "kl_div",
    "kullback_leibler": "kl_div",
    "pinball_loss": "quantile",
    "vae_kl": "kl_normal",
    "kl_loss": "kl_normal",
    "norm1": "l1",
    "logcosh": "log_cosh",
    "ln": "log",
    "pow": "**",
    "square": "**",
    "concat": "cat",
    "concatenate": "cat",
    "clip_by_value": "clamp",
    "stop_gradient": "detach",
    "mm": "matmul",
    "average": "mean",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arctan": "atan",
}


def closest(name: str, known: Iterable[str]) -> str | None:
    """A help line naming the most likely meant name, or nothing."""
    names = list(known)
    synonym = SYNONYMS.get(name.lower())
    if synonym is not None and (synonym in names or synonym == "**"):
        if synonym == "**":
            return "write `x**2`"
        return f"`{name}` is called `{synonym}` here"
    lowered = {candidate.lower(): candidate for candidate in names}
    if name.lower() in lowered and lowered[name.lower()] != name:
        return f"did you mean `{lowered[name.lower()]}`?"
    close = difflib.get_close_matches(name, names, 1, 0.65)
    return f"did you mean `{close[0]}`?" if close else None
