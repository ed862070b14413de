"""Check a loss file, train with it on a real photograph, and compare with `bce` alone.

    python examples/segmentation/demo.py

Writes a report to build/demo/.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from train import LOSS, UNet, by_filter, fit, held_out, scores

import lossdsl

OUT = Path(__file__).parents[2] / "build" / "demo"
ALONE = "bce(p, y)"

console = Console(highlight=False)


@dataclass
class Run:
    """One training: the terms of each epoch, and the network with its held-out scores."""

    epochs: list[dict[str, float]]
    net: nn.Module
    iou: float
    dice: float


def show(loss: lossdsl.Loss) -> None:
    console.rule("[bold]1. The loss, checked before anything is trained")
    console.print(LOSS.read_text(), style="cyan", markup=False)
    console.print(f"lossdsl.check: {lossdsl.check(LOSS)}\n", style="bold green", markup=False)
    console.print("contract\n", style="bold")
    console.print(str(loss.contract), markup=False)
    console.print("\nformula\n", style="bold")
    console.print(loss.formula(), markup=False)
    console.print("\ngraph\n", style="bold")
    console.print(loss.draw("text"), markup=False, soft_wrap=True)


def train(loss: lossdsl.Loss, steps: int, seed: int) -> Run:
    torch.manual_seed(seed)
    net = UNet().to(memory_format=torch.channels_last)
    began = time.perf_counter()
    epochs = []
    for epoch, terms in enumerate(fit(net, loss, steps, seed), 1):
        epochs.append(terms)
        parts = "   ".join(f"[dim]{name}[/dim] {term:7.4f}" for name, term in terms.items())
        console.print(f"  epoch {epoch:2}   loss [bold]{sum(terms.values()):7.4f}[/bold]   {parts}")
    seconds = time.perf_counter() - began
    net.eval()
    x, y = held_out()
    with torch.no_grad():
        iou, dice = scores(net(x) > 0, y)
    console.print(f"  held out: IoU {iou:.3f}, Dice {dice:.3f} ({seconds:.0f} s)\n")
    return Run(epochs, net, iou, dice)


def verdict(ours: list[Run], alone: list[Run]) -> str:
    """Which loss won, whichever it is."""
    gains = [a.iou - b.iou for a, b in zip(ours, alone, strict=True)]
    gain = mean(gains)
    ahead = "the loss file" if gain > 0 else f"`{ALONE}` alone" if gain < 0 else "neither"
    return (
        f"With the same budget {ahead} is ahead, by {abs(gain):.3f} IoU on average; "
        f"the loss file wins {sum(gain > 0 for gain in gains)} of {len(gains)} seeds."
    )


def score_rows(ours: list[Run], alone: list[Run]) -> list[tuple[str, ...]]:
    rows = []
    for name, runs in (("the loss file", ours), (f"`{ALONE}` alone", alone)):
        iou, dice = mean(run.iou for run in runs), mean(run.dice for run in runs)
        seeds = "  ".join(f"{run.iou:.3f}" for run in runs)
        rows.append((name, f"{iou:.3f}", f"{dice:.3f}", seeds))
    x, y = held_out()
    iou, dice = scores(by_filter(x), y)
    return [*rows, ("nothing: a ridge filter", f"{iou:.3f}", f"{dice:.3f}", "")]


def picture(ours: Run, alone: Run, file: Path) -> bool:
    """Input, target and predictions, if matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    x, y = held_out()
    with torch.no_grad():
        by_ours, by_alone = (run.net(x) > 0 for run in (ours, alone))
    images = {
        "input": x,
        "target": y,
        f"trained with the loss file: IoU {ours.iou:.3f}": by_ours,
        f"trained with {ALONE} alone: IoU {alone.iou:.3f}": by_alone,
    }
    figure = Figure(figsize=(14, 6), layout="constrained")
    for axis, (title, image) in zip(figure.subplots(2, 2).flat, images.items(), strict=True):
        axis.imshow(image[0, 0].numpy(), cmap="gray")
        axis.set_title(title, loc="left")
        axis.set_axis_off()
    figure.savefig(file, dpi=100)
    return True


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def write_report(
    loss: lossdsl.Loss, ours: list[Run], alone: list[Run], steps: int, backend: str, out: Path
) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    names = list(ours[0].epochs[0])
    epochs = [
        (str(i), f"{sum(terms.values()):.4f}", *(f"{terms[n]:.4f}" for n in names))
        for i, terms in enumerate(ours[0].epochs, 1)
    ]
    drawn = picture(ours[0], alone[0], out / "predictions.png")
    parts = [
        "# Segmentation of blood vessels",
        "scikit-image's photograph `retina` under noise: its upper part is trained on, the lower "
        f"is held out. Every training has {steps} steps; backend `{backend}`.",
        f"## The loss\n\n```yaml\n{LOSS.read_text()}```\n\n```\n{loss.contract}\n```",
        f"```\n{loss.formula()}\n```\n\n```mermaid\n{loss.draw('mermaid').strip()}\n```",
        "## Its terms, epoch by epoch (seed 0)\n\n"
        + markdown_table([("epoch", "loss", *names), *epochs]),
        f"## Scores on the held-out part, mean over {len(ours)} seeds\n\n"
        + markdown_table(
            [("trained with", "IoU", "Dice", "IoU of each seed"), *score_rows(ours, alone)]
        ),
        verdict(ours, alone),
        "![input, target and predictions](predictions.png)" if drawn else "",
    ]
    report = out / "report.md"
    report.write_text("\n\n".join(part for part in parts if part) + "\n")
    return report


def main(
    steps: int = 160, seeds: int = 3, backend: str = "inductor", out: Path = OUT
) -> dict[str, float]:
    loss = lossdsl.load(LOSS, backend=backend)
    bce = lossdsl.compile(ALONE, backend=backend)
    show(loss)

    console.rule("[bold]2. Training on the upper part of the eye")
    console.print("The first step with a loss compiles it, which can take half a minute.\n")
    ours: list[Run] = []
    alone: list[Run] = []
    for seed in range(seeds):
        for title, by, runs in (("the loss file", loss, ours), (f"{ALONE} alone", bce, alone)):
            console.print(f"[bold]{title}[/bold], seed {seed}")
            runs.append(train(by, steps, seed))

    console.rule("[bold]3. The lower part, which was held out")
    table = Table("trained with", "IoU", "Dice", "IoU of each seed")
    for row in score_rows(ours, alone):
        table.add_row(*row)
    console.print(table)
    console.print(verdict(ours, alone), markup=False)

    report = write_report(loss, ours, alone, steps, backend, out)
    console.print(f"\nreport: {report}", markup=False, soft_wrap=True)
    return {"iou": mean(run.iou for run in ours), "baseline": mean(run.iou for run in alone)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backend", default="inductor")
    arguments = parser.parse_args()
    # The images are small: a second thread gains little, and loses much on a machine that is busy.
    torch.set_num_threads(1)
    main(steps=arguments.steps, seeds=arguments.seeds, backend=arguments.backend)
