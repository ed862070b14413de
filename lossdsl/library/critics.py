"""Further games of a critic: relative scores, energies, texts that do not match.

As in `adversarial`, the discriminator's (`_d`) and the generator's (`_g`) are separate losses.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.adversarial import CRITIC, NOT_DETACHED, RAW
from lossdsl.library.metric import OF_THE_BATCH, mean_where
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

RELATIVISTIC = Reference(
    "A. Jolicoeur-Martineau",
    "The relativistic discriminator: a key element missing from standard GAN",
    2018,
    "1807.00734",
)
ENERGY = Reference(
    "J. Zhao, M. Mathieu, Y. LeCun",
    "Energy-based Generative Adversarial Network",
    2016,
    "1609.03126",
)

BATCH = "score[*S], score[*S] -> loss[]"
OF_ALL = (
    "The means are over all scores of a kind; the two terms are added, not halved as in ESRGAN's"
    " code.",
    "A mask leaves scores out of every mean.",
    RAW,
)
PAIRED = {"real": [1.0, 3.0], "fake": [-1.0, 1.0]}


def relative(up: Tensor, down: Tensor, mask: Tensor | None) -> Tensor:
    """Logistic loss of some scores above the mean of the others, and of those below."""
    keep = torch.ones_like(up, dtype=torch.bool) if mask is None else (mask > 0).expand_as(up)
    up, down = wide(torch.where(keep, up, 0.0)), wide(torch.where(keep, down, 0.0))
    above, below = up - mean_where(down, keep), down - mean_where(up, keep)
    return mean_where(-F.logsigmoid(above) - F.logsigmoid(-below), keep)


@loss(
    "ragan_d",
    signature=BATCH,
    family="adversarial",
    values="[0, inf)",
    latex=r"-\log \sigma(r - \bar f) - \log\left(1 - \sigma(f - \bar r)\right)",
    reference=RELATIVISTIC,
    mask="inside",
    conventions=OF_ALL,
    pitfalls=(NOT_DETACHED, *OF_THE_BATCH),
    use=(
        "Super-resolution as ESRGAN: a real image is to look more real than the average fake,"
        " and the generator learns from real images too."
    ),
    avoid=(
        "Batches of one or two, whose means are noise: `rpgan_d` compares pairs. Nothing to"
        " compare with: `gan_d`."
    ),
    checked=(
        "`torch.nn.functional.binary_cross_entropy_with_logits` of the differences to the other"
        " side's mean"
    ),
    related={
        "ragan_g": "the generator's side",
        "rpgan_d": "pairs in place of means",
        "gan_d": "absolute scores",
    },
    identities=(
        (
            "input real: score[*S]; input fake: score[*S]; ragan_d(real, fake)",
            "input real: score[*S]; input fake: score[*S]; "
            "gan_d(real - mean(fake), fake - mean(real))",
        ),
    ),
    examples=(Example("ragan_d(real, fake)", 0.3618490390919649, PAIRED),),
)
def ragan_d(real: Tensor, fake: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """The relativistic average discriminator: real scores above the mean of fake ones.

    Takes the scores of real and of generated samples, of equal shape; one value for the batch.

    Example:
        `ragan_d(D(img), D(detach(fake)))`
    """
    return relative(real, fake, mask)


@loss(
    "ragan_g",
    signature=BATCH,
    family="adversarial",
    values="[0, inf)",
    latex=r"-\log \sigma(f - \bar r) - \log\left(1 - \sigma(r - \bar f)\right)",
    reference=RELATIVISTIC,
    mask="inside",
    conventions=OF_ALL,
    pitfalls=OF_THE_BATCH,
    use=(
        "The generator against ragan_d: fakes above the average real image, and real ones below"
        " the average fake."
    ),
    avoid="Batches of one or two: `rpgan_g`. A discriminator of absolute scores: `gan_g`.",
    checked=(
        "`torch.nn.functional.binary_cross_entropy_with_logits` of the differences to the other"
        " side's mean"
    ),
    related={
        "ragan_d": "the discriminator's side",
        "rpgan_g": "pairs in place of means",
    },
    identities=(("ragan_g(real, fake)", "ragan_d(fake, real)"),),
    examples=(Example("ragan_g(real, fake)", 4.361849039091965, PAIRED),),
)
def ragan_g(real: Tensor, fake: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """The generator against it: fake scores above the mean of real ones.

    Takes the scores in the discriminator's order; one value for the batch.

    Example:
        `perceptual(vgg(x), vgg(y)) + 5e-3*ragan_g(D(y), D(x))`
    """
    return relative(fake, real, mask)


@loss(
    "rpgan_d",
    signature=CRITIC,
    family="adversarial",
    values="[0, inf)",
    latex=r"-\log \sigma(r - f)",
    reference=RELATIVISTIC,
    conventions=("Real and fake scores are compared in pairs, element by element.", RAW),
    pitfalls=(NOT_DETACHED,),
    use=(
        "A plain GAN that is to cover all modes, with penalties on the gradients at real and at"
        " fake samples."
    ),
    avoid=(
        "Real and fake batches of different sizes: `ragan_d` compares with means, `gan_d` with"
        " nothing."
    ),
    checked="`scipy.special.log_expit`",
    related={
        "rpgan_g": "the generator's side",
        "ragan_d": "means in place of pairs",
        "bpr": "the same formula, of rankings",
        "bradley_terry": "the same formula, of answers",
    },
    identities=(
        ("rpgan_d(real, fake)", "input real: score[*S]; input fake: score[*S]; gan_g(real - fake)"),
        ("rpgan_d(real, fake)", "bpr(real, fake)"),
    ),
    examples=(Example("rpgan_d(real, fake)", 0.1269280110429725, PAIRED),),
)
def rpgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """The relativistic discriminator of pairs: each real score above its fake one.

    Takes the scores of real and of generated samples, of equal shape; one value a pair.

    Example:
        `rpgan_d(D(img), D(detach(fake)))`
    """
    return -F.logsigmoid(real - fake)


@loss(
    "rpgan_g",
    signature=CRITIC,
    family="adversarial",
    values="[0, inf)",
    latex=r"-\log \sigma(f - r)",
    reference=RELATIVISTIC,
    conventions=("Real and fake scores are compared in pairs, element by element.", RAW),
    use="The generator against rpgan_d: each fake is to score above its real partner.",
    avoid="Batches of different sizes: `ragan_g`. A discriminator of absolute scores: `gan_g`.",
    checked="rpgan_d with its arguments exchanged, itself against `scipy.special.log_expit`",
    related={
        "rpgan_d": "the discriminator's side",
        "ragan_g": "means in place of pairs",
    },
    identities=(("rpgan_g(real, fake)", "rpgan_d(fake, real)"),),
    examples=(Example("rpgan_g(real, fake)", 2.1269280110429727, PAIRED),),
)
def rpgan_g(real: Tensor, fake: Tensor) -> Tensor:
    """The generator against it: each fake score above its real one.

    Takes the scores in the discriminator's order; one value a pair.

    Example:
        `rpgan_g(D(img), D(fake))`
    """
    return -F.logsigmoid(fake - real)


@loss(
    "matching_aware_d",
    signature="score[*S], score[*S], score[*S] -> loss[*S]",
    family="adversarial",
    values="[0, inf)",
    latex=(r"-\log \sigma(r) - \tfrac12 \left[\log(1 - \sigma(w)) + \log(1 - \sigma(f))\right]"),
    reference=Reference(
        "S. Reed et al.", "Generative Adversarial Text to Image Synthesis", 2016, "1605.05396"
    ),
    conventions=(
        "Scores of a real image with its text, of a real image with a wrong text, of a fake image"
        " with the text.",
        RAW,
    ),
    pitfalls=(NOT_DETACHED,),
    use=(
        "Text-to-image discriminators: a real image beside a wrong text is an error too, so the"
        " text cannot be ignored."
    ),
    avoid=(
        "Conditions that cannot be paired wrongly, or none: `gan_d`. Texts that are merely to be"
        " near: `clip`."
    ),
    checked="`scipy.special.log_expit`",
    related={
        "gan_d": "without the wrong pairs",
        "clip": "matches images and texts without generating any",
        "text_image_matching": "the match as a margin",
    },
    identities=(
        (
            "matching_aware_d(real, wrong, fake)",
            "input real: score[*S]; input wrong: score[*S]; input fake: score[*S]; "
            "0.5*gan_d(real, wrong) + 0.5*gan_d(real, fake)",
        ),
    ),
    examples=(
        Example(
            "matching_aware_d(r, w, f)",
            2 * 0.6931471805599453,
            {"r": [0.0], "w": [0.0], "f": [0.0]},
        ),
    ),
)
def matching_aware_d(real: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """A discriminator that also rejects real images beside a wrong text.

    Takes three batches of scores of equal shape; one value a score.

    Example:
        `matching_aware_d(D(img, txt), D(img, other), D(detach(fake), txt))`
    """
    return -F.logsigmoid(real) - 0.5 * (F.logsigmoid(-wrong) + F.logsigmoid(-fake))


@loss(
    "ebgan_d",
    signature="real[*S], real[*S] -> loss[*S]",
    family="adversarial",
    latex=r"r + \max(0, m - f)",
    reference=ENERGY,
    ranges={"margin": "(0, inf)"},
    conventions=(
        "r and f are energies, low for what looks real: an autoencoder's reconstruction errors.",
    ),
    pitfalls=("Nothing is detached inside: give the energy of detached images to train D alone.",),
    use=(
        "A discriminator that is an autoencoder: low reconstruction error for real samples, at"
        " least the margin for fakes."
    ),
    avoid="A discriminator with plain scores: `hinge_gan_d`, which has a margin on both sides.",
    checked="the paper's formula in NumPy",
    related={
        "hinge_gan_d": "a margin for real scores too",
        "pulling_away": "keeps its generator from giving one sample",
        "hinge": "the fake's side by itself",
    },
    identities=(
        (
            "ebgan_d(real, fake)",
            "input real: real[*S]; input fake: real[*S]; mean(real) + hinge(fake, 1, margin=10)",
        ),
    ),
    examples=(Example("ebgan_d(real, fake, margin=2)", 1.5, {"real": [0.5], "fake": [1.0]}),),
)
def ebgan_d(real: Tensor, fake: Tensor, *, margin: Number = 10.0) -> Tensor:
    """The energy of real samples down, that of fake ones up to a margin.

    Takes the energies of real and of generated samples, of equal shape; one value a pair.

    Args:
        margin: the energy that is enough for a fake.

    Example:
        `ebgan_d(mse(D(x), x, reduction='batch'), mse(D(f), f, reduction='batch'))`
    """
    return real + F.relu(margin - fake)


@loss(
    "pulling_away",
    signature="embedding[N, D] -> loss[]",
    family="adversarial",
    values="[0, 1]",
    latex=r"\frac{1}{N (N - 1)} \sum_{i \ne j} \cos(x_i, x_j)^2",
    reference=ENERGY,
    mask="inside",
    conventions=("A batch of one costs 0.", "A masked row is in no pair."),
    pitfalls=OF_THE_BATCH,
    use=(
        "Against a generator that gives one sample, beside the energy in an EBGAN: the codes of"
        " a batch are kept at right angles."
    ),
    avoid=(
        "Learning representations: `barlow_twins` and `vicreg` part components. More samples"
        " than components cannot all stand at right angles."
    ),
    checked="`torch.nn.functional.cosine_similarity` of all pairs in a loop",
    related={
        "ebgan_d": "what it goes beside",
        "barlow_twins": "decorrelates components in place of samples",
        "nt_xent": "parts samples, but keeps views together",
    },
    examples=(Example("pulling_away(x)", 0.5, {"x": [[1.0, 0.0], [1.0, 1.0]]}),),
)
def pulling_away(x: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Squared cosines of the pairs of a batch: keeps generated samples from being one.

    Shape:
        x of [N, D]; one value for the batch.

    Example:
        `E(fake) + 0.1*pulling_away(code)`
    """
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    kept = kept.all(1)
    directions = unit_vectors(wide(torch.where(kept[:, None], x, 0.0)))
    similarity = directions @ directions.T
    place = torch.arange(x.shape[0], device=x.device)
    pairs = kept[:, None] & kept & (place[:, None] != place)
    return mean_where(similarity * similarity, pairs)
