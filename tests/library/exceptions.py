"""Where a loss does not keep a law that all others keep, and why. The one table of its kind.

A key is a loss (`ciou`), one form of it (`dice-logits-prob`), or either with an input or parameter
(`ciou x0`); the longer one counts. An exception must break its law, or it is an error: where one
form keeps it, that form stands here with the reason "".
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from arguments import Call

CONSTANT = "a target that is a network's output: the formula takes it as a constant"
TEACHER = "the teacher or its centre, behind a stop-gradient in the paper"
POLICY = "the frozen reference policy"
ADVANTAGE = "advantages are constants: they judge samples that are drawn already"
NOISE = "a number of the noise schedule"
COMPARED = "only its order is read"
ALPHA = "the trade-off between its terms is a constant in the paper"
WEIGHTING = "its weights are constants of the batch in the paper"
FLOOR = "a floor is a constant"
CHOOSES = "it only chooses what counts"
DISTANCES = "distances go to the target's pixels that are kept"
ROUNDED = "the derivative by an input of half precision is rounded to it"
CRITIC = "the critic, which is no part of the loss, reads all samples"
STOP = "stop-gradients in the paper: each term trains one side"

EXCEPTIONS: dict[str, dict[str, str]] = {
    # An input that a formula takes as a constant gets no gradient at all.
    "gets a gradient": {
        "kd x1": TEACHER,
        "perceptual x2": CONSTANT,
        "perceptual x3": CONSTANT,
        "content x1": CONSTANT,
        "style x2": CONSTANT,
        "style x3": CONSTANT,
        "feature_matching x2": CONSTANT,
        "feature_matching x3": CONSTANT,
        "contextual x1": CONSTANT,
        "byol x1": TEACHER,
        "simsiam x2": TEACHER,
        "simsiam x3": TEACHER,
        "dino x1": TEACHER,
        "dino x2": TEACHER,
        "edge_smoothness x1": "the image only says where edges may be",
        "v_prediction x3": NOISE,
        "min_snr x2": NOISE,
        "diffusion_vlb x2": "the predicted mean: this term trains the variance alone",
        "dpo x2": POLICY,
        "dpo x3": POLICY,
        "dpo_hinge x2": POLICY,
        "dpo_hinge x3": POLICY,
        "ipo x2": POLICY,
        "ipo x3": POLICY,
        "kto x1": POLICY,
        "kto x3": "the reference point is a constant in the paper",
        "policy_gradient x1": ADVANTAGE,
        "dpo_robust x2": POLICY,
        "dpo_robust x3": POLICY,
        "exo x2": POLICY,
        "exo x3": POLICY,
        "nca x2": POLICY,
        "nca x3": POLICY,
        "apo_zero x2": POLICY,
        "apo_zero x3": POLICY,
        "apo_down x2": POLICY,
        "apo_down x3": POLICY,
        "sppo x2": POLICY,
        "sppo x3": POLICY,
        "discopop x2": POLICY,
        "discopop x3": POLICY,
        "ppo x1": POLICY,
        "ppo x2": ADVANTAGE,
        "grpo x1": POLICY,
        "grpo x2": ADVANTAGE,
        "grpo x3": POLICY,
        "cispo x1": POLICY,
        "cispo x2": ADVANTAGE,
        "grpo-real-real-real beta": "without a reference there is nothing to weigh",
        "attention_ranking x1": COMPARED,
        "ranknet x1": COMPARED,
        "pairwise_hinge x1": COMPARED,
        "listmle x1": COMPARED,
        "lambdarank x1": "gains of the ideal order are constants",
        "gaussian_nll eps": FLOOR,
        "laplace_nll eps": FLOOR,
        "student_t_nll eps": FLOOR,
        "lognormal_nll eps": FLOOR,
        "crps_gaussian eps": FLOOR,
        "psnr best": FLOOR,
        "topk_ce keep": CHOOSES,
        "ohem_ce threshold": CHOOSES,
        "ssl_seg beta": CHOOSES,
    },
    # Part of the formula is a constant on purpose, so the gradient is not the value's.
    "gradient is derivative": {
        "seesaw x0": "its factors are constants, as in the paper's code",
        "balanced_bce x1": "the share of positives is a constant",
        "generalized_dice x1": "weights by volume are constants",
        "generalized_dice-logits-prob-weights=uniform x1": "",
        "ciou x0": ALPHA,
        "ciou x1": ALPHA,
        "alpha_iou-boxes-boxes-penalty=ciou x0": ALPHA,
        "alpha_iou-boxes-boxes-penalty=ciou x1": ALPHA,
        "focal_eiou x0": "the focusing factor is a constant",
        "focal_eiou x1": "the focusing factor is a constant",
        "wiou x0": "the enclosing box is a constant in the paper",
        "wiou x1": "the enclosing box is a constant in the paper",
        "wiou_v3 x0": WEIGHTING,
        "wiou_v3 x1": WEIGHTING,
        "focal_frequency x0": WEIGHTING,
        "focal_frequency x1": WEIGHTING,
        "circle x0": WEIGHTING,
        "ssl_seg x0": WEIGHTING,
        "ssl_seg x1": WEIGHTING,
        "cispo x0": "the importance of a token is a weight without gradient",
        "dft x0": "the label's probability is a weight without gradient",
        "vq_commitment x0": STOP,
        "vq_commitment x1": STOP,
    },
    "half precision is calculated in single": {
        "gradient_penalty": ROUNDED,
        "r1": ROUNDED,
        "dragan": ROUNDED,
    },
    "nothing costs nothing": {
        "gradient_penalty no positions": "the derivative by no numbers has the norm 0, not 1",
        "gradient_penalty-real-one_sided=True no positions": "",
        "dragan no positions": "the derivative by no numbers has the norm 0, not 1",
    },
    "order of samples": {},
    "samples do not read each other": {
        "contextual": "features are taken around their mean over the batch, as in the paper's code",
    },
    "what is masked is not read": {
        "gradient_penalty x0": CRITIC,
        "r1 x0": CRITIC,
        "dragan x0": CRITIC,
        "motion_consistency x1": "the mask is of the first image, and places of the second move",
    },
    "an element does not read what is masked": {
        "boundary": DISTANCES,
        "hausdorff_dt": DISTANCES,
        "distance_map_ce": DISTANCES,
        "distance_map_ce-class_logits-labels-real": "",
        "distance_map_ce-class_log_prob-labels-real": "",
        "distance_map_ce-class_prob-labels-real": "",
        "shape_aware": "the outlines are those of what is kept",
    },
}


def law(name: str, call: Call, part: str = "") -> AbstractContextManager[Any]:
    """Around the assertions of a law: they hold, or the loss is an exception and they fail."""
    if reason(name, call, part):
        return pytest.raises(AssertionError)
    return nullcontext()


def reason(name: str, call: Call, part: str = "") -> str:
    """Why a call need not keep a law; "" where it must."""
    table = EXCEPTIONS[name]
    return next((table[key] for key in keys(call, part) if key in table), "")


def keys(call: Call, part: str = "") -> tuple[str, ...]:
    """What the table may call this, the most precise first."""
    wholes = (call.id, call.record.name)
    return (*(f"{whole} {part}" for whole in wholes if part), *wholes)
