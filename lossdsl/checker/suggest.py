"""Did you mean …? Close names, and what other libraries call the same thing."""

from __future__ import annotations

from collections.abc import Iterable

from lossdsl.diagnostics.diagnostic import Advice
from lossdsl.diagnostics.meant import did_you_mean, own_name_meant

SYNONYMS: dict[str, str] = {
    "l2": "mse",
    "mseloss": "mse",
    "l1loss": "l1",
    "smoothl1loss": "smooth_l1",
    "huberloss": "huber",
    "crossentropyloss": "ce",
    "nllloss": "nll",
    "log_loss": "bce",
    "ctcloss": "ctc",
    "multimarginloss": "multi_margin",
    "softmarginloss": "logistic",
    "hausdorffdtloss": "hausdorff_dt",
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
    "nll_loss": "nll",
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
    "avg": "mean",
    "view": "reshape",
    "mean_squared_error": "mse",
    "mean_absolute_error": "l1",
    "bce_with_logits_loss": "bce",
    "binary_cross_entropy_with_logits_loss": "bce",
    "label_smooth_ce": "ce",
    "focal_softmax": "softmax_focal",
    "lovasz_multilabel": "lovasz_hinge",
    "polycrossentropy": "poly1",
    "polybinarycrossentropy": "poly1_bce",
    "reduced_focal_loss": "reduced_focal",
    "sigmoid_focal_loss_star": "focal_star",
    "sparsemax_loss": "sparsemax",
    "entmax15_loss": "entmax15",
    "bitemperedlogisticloss": "bi_tempered",
    "binarybitemperedlogisticloss": "bi_tempered_bce",
    "twowayloss": "two_way",
    "jsdcrossentropy": "augmix",
    "ordinal_regression": "coral",
    "ghmc": "ghm_c",
    "ghmr": "ghm_r",
    "kfloss": "kfiou",
    "keypointloss": "oks",
    "rmiloss": "rmi",
    "gmsdloss": "gmsd",
    "ncc": "lncc",
    "silogloss": "silog",
    "bendingenergyloss": "bending_energy",
    "globalmutualinformationloss": "mutual_information",
    "localnormalizedcrosscorrelationloss": "lncc",
    "dim": "over",
    "axis": "over",
    "axes": "over",
    "dims": "over",
    "weight_class": "class_weight",
    "class_weights": "class_weight",
    "ignore_label": "ignore_index",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arctan": "atan",
}


DIFFERENT = frozenset(
    {
        "argmax",
        "augmix",
        "cat",
        "cosine_similarity",
        "gather",
        "interpolate",
        "kl_div",
        "lncc",
        "mutual_information",
        "normalize",
        "one_hot",
        "pad",
        "poisson_nll",
        "reshape",
        "sort",
        "stack",
        "topk",
    }
)
"""What other libraries call with other arguments, in another order, or with other defaults."""


def closest(name: str, known: Iterable[str], *, own: bool = False) -> Advice | None:
    """The most likely meant name, or nothing. `own` are names that the text itself gives."""
    if own:
        return own_name_meant(name, known, 0.65)
    names = list(known)
    synonym = SYNONYMS.get(name.lower())
    if synonym == "**":
        return Advice("write `x**2`")
    if synonym is not None and synonym in names:
        safe = synonym not in DIFFERENT
        return Advice(f"`{name}` is called `{synonym}` here", synonym, safe)
    return did_you_mean(name, names, 0.65)
