"""Curves as a drawing: the values, and beside them the gradients.

The drawing can be read on light paper and on dark: nothing behind it, and every line and letter
of a middle brightness. The same curves give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lossdsl.inspect.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]

_INK = "#808890"
_COLOURS = ("#3b8be0", "#e0742c", "#2fa36b", "#b565c9", "#a3841a", "#d1506b")

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lossdsl",
    # The list of fallbacks stands at every text.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 9,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    # Thin rather than pale, and with the ends that SVG has by default: both save bytes.
    "grid.color": _INK,
    "grid.linewidth": 0.2,
    "lines.solid_capstyle": "butt",
    "xtick.color": _INK,
    "ytick.color": _INK,
    # Without length a tick is its grid line; a mark of its own takes 200 bytes.
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    # In points: half a pixel at the size at which pages show the drawing.
    "path.simplify_threshold": 0.3,
}

_LETTERS = 90
"""How many fit into one line of the legend."""

_LONG = re.compile(r"\d+\.\d{3,}")
_EMPTY = re.compile(
    r' transform="rotate\(-0 [^"]*\)"|\s*<g id="\w+"/>|\s*<metadata>(?s:.*)</metadata>|^ +| +$',
    re.MULTILINE,
)


def draw_curves(curves: Sequence[Curve], over: str, form: Form = "svg") -> bytes:
    """The curves of several losses in one drawing.

    Args:
        curves: they run over the same quantity; all have gradients, or none has.
        over: what the horizontal axis is.
        form: `"svg"`, with text as text, or `"png"`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = _figure(curves, over)
        file = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if form == "svg" else None
        figure.savefig(file, format=form, transparent=True, dpi=150, metadata=metadata)
    return _shortened(file.getvalue()) if form == "svg" else file.getvalue()


def _figure(curves: Sequence[Curve], over: str) -> Figure:
    from matplotlib.figure import Figure

    fits = sum(len(curve.label) + 7 for curve in curves) <= _LETTERS
    columns = len(curves) if fits else 2
    above = 0.3 + 0.2 * math.ceil(len(curves) / columns)
    height = 2.0 + above
    sloped = all(curve.slopes for curve in curves)
    figure = Figure(figsize=(7.0, height))
    figure.patch.set_visible(False)
    figure.subplots_adjust(left=0.07, right=0.97, bottom=0.42 / height, top=1 - above / height)
    panels = figure.subplots(1, 2 if sloped else 1, squeeze=False)[0]
    _panel(panels[0], "value", over, curves, [curve.values for curve in curves])
    if sloped:
        _panel(panels[1], "gradient", over, curves, [curve.slopes for curve in curves])
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="upper left",
        ncols=columns,
        frameon=False,
        bbox_to_anchor=(0.055, 1.0),
        borderaxespad=0.2,
    )
    return figure


def _panel(
    panel: Axes,
    title: str,
    over: str,
    curves: Sequence[Curve],
    lines: Sequence[tuple[float, ...]],
) -> None:
    for index, (curve, line) in enumerate(zip(curves, lines, strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        panel.plot(curve.at, line, label=curve.label, color=colour, zorder=2 + len(lines) - index)
    panel.set_title(title, loc="left")
    panel.set_xlabel(over)
    panel.patch.set_visible(False)
    panel.margins(x=0)
    panel.locator_params(nbins=6)
    panel.set_ylim(*_limits([value for line in lines for value in line]))


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest value; a pole is cut off, and a constant has room."""
    ordered = sorted(filter(math.isfinite, values)) or [0.0]
    low, high = ordered[0], ordered[-1]
    spare = len(ordered) // 40
    inner = ordered[spare], ordered[-1 - spare]
    if high - low > 4 * (inner[1] - inner[0]) > 0:
        low, high = inner
    margin = 0.05 * (high - low) if high - low > 1e-6 else 0.5
    return low - margin, high + margin


def _shortened(svg: bytes) -> bytes:
    """The drawing without what draws nothing, and with places to a hundredth of a point, which
    leaves out the last digits, in which machines differ."""
    head, start, body = svg.decode().partition("<svg")
    body = _LONG.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), body)
    return _EMPTY.sub("", head + start + body).encode()
