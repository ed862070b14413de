"""Curves are the loss and its derivative, and drawings show them."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import lossdsl
from lossdsl.inspect.curves import Axis, Curve, NoCurve, axis_of, clock_of, curve
from lossdsl.inspect.plot import draw_curves


def made(text: str) -> lossdsl.Loss:
    return lossdsl.compile(text, backend="eager", checks="never")


def test_a_curve_is_the_value_and_the_derivative() -> None:
    loss = made("huber(x, 0)")
    axis = axis_of(loss, "huber(x, 0)")
    assert axis == Axis("x", -math.inf, math.inf)
    found = curve(loss, "h", axis, [-3.0, -0.5, 0.0, 0.5, 3.0])
    assert found == Curve(
        "h",
        at=(-3.0, -0.5, 0.0, 0.5, 3.0),
        values=(2.5, 0.125, 0.0, 0.125, 2.5),
        slopes=(-1.0, -0.5, 0.0, 0.5, 1.0),
    )


def test_a_curve_of_logits() -> None:
    loss = made("bce(x, 1)")
    at = [-2.0, 0.0, 2.0]
    found = curve(loss, "b", axis_of(loss, "b"), at)
    assert found.values == pytest.approx([math.log1p(math.exp(-x)) for x in at], rel=1e-14)
    assert found.slopes == pytest.approx([-1 / (1 + math.exp(x)) for x in at], rel=1e-14)


def test_a_loss_with_axes_gets_one_number() -> None:
    """The soft Dice of p and 1 is 1 - 2p/(p + 1), the smoothing aside."""
    loss = made("dice(prob(p), 1, smooth=0)")
    found = curve(loss, "d", axis_of(loss, "d"), [0.25, 0.5, 1.0])
    assert found.values == pytest.approx([0.6, 1 / 3, 0.0], abs=1e-15)
    assert found.slopes == pytest.approx([-2 / (p + 1) ** 2 for p in (0.25, 0.5, 1)], rel=1e-12)


def test_what_no_gradient_reaches_is_flat() -> None:
    loss = made("mse(detach(x), 0)")
    assert curve(loss, "m", axis_of(loss, "m"), [1.0, 2.0]).slopes == (0.0, 0.0)


def test_a_schedule_runs_over_its_clock() -> None:
    loss = made("warmup(epoch, 10)*x")
    axis = clock_of(loss, "w")
    assert axis == Axis("epoch", 0, 12.5, clock=True)
    found = curve(loss, "w", axis, [0.0, 5.0, 10.0, 20.0])
    assert found == Curve("w", (0.0, 5.0, 10.0, 20.0), (0.0, 0.5, 1.0, 1.0))


def test_places_are_those_of_the_kind() -> None:
    prob = Axis("p", 0, 1)
    assert prob.usual() == (0, 1)
    assert prob.places(-1, 1, points=5) == (0.0, 0.5, 1.0)
    assert Axis("x", -math.inf, math.inf).usual() == (-3, 3)
    steps = Axis("step", 0, 4, clock=True)
    assert steps.places(-1, 4, points=50) == (0.0, 1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("bce(p, y)", "`it` reads `p` and `y`: put numbers in place of all but one"),
        ("input y: labels[B]\nmean(real(y))", "`it` reads `y`, and labels[B] is not one number"),
        ("input m: mask[B]\nmse(m, 0)", "`it` reads `m`, and mask[B] is not one number"),
        ("sum(l1(o, 0) for o in x)", "`it` reads `x`, and list[real[*_]] is not one number"),
    ],
)
def test_what_has_no_curve(program: str, reason: str) -> None:
    with pytest.raises(NoCurve, match=re.escape(reason)):
        axis_of(made(program), "it")


def test_a_loss_of_more_numbers_has_none() -> None:
    loss = made("input x: real[3]\nmse(x, 0)")
    with pytest.raises(NoCurve, match="`it` takes no `x` of one number"):
        curve(loss, "it", axis_of(loss, "it"), [0.0])


def test_a_clock_is_one() -> None:
    with pytest.raises(NoCurve, match="neither"):
        clock_of(made("mse(x, 0)"), "it")
    with pytest.raises(NoCurve, match="both"):
        clock_of(made("warmup(step, 9)*warmup(epoch, 9)*x"), "it")


# --- drawings -----------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"
RAMP = Curve("ramp", tuple(range(200)), tuple(range(200)), (1.0,) * 200)
STEPS = [i / 100 for i in range(1, 201)]
POLE = Curve("1/x", tuple(STEPS), tuple(1 / x for x in STEPS), tuple(-1 / x**2 for x in STEPS))


@pytest.fixture(scope="module")
def drawing() -> ElementTree.Element:
    pytest.importorskip("matplotlib")
    return ElementTree.fromstring(draw_curves([RAMP], "x & y"))


def test_text_stays_text(drawing: ElementTree.Element) -> None:
    texts = [text.text for text in drawing.iter(f"{SVG}text")]
    assert {"ramp", "value", "gradient", "x & y"} <= set(texts)


def test_nothing_is_behind_the_drawing(drawing: ElementTree.Element) -> None:
    fills = {
        match[1]
        for element in drawing.iter(f"{SVG}path")
        for match in re.finditer(r"fill: (#?\w+)", element.get("style", ""))
    }
    assert fills == {"none"}


def brightness(colour: str) -> float:
    """The relative luminance of the WCAG."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_is_seen_on_white_and_on_black(drawing: ElementTree.Element) -> None:
    curves = [Curve(str(i), (0.0, 1.0), (0.0, float(i)), (1.0, 1.0)) for i in range(6)]
    text = draw_curves(curves, "x").decode() + ElementTree.tostring(drawing).decode()
    colours = set(re.findall(r"#[0-9a-f]{6}", text))
    assert len(colours) == 7
    for colour in colours:
        # 3:1 is the least contrast that the WCAG wants of graphics.
        assert 1.05 / (brightness(colour) + 0.05) >= 3, colour
        assert (brightness(colour) + 0.05) / 0.05 >= 3, colour


def test_the_same_curves_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    once = draw_curves([RAMP, POLE], "x")
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert draw_curves([RAMP, POLE], "x") == once
    assert matplotlib.rcParams["lines.linewidth"] == 9.0
    assert b"date" not in once
    assert b"Matplotlib" not in once


def test_a_pole_is_cut_off() -> None:
    pytest.importorskip("matplotlib")
    tree = ElementTree.fromstring(draw_curves([POLE], "x"))
    numbers = [text.text or "" for text in tree.iter(f"{SVG}text")]
    heights = [float(number) for number in numbers if re.fullmatch(r"\d+", number)]
    assert max(POLE.values) == 100.0
    assert max(heights) < 50


def test_a_png_is_one() -> None:
    pytest.importorskip("matplotlib")
    assert draw_curves([RAMP], "x", "png").startswith(b"\x89PNG\r\n")


def test_matplotlib_is_loaded_for_drawings_alone() -> None:
    code = "import sys, lossdsl.inspect.plot, lossdsl.cli.plot; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
