"""Detectors, written out in plain torch from the papers."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from case import SINGLE, Case, boxes, choice, normal, sparse, uniform, whole
from torch import Tensor


def iou_parts(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection, union, and the sizes of the smallest box around both."""
    inner = (torch.minimum(p[:, 2:], y[:, 2:]) - torch.maximum(p[:, :2], y[:, :2])).clamp(min=0)
    outer = torch.maximum(p[:, 2:], y[:, 2:]) - torch.minimum(p[:, :2], y[:, :2])
    area_p, area_y = (p[:, 2:] - p[:, :2]).prod(1), (y[:, 2:] - y[:, :2]).prod(1)
    both = inner.prod(1)
    return both, area_p + area_y - both, outer


def overlap(p: Tensor, y: Tensor) -> Tensor:
    both, union, _ = iou_parts(p, y)
    return both / union


def giou_loss(p: Tensor, y: Tensor) -> Tensor:
    both, union, outer = iou_parts(p, y)
    return 1 - both / union + (outer.prod(1) - union) / outer.prod(1)


def ciou_loss(p: Tensor, y: Tensor) -> Tensor:
    both, union, outer = iou_parts(p, y)
    iou = both / union
    apart = ((p[:, :2] + p[:, 2:] - y[:, :2] - y[:, 2:]) ** 2).sum(1) / 4
    (wp, hp), (wy, hy) = (p[:, 2:] - p[:, :2]).unbind(1), (y[:, 2:] - y[:, :2]).unbind(1)
    shape = 4 / math.pi**2 * (torch.atan(wy / hy) - torch.atan(wp / hp)) ** 2
    balance = (shape / (1 - iou + shape)).detach()
    return 1 - iou + apart / (outer**2).sum(1) + balance * shape


def corners(box: Tensor) -> Tensor:
    return torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)


def focal_sum(z: Tensor, y: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    q = torch.sigmoid(z)
    fit = torch.where(y > 0, q, 1 - q)
    weight = torch.where(y > 0, alpha, 1 - alpha)
    return (weight * (1 - fit) ** gamma * -torch.log(fit)).sum()


def smooth(d: Tensor, beta: float) -> Tensor:
    return torch.where(d.abs() < beta, d**2 / (2 * beta), d.abs() - beta / 2)


def bce(z: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(z, y.to(z), reduction="none")


# --- two stages -------------------------------------------------------------------------------


def rpn(
    objectness: Tensor, foreground: Tensor, sampled: Tensor, deltas: Tensor, targets: Tensor
) -> Tensor:
    seen = sampled & foreground
    scores = bce(objectness[sampled], foreground[sampled]).mean()
    return scores + smooth(deltas[seen] - targets[seen], 1 / 9).sum() / sampled.sum()


def fast_rcnn(scores: Tensor, labels: Tensor, deltas: Tensor, targets: Tensor) -> Tensor:
    seen = labels > 0
    moved = smooth(deltas[seen] - targets[seen], 1.0).sum() / len(labels)
    return F.cross_entropy(scores, labels) + moved


def mask_rcnn(masks: Tensor, shapes: Tensor, labels: Tensor, **boxes: Tensor) -> Tensor:
    picked = [bce(masks[i, k], shapes[i]) for i, k in enumerate(labels.tolist()) if k > 0]
    return fast_rcnn(labels=labels, **boxes) + torch.stack(picked).mean()


# --- one stage --------------------------------------------------------------------------------


def ssd(scores: Tensor, labels: Tensor, deltas: Tensor, targets: Tensor) -> Tensor:
    total, count = torch.zeros((), dtype=scores.dtype), int((labels > 0).sum())
    for z, y, d, t in zip(scores, labels, deltas, targets, strict=True):
        losses = F.cross_entropy(z, y, reduction="none")
        hardest = losses[y == 0].sort(descending=True).values[: 3 * int((y > 0).sum())]
        total = total + losses[y > 0].sum() + hardest.sum()
        total = total + smooth(d[y > 0] - t[y > 0], 1.0).sum()
    return total / count


def yolo_v1(**x: Any) -> Tensor:
    mine, held = x["responsible"], x["occupied"]
    total = 5 * ((x["centres"] - x["true_centres"]) ** 2)[mine].sum()
    total = total + 5 * ((x["sizes"].sqrt() - x["true_sizes"].sqrt()) ** 2)[mine].sum()
    total = total + ((x["confidence"] - x["overlap"]) ** 2)[mine].sum()
    total = total + 0.5 * (x["confidence"] ** 2)[~mine].sum()
    total = total + ((x["classes"] - x["true_classes"]) ** 2)[held].sum()
    return total / len(x["centres"])


def yolo_v3(**x: Any) -> Tensor:
    total = ((x["offsets"] - x["targets"]) ** 2)[x["occupied"]].sum()
    total = total + bce(x["objectness"], x["occupied"])[~x["ignored"]].sum()
    total = total + bce(x["classes"], x["true_classes"])[x["occupied"]].sum()
    return total / len(x["offsets"])


def yolo_v5(**x: Any) -> Tensor:
    return (
        0.05 * ciou_loss(x["b"], x["t"]).mean()
        + bce(x["objectness"], x["overlap"]).mean()
        + 0.5 * bce(x["classes"], x["true_classes"]).mean()
    )


def side_loss(bins: Tensor, sides: Tensor) -> Tensor:
    """The distribution focal loss of each box, a mean over its four sides."""
    low = sides.floor().long()
    log_p = torch.log_softmax(bins, 1)
    below = log_p.gather(1, low[:, None])[:, 0] * (low + 1 - sides)
    above = log_p.gather(1, low[:, None] + 1)[:, 0] * (sides - low)
    return -(below + above).mean(1)


def yolo_v8(**x: Any) -> Tensor:
    total = (
        7.5 * (x["weights"] * ciou_loss(x["b"], x["t"])).sum()
        + 0.5 * bce(x["scores"], x["quality"]).sum()
        + 1.5 * (x["weights"] * side_loss(x["bins"], x["sides"])).sum()
    )
    return total / x["quality"].sum()


def yolox(**x: Any) -> Tensor:
    total = 5 * (1 - overlap(x["b"], x["t"]) ** 2).sum()
    total = total + bce(x["objectness"], x["occupied"]).sum()
    return (total + bce(x["classes"], x["quality"]).sum()) / len(x["b"])


def retinanet(**x: Any) -> Tensor:
    seen = x["foreground"]
    total = focal_sum(x["scores"][x["valid"]], x["classes"][x["valid"]])
    total = total + smooth(x["deltas"][seen] - x["targets"][seen], 1 / 9).sum()
    return total / seen.sum()


def efficientdet(**x: Any) -> Tensor:
    seen = x["foreground"]
    d = (x["deltas"][seen] - x["targets"][seen]).abs()
    huber = torch.where(d <= 0.1, d**2 / 2, 0.1 * (d - 0.05))
    scores = focal_sum(x["scores"][x["valid"]], x["classes"][x["valid"]], gamma=1.5)
    return scores / seen.sum() + 50 * huber.sum() / (4 * seen.sum())


def fcos(**x: Any) -> Tensor:
    seen = x["foreground"]
    total = focal_sum(x["scores"], x["classes"])
    total = total - torch.log(overlap(x["b"][seen], x["t"][seen])).sum()
    return (total + bce(x["centredness"], x["centre"])[seen].sum()) / seen.sum()


def gfl(**x: Any) -> Tensor:
    quality = (x["quality"] - torch.sigmoid(x["scores"])).abs() ** 2
    total = (quality * bce(x["scores"], x["quality"])).sum()
    total = total + 2 * (x["weights"] * giou_loss(x["b"], x["t"])).sum()
    total = total + 0.25 * (x["weights"] * side_loss(x["bins"], x["sides"])).sum()
    return total / len(x["b"])


def vfnet(**x: Any) -> Tensor:
    q, p = x["quality"], torch.sigmoid(x["scores"])
    positive = -q * (q * torch.log(p) + (1 - q) * torch.log(1 - p))
    negative = -0.75 * p**2 * torch.log(1 - p)
    total = torch.where(q > 0, positive, negative).sum()
    total = total + 1.5 * (x["weights"] * giou_loss(x["b"], x["t"])).sum()
    total = total + 2 * (x["weights"] * giou_loss(x["refined"], x["t"])).sum()
    return total / len(x["b"])


def centernet(**x: Any) -> Tensor:
    p, y = torch.sigmoid(x["heat"]), x["peaks"]
    at = -((1 - p) ** 2) * torch.log(p)
    around = -((1 - y) ** 4) * p**2 * torch.log(1 - p)
    total = torch.where(y == 1, at, around).sum() / (y == 1).sum()
    where = x["centres"][:, None]
    size = ((x["sizes"] - x["true_sizes"]).abs() * where).sum()
    offset = ((x["offsets"] - x["true_offsets"]).abs() * where).sum()
    return total + (0.1 * size + offset) / x["centres"].sum()


# --- sets -------------------------------------------------------------------------------------


def detr(scores: Tensor, labels: Tensor, b: Tensor, t: Tensor) -> Tensor:
    assert (labels == scores.shape[-1] - 1).any()
    rare = torch.ones(scores.shape[-1], dtype=scores.dtype)
    rare[-1] = 0.1
    total = F.cross_entropy(scores.transpose(1, 2), labels, weight=rare)
    total = total + 5 * (b - t).abs().sum() / len(b)
    return total + 2 * giou_loss(corners(b), corners(t)).sum() / len(b)


def deformable_detr(scores: Tensor, classes: Tensor, b: Tensor, t: Tensor) -> Tensor:
    boxes = 5 * (b - t).abs().sum() + 2 * giou_loss(corners(b), corners(t)).sum()
    return (2 * focal_sum(scores, classes) + boxes) / len(b)


# --- rotated and in space ---------------------------------------------------------------------


def gaussian(box: Tensor) -> tuple[Tensor, Tensor]:
    x, y, w, h, a = box.unbind(1)
    turn = torch.stack([torch.stack([a.cos(), -a.sin()], 1), torch.stack([a.sin(), a.cos()], 1)], 1)
    spread = torch.diag_embed(torch.stack([w, h], 1) ** 2 / 4)
    return torch.stack([x, y], 1), turn @ spread @ turn.mT


def root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values.sqrt()) @ vectors.mT


def wasserstein(p: Tensor, y: Tensor) -> Tensor:
    (mp, sp), (my, sy) = gaussian(p), gaussian(y)
    inner = root(root(sp) @ sy @ root(sp))
    traces = (sp + sy - 2 * inner).diagonal(dim1=1, dim2=2).sum(1)
    return ((mp - my) ** 2).sum(1) + traces


def kullback(p: Tensor, y: Tensor) -> Tensor:
    (mp, sp), (my, sy) = gaussian(p), gaussian(y)
    d, inverse = (mp - my)[:, :, None], torch.linalg.inv(sp)
    trace = (inverse @ sy).diagonal(dim1=1, dim2=2).sum(1)
    return ((d.mT @ inverse @ d)[:, 0, 0] + trace + torch.logdet(sp) - torch.logdet(sy)) / 2 - 1


def rotated(distance: Any) -> Any:
    def expected(**x: Any) -> Tensor:
        seen = x["foreground"]
        apart = distance(x["b"][seen], x["t"][seen])
        boxes = (1 - 1 / (1 + torch.log1p(apart))).sum()
        return (focal_sum(x["scores"], x["classes"]) + boxes) / seen.sum()

    return expected


def pointpillars(**x: Any) -> Tensor:
    seen = x["foreground"]
    p, y = x["b"][seen], x["t"][seen]
    moved = torch.cat([p[:, :6] - y[:, :6], torch.sin(p[:, 6:] - y[:, 6:])], 1)
    total = focal_sum(x["scores"], x["classes"]) + 2 * smooth(moved, 1 / 9).sum()
    facing = F.cross_entropy(x["direction"], x["facing"], reduction="sum") / len(x["facing"])
    return total / seen.sum() + 0.2 * facing


REGIONS = {
    "scores": ("class_logits[N, C]", normal(9, 4)),
    "labels": ("labels[N]", lambda g: torch.arange(9) % 4),
    "deltas": ("real[N, 4]", normal(9, 4)),
    "targets": ("real[N, 4]", normal(9, 4)),
}
ANCHORS = {
    "scores": ("logits[B, A, K]", normal(2, 7, 3)),
    "classes": ("mask[B, A, K]", choice(2, 7, 3, share=0.3)),
    "valid": ("mask[B, A]", choice(2, 7, share=0.8)),
    "deltas": ("real[B, A, 4]", normal(2, 7, 4, scale=0.2)),
    "targets": ("real[B, A, 4]", normal(2, 7, 4, scale=0.2)),
    "foreground": ("mask[B, A]", choice(2, 7)),
}
MATCHED = {"b": ("boxes[N, 4]", boxes(5)), "t": ("boxes[N, 4]", boxes(5))}
CENTRED = {
    "b": ("boxes(cxcywh)[N, 4]", uniform(5, 4, low=0.3, high=0.6)),
    "t": ("boxes(cxcywh)[N, 4]", uniform(5, 4, low=0.3, high=0.6)),
}
QUALITY = {
    "scores": ("logits[B, A, K]", normal(2, 6, 3)),
    "quality": ("prob[B, A, K]", sparse(2, 6, 3)),
}
BINS = {
    "bins": ("class_logits[N, C, 4]", normal(5, 8, 4)),
    "sides": ("real[N, 4]", uniform(5, 4, high=6.9)),
    "weights": ("real[N]", uniform(5)),
}
TURNED = {
    "scores": ("logits[N, K]", normal(8, 3)),
    "classes": ("mask[N, K]", choice(8, 3)),
    "b": ("real[N, 5]", uniform(8, 5, low=0.5, high=1.5)),
    "t": ("real[N, 5]", uniform(8, 5, low=0.5, high=1.5)),
    "foreground": ("mask[N]", choice(8)),
}
ROTATED = "(scores, classes, b, t, foreground)"


def heat_map(g: torch.Generator) -> Tensor:
    heat = 0.9 * torch.rand(2, 3, 5, 6, generator=g, dtype=torch.float64)
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = heat[1, 2, 4, 5] = 1
    return heat


CASES = [
    Case(
        "rpn(objectness, foreground*sampled, sampled, deltas, targets)",
        {
            "objectness": ("logits[B, A]", normal(2, 12)),
            "foreground": ("mask[B, A]", choice(2, 12, share=0.3)),
            "sampled": ("mask[B, A]", choice(2, 12, share=0.8)),
            "deltas": ("real[B, A, 4]", normal(2, 12, 4, scale=0.2)),
            "targets": ("real[B, A, 4]", normal(2, 12, 4, scale=0.2)),
        },
        rpn,
    ),
    Case("fast_rcnn(scores, labels, deltas, targets)", REGIONS, fast_rcnn),
    Case("detection(scores, labels, deltas, targets)", REGIONS, fast_rcnn),
    Case(
        "mask_rcnn(scores, labels, deltas, targets, masks, shapes)",
        {
            **REGIONS,
            "masks": ("real[N, C, H, W]", normal(9, 4, 3, 5)),
            "shapes": ("mask[N, H, W]", choice(9, 3, 5)),
        },
        mask_rcnn,
    ),
    Case(
        "ssd(scores, labels, deltas, targets)",
        {
            "scores": ("class_logits[B, A, C]", normal(3, 20, 4)),
            "labels": (
                "labels[B, A]",
                lambda g: torch.randint(-12, 4, (3, 20), generator=g).clamp(0),
            ),
            "deltas": ("real[B, A, 4]", normal(3, 20, 4)),
            "targets": ("real[B, A, 4]", normal(3, 20, 4)),
        },
        ssd,
    ),
    Case(
        "yolo_v1(centres, true_centres, sizes, true_sizes, confidence, overlap, classes, "
        "true_classes, responsible, occupied)",
        {
            "centres": ("real[B, A, 2]", uniform(2, 6, 2)),
            "true_centres": ("real[B, A, 2]", uniform(2, 6, 2)),
            "sizes": ("positive[B, A, 2]", uniform(2, 6, 2, low=0.1)),
            "true_sizes": ("positive[B, A, 2]", uniform(2, 6, 2, low=0.1)),
            "confidence": ("real[B, A]", uniform(2, 6)),
            "overlap": ("real[B, A]", uniform(2, 6)),
            "classes": ("real[B, A, K]", uniform(2, 6, 3)),
            "true_classes": ("real[B, A, K]", uniform(2, 6, 3)),
            "responsible": ("mask[B, A]", choice(2, 6)),
            "occupied": ("mask[B, A]", choice(2, 6)),
        },
        yolo_v1,
    ),
    Case(
        "yolo_v3(offsets, targets, objectness, occupied, ignored, classes, true_classes)",
        {
            "offsets": ("real[B, A, 4]", normal(2, 6, 4)),
            "targets": ("real[B, A, 4]", normal(2, 6, 4)),
            "objectness": ("logits[B, A]", normal(2, 6)),
            "occupied": ("mask[B, A]", choice(2, 6)),
            "ignored": ("mask[B, A]", choice(2, 6)),
            "classes": ("logits[B, A, K]", normal(2, 6, 3)),
            "true_classes": ("mask[B, A, K]", choice(2, 6, 3)),
        },
        yolo_v3,
    ),
    Case(
        "yolo_v5(b, t, objectness, overlap, classes, true_classes)",
        {
            **MATCHED,
            "objectness": ("logits[B, A]", normal(2, 6)),
            "overlap": ("prob[B, A]", sparse(2, 6)),
            "classes": ("logits[N, K]", normal(5, 3)),
            "true_classes": ("mask[N, K]", choice(5, 3)),
        },
        yolo_v5,
    ),
    Case(
        "yolo_v8(b, t, weights, bins, sides, scores, quality)",
        {**MATCHED, **BINS, **QUALITY},
        yolo_v8,
    ),
    Case(
        "yolox(b, t, objectness, occupied, classes, quality)",
        {
            **MATCHED,
            "objectness": ("logits[B, A]", normal(2, 6)),
            "occupied": ("mask[B, A]", choice(2, 6)),
            "classes": ("logits[N, K]", normal(5, 3)),
            "quality": ("prob[N, K]", sparse(5, 3)),
        },
        yolox,
    ),
    Case("retinanet(scores, classes, valid, deltas, targets, foreground)", ANCHORS, retinanet),
    Case(
        "efficientdet(scores, classes, valid, deltas, targets, foreground)", ANCHORS, efficientdet
    ),
    Case(
        "fcos(scores, classes, b, t, centredness, centre, foreground)",
        {
            **MATCHED,
            "scores": ("logits[N, K]", normal(5, 3)),
            "classes": ("mask[N, K]", choice(5, 3)),
            "centredness": ("logits[N]", normal(5)),
            "centre": ("prob[N]", uniform(5)),
            "foreground": ("mask[N]", choice(5)),
        },
        fcos,
    ),
    Case(
        "gfl(scores, quality, b, t, bins, sides, weights)",
        {**MATCHED, **BINS, **QUALITY},
        gfl,
    ),
    Case(
        "vfnet(scores, quality, b, refined, t, weights)",
        {
            **MATCHED,
            **QUALITY,
            "refined": ("boxes[N, 4]", boxes(5)),
            "weights": ("real[N]", uniform(5)),
        },
        vfnet,
    ),
    Case(
        "centernet(heat, peaks, sizes, true_sizes, offsets, true_offsets, centres)",
        {
            "heat": ("logits[B, C, H, W]", normal(2, 3, 5, 6)),
            "peaks": ("prob[B, C, H, W]", heat_map),
            "sizes": ("real[B, 2, H, W]", normal(2, 2, 5, 6)),
            "true_sizes": ("real[B, 2, H, W]", normal(2, 2, 5, 6)),
            "offsets": ("real[B, 2, H, W]", normal(2, 2, 5, 6)),
            "true_offsets": ("real[B, 2, H, W]", normal(2, 2, 5, 6)),
            "centres": ("mask[B, H, W]", choice(2, 5, 6, share=0.2)),
        },
        centernet,
    ),
    Case(
        "detr(scores, labels, b, t, 4)",
        {
            **CENTRED,
            "scores": ("class_logits[B, Q, C]", normal(2, 9, 5)),
            "labels": ("labels[B, Q]", whole(2, 9, below=5)),
        },
        detr,
        SINGLE,
    ),
    Case(
        "deformable_detr(scores, classes, b, t)",
        {
            **CENTRED,
            "scores": ("logits[B, Q, K]", normal(2, 6, 3)),
            "classes": ("mask[B, Q, K]", choice(2, 6, 3, share=0.3)),
        },
        deformable_detr,
    ),
    Case(f"rotated_gwd{ROTATED}", TURNED, rotated(wasserstein)),
    Case(f"rotated_kld{ROTATED}", TURNED, rotated(kullback)),
    Case(
        "pointpillars(scores, classes, b, t, direction, facing, foreground)",
        {
            "scores": ("logits[A, K]", normal(8, 3)),
            "classes": ("mask[A, K]", choice(8, 3)),
            "b": ("real[A, 7]", normal(8, 7, scale=0.3)),
            "t": ("real[A, 7]", normal(8, 7, scale=0.3)),
            "foreground": ("mask[A]", choice(8)),
            "direction": ("class_logits[N, 2]", normal(5, 2)),
            "facing": ("labels[N]", whole(5, below=2)),
        },
        pointpillars,
    ),
]
