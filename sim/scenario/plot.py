"""Line charts as SVG: panels under or beside each other, linear or logarithmic axes. Nothing else.

Of our own, because a base install should not carry a plotting library for this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

# Told apart also by the colour-blind (Okabe and Ito).
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_INK: Final = "#333333"
_FAINT: Final = "#e4e4e4"
_LEFT: Final = 64.0  # of a panel, for the labels of its y axis
_RIGHT: Final = 16.0
_TOP: Final = 56.0  # for its title and legend
_BOTTOM: Final = 44.0
_TITLE: Final = 40.0  # of the picture
_LETTER: Final = 6.6  # the width of one at 12 px, roughly

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """`points` by rising x. A dashed line is for what others are compared with."""

    name: str
    points: Sequence[Point]
    dashed: bool = False
    marks: bool = False  # a dot at each point


@dataclass(frozen=True, slots=True)
class Axis:
    """low, high: the least that it shows; it grows with the data. On a logarithmic axis what is
    below `low` is drawn at `low`. percent: 0.5 is written 50%."""

    label: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]


def svg(
    title: str, panels: Sequence[Panel], *, columns: int = 1, width: int = 860, height: int = 250
) -> str:
    """The picture: `columns` panels beside each other, all of one size. width and height: px, of
    the whole and of a panel. Panels with the same lines share one legend."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    panel_width = width / columns
    shared: list[str] = []
    first = _TITLE
    if len(panels) > 1 and len({tuple(line.name for line in p.lines) for p in panels}) == 1:
        shared, first = _legend(panels[0].lines, _LEFT, width - _RIGHT, _TITLE + 8)
    whole = first + rows * height
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole:g}" '
        f'width="{width}" height="{whole:g}" '
        'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{whole:g}" fill="white"/>',
        _text(16, 27, title, size=16, weight=600),
        *shared,
    ]
    for number, panel in enumerate(panels):
        left = (number % columns) * panel_width
        top = first + (number // columns) * height
        out += _panel(panel, left, top, panel_width, float(height), legend=not shared)
    return "\n".join([*out, "</svg>\n"])


class _Scale:
    """Data to px along one axis, and where the ticks are."""

    def __init__(self, axis: Axis, values: Iterable[float], start: float, end: float) -> None:
        self._axis, self._start, self._end = axis, start, end
        seen = [*values, axis.high]
        if axis.log:
            seen = [value for value in seen if value > 0]
            self._floor = axis.low or min(seen, default=1.0)
            low, high = self._floor, max([*seen, self._floor * 10])
            self.ticks = [
                10.0**power for power in range(math.ceil(math.log10(low) - 1e-9), _power(high) + 1)
            ]
            self._low, self._high = math.log10(low), math.log10(max(high, self.ticks[-1]))
        else:
            low, high = min([*seen, axis.low]), max(seen)
            step = _nice((high - low or 1.0) / 4)
            count = math.ceil((high - low) / step - 1e-9) or 1
            self.ticks = [low + step * i for i in range(count + 1)]
            self._low, self._high = low, self.ticks[-1]

    def at(self, value: float) -> float:
        if self._axis.log:
            value = math.log10(max(value, self._floor))
        part = (value - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)

    def label(self, tick: float) -> str:
        if self._axis.percent:
            return f"{100 * tick:g}%"
        return f"{tick:g}" if abs(tick) < 10_000 else f"{tick:,.0f}"


def _power(value: float) -> int:
    """Of ten, the last one that is not above the value."""
    return math.floor(math.log10(value) + 1e-9)


def _nice(step: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, from `step` up."""
    base = 10.0 ** math.floor(math.log10(step))
    return next(base * f for f in (1, 2, 2.5, 5, 10) if base * f >= step * (1 - 1e-9))


def _panel(
    panel: Panel, left: float, top: float, width: float, height: float, *, legend: bool
) -> list[str]:
    x0, x1 = left + _LEFT, left + width - _RIGHT
    y0, y1 = top + height - _BOTTOM, top + (_TOP if legend else _TOP - 20)
    points = [point for line in panel.lines for point in line.points]
    x = _Scale(panel.x, (point[0] for point in points), x0, x1)
    y = _Scale(panel.y, (point[1] for point in points), y0, y1)
    out = [_text(x0, top + 18, panel.title, weight=600)]
    for tick in y.ticks:
        at = y.at(tick)
        out.append(_stroke(x0, at, x1, at, _FAINT))
        out.append(_text(x0 - 8, at + 4, y.label(tick), anchor="end"))
    for tick in x.ticks:
        at = x.at(tick)
        out.append(_stroke(at, y0, at, y0 + 4, _INK))
        out.append(_text(at, y0 + 18, x.label(tick), anchor="middle"))
    out.append(_stroke(x0, y0, x1, y0, _INK))
    out.append(_text((x0 + x1) / 2, y0 + 35, panel.x.label, anchor="middle"))
    middle = (y0 + y1) / 2
    turned = f' transform="rotate(-90 {left + 14:g} {middle:g})"'
    out.append(_text(left + 14, middle, panel.y.label, anchor="middle", more=turned))
    for number, line in enumerate(panel.lines):
        drawn = [(x.at(px), y.at(py)) for px, py in line.points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in drawn)
        style = _style(line, number)
        out.append(f'<polyline points="{path}" fill="none" {style} stroke-linejoin="round"/>')
        if line.marks:
            colour = _COLOURS[number % len(_COLOURS)]
            out += [
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.6" fill="{colour}"/>' for px, py in drawn
            ]
    if legend:
        out += _legend(panel.lines, x0, x1, top + 34)[0]
    return out


def _style(line: Line, number: int) -> str:
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    return f'stroke="{_COLOURS[number % len(_COLOURS)]}" stroke-width="1.8"{dashes}'


def _legend(
    lines: Sequence[Line], left: float, right: float, top: float
) -> tuple[list[str], float]:
    """The names, in as many rows as they need, and where the next thing may begin."""
    out, x = [], left
    for number, line in enumerate(lines):
        takes = 23 + _LETTER * len(line.name) + 16
        if x > left and x + takes > right:
            x, top = left, top + 20
        style = _style(line, number)
        out.append(f'<line x1="{x:g}" y1="{top:g}" x2="{x + 18:g}" y2="{top:g}" {style}/>')
        out.append(_text(x + 23, top + 4, line.name))
        x += takes
    return out, top + 12


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    weight: int = 400,
    anchor: str = "start",
    more: str = "",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{_INK}" '
        f'text-anchor="{anchor}"{more}>{escape(text)}</text>'
    )
