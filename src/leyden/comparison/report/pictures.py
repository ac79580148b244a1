"""Pictures of results as inline SVG, coloured by the style of the page that they are part of.

Text stays text, drawn with the reader's own fonts, so that names in any script are legible. All
lengths are in pixels of a picture that may be scaled.
"""

import html
import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from leyden.printable import printable

WIDTH, HEIGHT = 380, 250
"""Size of a panel with axes."""

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 38
"""Margins of a panel, in which its labels are."""

LINE = 20
"""Height of a line of text in a list of categories."""

LOG_RATIO = 10
"""Ratio of the largest to the smallest positive value from which an axis is logarithmic."""

MOST_POINTS = 200
"""Points of a curve that are drawn."""

LABEL = 18
"""Width of the longest label, in characters; those of Chinese, Japanese and Korean are two wide."""

SHADES = 5
"""Number of shades between the worst and the best value."""


def escaped(text: str) -> str:
    """Escape a text for HTML, and its control characters, which could reorder what follows."""
    return html.escape(printable(text))


class Svg(str):
    """Markup of a picture, in which text is escaped already."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Pixel of the lowest value.
        end: Pixel of the highest value, which may be less than ``start``.
        is_log: Whether equal ratios, not differences, have equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value, rounded to a tenth."""
        low, high, value = (self._length(each) for each in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def _length(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def _powers(self) -> tuple[int, int]:
        """Return the powers of ten from below the lowest value to above the highest."""
        return math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1

    def ticks(self, count: int = 4) -> list[float]:
        """Return about ``count`` round values within the axis."""
        if self.is_log:
            powers = [10.0**power for power in range(*self._powers())]
            within = [
                each * power
                for power in powers
                for each in ((1,) if len(powers) > count else (1, 2, 5))
                if self.low <= each * power <= self.high
            ]
            return within[:: math.ceil(len(within) / (2 * count)) or 1]
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step_size = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)
        first = math.ceil(self.low / step_size - 1e-9)
        last = math.floor(self.high / step_size + 1e-9)
        return [step_size * each for each in range(first, last + 1)]


def axis_of(
    values: Iterable[float], *, start: float, end: float, may_be_log: bool = False
) -> Axis | None:
    """Return an axis with room for all finite values; ``None`` if there are none.

    Args:
        values: Values that will be drawn.
        start: Pixel of the lower end.
        end: Pixel of the upper end.
        may_be_log: Whether positive values that differ by ``LOG_RATIO`` get a logarithmic axis.
    """
    finite = [value for value in values if math.isfinite(value) and abs(value) < 1e300]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    if may_be_log and low > 1e-300 and high / low >= LOG_RATIO:
        room = (high / low) ** 0.05
        return Axis(low=low / room, high=high * room, start=start, end=end, is_log=True)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    return Axis(low=low - room, high=high + room, start=start, end=end)


def number(value: float) -> str:
    """Return a number in four digits.

    >>> number(0.98765), number(1e-05), number(float("nan"))
    ('0.9877', '1e-05', '-')
    """
    return f"{value:.4g}" if math.isfinite(value) else "-"


def cut(text: str, width: int = LABEL) -> str:
    """Shorten a text to a width in characters, of which wide ones count twice.

    >>> cut("optimizer.weight_decay"), cut("猫", width=2)
    ('optimizer.weight_…', '猫')
    """
    total = 0
    for place, each in enumerate(text):
        total += 2 if unicodedata.east_asian_width(each) in "WF" else 1
        if total > width or (total == width and place < len(text) - 1):
            return text[:place] + "…"
    return text


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A measured point.

    Attributes:
        x: Value of the parameter, of any type.
        y: Value of the metric.
        label: What the pointer shows.
        tone: Class of its colour: ``best``, ``default`` or ``other``.
    """

    x: Any
    y: float
    label: str
    tone: str = "other"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Values of a metric over training.

    Attributes:
        points: Epochs with the values that were measured.
        label: What the pointer shows.
        tone: Class of its colour, see ``Dot``.
    """

    points: Sequence[tuple[float, float]]
    label: str
    tone: str = "other"


def draw_interval(mean: float, low: float, high: float, axis: Axis, *, tone: str) -> Svg:
    """Draw a mean with its interval as one line of a table; an arrow if it is off the axis."""
    width, middle = axis.start + axis.end, 8
    marks = f'<line class="rule" x1="0" x2="{width:.0f}" y1="{middle}" y2="{middle}"/>'
    if math.isfinite(low) and math.isfinite(high):
        ends = [min(max(axis(end), 0), width) for end in (low, high)]
        marks += (
            f'<line class="bar {tone}" x1="{ends[0]}" x2="{ends[1]}" y1="{middle}" y2="{middle}"/>'
        )
    if axis.low <= mean <= axis.high:
        marks += f'<circle class="dot {tone}" cx="{axis(mean)}" cy="{middle}" r="4"/>'
    elif math.isfinite(mean):
        tip, back = (width - 1, -6) if mean > axis.high else (1, 6)
        shape = f"{tip},{middle} {tip + back},{middle - 4} {tip + back},{middle + 4}"
        marks += f'<polygon class="dot {tone}" points="{shape}"/>'
    name = f"{number(mean)}, 95 % interval {number(low)} to {number(high)}"
    return _svg(marks, width, 2 * middle, name, kind="interval")


def draw_curves(curves: Sequence[Curve], *, name: str) -> Svg | None:
    """Draw curves over epochs, the last ones on top; ``None`` if no point is finite."""
    points = [point for curve in curves for point in curve.points]
    x = axis_of((x for x, _ in points), start=LEFT, end=WIDTH - RIGHT)
    y = axis_of((y for _, y in points), start=HEIGHT - BOTTOM, end=TOP, may_be_log=True)
    if x is None or y is None:
        return None
    lines = "".join(
        f'<g class="curve {curve.tone}"><title>{escaped(curve.label)}</title>'
        f"{_path(_thinned(curve.points), x, y)}</g>"
        for curve in curves
    )
    return _svg(_frame(x, y, "epoch") + lines, WIDTH, HEIGHT, name)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    step = math.ceil(len(points) / MOST_POINTS) or 1
    return [*points[:-1:step], *points[-1:]]


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """Draw a line through finite points; a single one as a dot."""
    usable = [(x(a), y(b)) for a, b in points if math.isfinite(a) and y.low <= b <= y.high]
    if len(usable) == 1:
        return f'<circle cx="{usable[0][0]}" cy="{usable[0][1]}" r="2.5"/>'
    return f'<polyline points="{" ".join(f"{a},{b}" for a, b in usable)}"/>'


def draw_slice(dots: Sequence[Dot], *, name: str) -> Svg | None:
    """Draw a metric against one parameter: numbers on an axis, other values as a list.

    Returns:
        The picture; ``None`` if no value of the metric is finite.
    """
    dots = [dot for dot in dots if math.isfinite(dot.y)]
    if is_numeric([dot.x for dot in dots]):
        return _draw_numbers(dots, name=name)
    return _draw_categories(dots, name=name)


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether all values are finite numbers."""
    return all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in values
    )


def _draw_numbers(dots: Sequence[Dot], *, name: str) -> Svg | None:
    x = axis_of((dot.x for dot in dots), start=LEFT, end=WIDTH - RIGHT, may_be_log=True)
    y = axis_of((dot.y for dot in dots), start=HEIGHT - BOTTOM, end=TOP)
    if x is None or y is None:
        return None
    marks = "".join(_dot(dot, x(dot.x), y(dot.y)) for dot in _on_top(dots))
    return _svg(_frame(x, y, name) + marks, WIDTH, HEIGHT, name)


def _draw_categories(dots: Sequence[Dot], *, name: str) -> Svg | None:
    """Draw one line per category, so that long names have room."""
    categories = list(dict.fromkeys(word(dot.x) for dot in dots))
    left, height = 132, TOP + LINE * 1.4 * len(categories) + BOTTOM
    x = axis_of((dot.y for dot in dots), start=left, end=WIDTH - RIGHT)
    if x is None:
        return None
    places = {each: TOP + LINE * 1.4 * (k + 0.5) for k, each in enumerate(categories)}
    labels = "".join(
        f'<line class="rule" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        + _text(each, left - 8, y + 4, anchor="end")
        for each, y in places.items()
    )
    marks = "".join(_dot(dot, x(dot.y), places[word(dot.x)]) for dot in _on_top(dots))
    bottom = height - BOTTOM
    return _svg(labels + _ticks_below(x, TOP, bottom) + marks, WIDTH, height, name)


def _on_top(dots: Sequence[Dot]) -> list[Dot]:
    """Order dots so that those with a tone of their own are drawn last."""
    return sorted(dots, key=lambda dot: ("other", "default", "best").index(dot.tone))


def _dot(dot: Dot, x: float, y: float) -> str:
    title = f"<title>{escaped(dot.label)}</title>"
    return f'<circle class="dot {dot.tone}" cx="{x}" cy="{y:.1f}" r="4">{title}</circle>'


def word(value: Any) -> str:
    """Return a value of the config as it is written in YAML."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{','.join(map(word, value))}]"
        case _:
            return str(value)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line of parallel coordinates.

    Attributes:
        values: Value on each axis, of any type.
        label: What the pointer shows.
        shade: From 0 for the worst to ``SHADES - 1`` for the best.
    """

    values: Sequence[Any]
    label: str
    shade: int


def draw_parallel(axes: Sequence[str], points: Sequence[Point]) -> Svg:
    """Draw parallel coordinates: one upright axis per name, and one line for each of the points."""
    gap, top, height = 190, 34, 230
    width = gap * len(axes)
    scales = [
        _upright([point.values[place] for point in points], start=top + height, end=top)
        for place in range(len(axes))
    ]
    across = [gap * place + 24.0 for place in range(len(axes))]
    lines = "".join(
        f'<g class="line shade{point.shade}"><title>{escaped(point.label)}</title>'
        '<polyline points="'
        + " ".join(
            f"{x},{scale(value):.1f}"
            for x, (scale, _), value in zip(across, scales, point.values, strict=True)
        )
        + '"/></g>'
        for point in sorted(points, key=lambda point: point.shade)
    )
    frames = "".join(
        f'<line class="axis" x1="{x}" x2="{x}" y1="{top}" y2="{top + height}"/>'
        + _text(name, x - 16, top - 16, kind="name", width=21)
        + "".join(_text(label, x + 5, y + 4, kind="tick halo") for label, y in labels)
        for x, name, (_, labels) in zip(across, axes, scales, strict=True)
    )
    return _svg(lines + frames, width, top + height + 14, "parallel coordinates", kind="scroll")


def _upright(
    values: Sequence[Any], *, start: float, end: float
) -> tuple[Callable[[Any], float], list[tuple[str, float]]]:
    """Return where each value is on an upright axis, and its labels with their places."""
    axis = axis_of(values, start=start, end=end, may_be_log=True) if is_numeric(values) else None
    if axis is not None:
        exact = sorted(set(values)) if len(set(values)) <= SHADES else axis.ticks()
        return axis, [(number(value), axis(value)) for value in exact]
    names = sorted({word(value) for value in values})
    step = (start - end) / len(names)
    places = {name: start - step * (place + 0.5) for place, name in enumerate(names)}
    return lambda value: places[word(value)], list(places.items())


def draw_reliability(bins: Sequence[tuple[float, float, float]], *, name: str) -> Svg | None:
    """Draw how often predictions are right against how probable they are said to be.

    Args:
        bins: For each bin with rows, its mean confidence, its accuracy and its share of the rows.
        name: What the picture shows.
    """
    if not bins:
        return None
    x = Axis(low=0, high=1, start=LEFT, end=WIDTH - RIGHT)
    y = Axis(low=0, high=1, start=HEIGHT - BOTTOM, end=TOP)
    ideal = f'<line class="ideal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    marks = "".join(
        f'<circle class="dot best" cx="{x(confidence)}" cy="{y(accuracy)}" '
        f'r="{2.5 + 7 * math.sqrt(share):.1f}"><title>confidence {confidence:.3f}, accuracy '
        f"{accuracy:.3f}, {share:.1%} of the rows</title></circle>"
        for confidence, accuracy, share in bins
    )
    return _svg(_frame(x, y, "confidence") + ideal + marks, WIDTH, HEIGHT, name)


def _frame(x: Axis, y: Axis, below: str) -> str:
    """Draw two axes with their ticks, and the name of the lower one."""
    grid = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        + _text(number(tick), LEFT - 6, y(tick) + 4, anchor="end", kind="tick")
        for tick in y.ticks()
    )
    name = _text(below, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, anchor="middle", width=44)
    return grid + _ticks_below(x, TOP, HEIGHT - BOTTOM) + name


def _ticks_below(x: Axis, top: float, bottom: float) -> str:
    line = f'<line class="axis" x1="{x.start}" x2="{x.end}" y1="{bottom}" y2="{bottom}"/>'
    return line + "".join(
        f'<line class="rule" x1="{x(tick)}" x2="{x(tick)}" y1="{top}" y2="{bottom}"/>'
        + _text(number(tick), x(tick), bottom + 15, anchor="middle", kind="tick")
        for tick in x.ticks()
    )


def _text(
    text: str, x: float, y: float, *, anchor: str = "start", kind: str = "tick", width: int = LABEL
) -> str:
    shown = cut(text, width)
    title = "" if shown == text else f"<title>{escaped(text)}</title>"
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{title}{escaped(shown)}</text>'


def _svg(content: str, width: float, height: float, name: str, *, kind: str = "panel") -> Svg:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return Svg(
        f'<svg class="{kind}" {size} role="img" aria-label="{escaped(name)}">{content}</svg>'
    )
