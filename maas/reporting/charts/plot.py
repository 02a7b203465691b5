"""A plot: two axes and marks on them, as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

from maas.reporting.charts.scales import Scale
from maas.reporting.wording import NO_TEXT

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 30, 42
"""Room around the axes, in the units of `WIDTH` and `HEIGHT`."""
RADIUS = 3.5
Point = tuple[float, float]


@dataclass(frozen=True)
class LegendEntry:
    """What the marks of a class mean.

    Args:
        css: class of the marks.
        text: as HTML.
    """

    css: str
    text: Markup


@dataclass(frozen=True)
class Chart:
    """A drawing with what is said of it.

    Args:
        title: as HTML.
        svg: the drawing.
        legend: what marks mean; none where there is one kind.
        note: a sentence below, as HTML; empty for none.
    """

    title: Markup
    svg: Markup
    legend: tuple[LegendEntry, ...] = ()
    note: Markup = NO_TEXT


def tick_text(value: float) -> str:
    """Returns the number at a tick: `0.25`, `20k`, `1.5M`."""
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+")
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if size >= 1e4 else f"{value:.10g}"


class Plot:
    """Two axes, and marks in the order in which they are added.

    Args:
        x: scale from left to right.
        y: scale from the bottom to the top, or from the top to the bottom where `is_down`.
        x_label: below, as the content of an SVG text.
        y_label: above the y axis, likewise.
        x_ticks: values with a tick; None for round ones.
        is_down: whether small values of y are on top.
    """

    def __init__(
        self,
        x: Scale,
        y: Scale,
        x_label: Markup,
        y_label: Markup,
        *,
        x_ticks: Sequence[float] | None = None,
        is_down: bool = False,
    ) -> None:
        self._x, self._y, self._is_down = x, y, is_down
        self._marks: list[Markup] = list(self._axes(x_label, y_label, x.ticks() if x_ticks is None else x_ticks))

    def at(self, x: float, y: float) -> Point:
        """Returns where values lie in the drawing."""
        up = 1 - self._y.place(y) if self._is_down else self._y.place(y)
        across = LEFT + self._x.place(x) * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)

    def line(self, points: Sequence[Point], css: str, *, has_dots: bool = False) -> None:
        """Adds a line through points; those that are not finite interrupt it.

        Args:
            points: values of x and y.
            css: class of the line.
            has_dots: whether each point has a dot.
        """
        for run in _finite_runs(points):
            places = [self.at(*point) for point in run]
            self._add('<polyline class="line {}" points="{}"/>', css, _path(places))
            if has_dots or len(places) == 1:
                for x, y in places:
                    self._add('<circle class="mark {}" cx="{}" cy="{}" r="{}"/>', css, x, y, 2.4)

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], css: str) -> None:
        """Adds the surface between two lines."""
        there = [self.at(x, high) for x, high in zip(xs, highs, strict=True)]
        back = [self.at(x, low) for x, low in zip(xs, lows, strict=True)]
        self._add('<polygon class="band {}" points="{}"/>', css, _path([*there, *back[::-1]]))

    def dot(self, point: Point, css: str, title: object = "", *, radius: float = RADIUS) -> None:
        """Adds a dot; its title shows under the mouse."""
        x, y = self.at(*point)
        shown = Markup("<title>{}</title>").format(title) if title else NO_TEXT
        self._add('<circle class="mark {}" cx="{}" cy="{}" r="{}">{}</circle>', css, x, y, radius, shown)

    def whisker(self, x: float, low: float, high: float, css: str) -> None:
        """Adds an interval of y."""
        (left, bottom), (_, top) = self.at(x, low), self.at(x, high)
        self._add('<line class="line {0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>', css, left, bottom, top)

    def bar(self, left: float, right: float, height: float, css: str, title: object = "") -> None:
        """Adds a bar from the bottom of the plot."""
        (x, y), (end, _) = self.at(left, height), self.at(right, height)
        bottom = HEIGHT - BOTTOM
        shown = Markup("<title>{}</title>").format(title) if title else NO_TEXT
        self._add(
            '<rect class="bar {}" x="{}" y="{}" width="{}" height="{}">{}</rect>',
            css, x, y, round(max(0.5, end - x - 0.6), 1), round(bottom - y, 1), shown,
        )  # fmt: skip

    def rule(self, *, x: float | None = None, y: float | None = None, text: Markup = NO_TEXT) -> None:
        """Adds a dotted line at a value of x or of y, with a text at its end."""
        if x is not None:
            across, _ = self.at(x, self._y.low)
            self._add('<line class="rule" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>', across, TOP, HEIGHT - BOTTOM)
            is_right = across > WIDTH * 0.7
            anchor, place = ("end", across - 4) if is_right else ("start", across + 4)
            self._add('<text class="soft" x="{}" y="{}" text-anchor="{}">{}</text>', place, TOP + 10, anchor, text)
        if y is not None:
            _, down = self.at(self._x.low, y)
            self._add('<line class="rule" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>', LEFT, WIDTH - RIGHT, down)
            self._add('<text class="soft" x="{}" y="{}" text-anchor="end">{}</text>', WIDTH - RIGHT, down - 4, text)

    def note(self, point: Point, text: object, *, is_below: bool = False) -> None:
        """Adds a short text beside a point, above or below it."""
        x, y = self.at(*point)
        is_right = x > WIDTH - RIGHT - 24
        anchor, place = ("end", x - 6) if is_right else ("start", x + 6)
        self._add(
            '<text class="note" x="{}" y="{}" text-anchor="{}">{}</text>',
            place,
            y + 12 if is_below else y - 4,
            anchor,
            text,
        )

    def svg(self, title: str) -> Markup:
        """Returns the drawing.

        Args:
            title: what it shows, for those who do not see it; plain text.
        """
        head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>')
        return head.format(WIDTH, HEIGHT, title, NO_TEXT.join(self._marks))

    def _add(self, form: str, *values: object) -> None:
        self._marks.append(Markup(form).format(*values))  # noqa: S704 - forms are this file's own

    def _axes(self, x_label: Markup, y_label: Markup, x_ticks: Sequence[float]) -> Iterator[Markup]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick in self._y.ticks():
            _, y = self.at(self._x.low, tick)
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, right, y, y)
            yield Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                LEFT - 6, y + 3.5, tick_text(tick)
            )
        for tick in x_ticks:
            x, _ = self.at(tick, self._y.low)
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, bottom, bottom + 4)
            yield Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x, bottom + 16, tick_text(tick)
            )
        yield Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, right, bottom, bottom)
        yield Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>').format(right, HEIGHT - 8, x_label)
        yield Markup('<text class="label" x="{}" y="{}">{}</text>').format(6, 14, y_label)


def _finite_runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    run: list[Point] = []
    for point in points:
        if all(map(isfinite, point)):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(places: Sequence[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
