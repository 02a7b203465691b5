"""Raw rows as a page shows them: words, a small picture, a wave, columns; coloured where they are explained."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from markupsafe import Markup

from maas.errors import InputError
from maas.explaining import Explanation
from maas.explaining.colours import printable
from maas.explaining.parts import InputParts, parts_of
from maas.explaining.sampling import ValuesOfParts
from maas.reporting.wording import NO_TEXT
from maas.runtime.codec import Codec
from maas.runtime.processors.array import ArrayProcessor
from maas.serving.examples import shortened

SHOWN_BARS_OF_PART = 6
"""Bars of an input that are shown, the strongest; the others are one more."""
COLUMNS_SHOWN = 12
"""Columns of a row that is not explained."""
LONGEST_TEXT = 1200
"""Characters of a text that is shown as it is; of a longer one, the ends."""
MOST_CELLS = 4096
WAVE_WIDTH, WAVE_HEIGHT = 480, 80
ROW_FAULTS: tuple[type[Exception], ...] = (InputError, ValueError, TypeError, LookupError, ArithmeticError)
"""What a processor raises of a row that it was not made for."""
_numbers = itertools.count()


@dataclass(frozen=True)
class PartBar:
    """What a part of a row adds to a prediction.

    Args:
        name: name of the part; empty for all others together.
        value: what it adds; None where that is not known.
        width: length of the bar, in per cent of half the room.
        others: number of the others.
    """

    name: str
    value: float | None
    width: float = 0.0
    others: int = 0


@dataclass(frozen=True)
class ShownInput:
    """An input of a row.

    Args:
        name: name of the input; empty where there is one.
        drawing: the input as HTML; empty where bars say all.
        bars: the strongest parts.
    """

    name: str
    drawing: Markup
    bars: tuple[PartBar, ...] = ()


def shown_row(row: object, processor: Codec, explanation: Explanation | None = None) -> tuple[ShownInput, ...]:
    """Returns each input of a raw row; what cannot be cut into parts is shown as its text.

    Args:
        row: raw row.
        processor: processor of the model.
        explanation: what each part of the row adds; None where that is not known.
    """
    try:
        view = explanation.view if explanation else parts_of(row, processor, None, None)
    except ROW_FAULTS:
        return (ShownInput("", shown_text(shortened(printable(str(row)), LONGEST_TEXT))),)
    inputs, values = view.by_input(), explanation.attributions if explanation else None
    largest = float(np.abs(values).max(initial=0.0)) if values is not None else 0.0
    return tuple(
        _shown(one, None if values is None else values[one.range], largest, processor, row, is_named=len(inputs) > 1)
        for one in inputs
    )


def shown_text(text: str) -> Markup:
    """Returns a text as HTML, escaped; a long one is cut in the middle."""
    return Markup('<p class="text" lang="">{}</p>').format(shortened(printable(text), LONGEST_TEXT))


def _shown(
    one: InputParts,
    values: ValuesOfParts | None,
    largest: float,
    processor: Codec,
    row: object,
    *,
    is_named: bool,
) -> ShownInput:
    name, kind = one.name if is_named else "", one.view.part_kind
    if kind == "words":
        zeros = np.zeros(len(one.view.parts))
        words = Markup(one.view.html(zeros if values is None else values))  # noqa: S704 - it escapes the words
        return ShownInput(name, Markup('<div class="text" lang="">{}</div>').format(words))
    if kind == "whole":
        return ShownInput(name, shown_text(str(row)), _bars(one, values, largest))
    if kind == "patches":
        return ShownInput(name, _picture(one, values, largest))
    if kind == "windows":
        return ShownInput(name, _wave(one, values, largest), _bars(one, values, largest))
    cells = _cells(one, values, largest, processor, row) if kind == "columns" and not is_named else NO_TEXT
    is_told = bool(cells) and values is None
    return ShownInput(name, cells, () if is_told else _bars(one, values, largest))


def _bars(one: InputParts, values: ValuesOfParts | None, largest: float) -> tuple[PartBar, ...]:
    names = [printable(name) for name in getattr(one.view, "labels", ()) or [part.name for part in one.view.parts]]
    if values is None:
        more = [PartBar("", None, others=len(names) - COLUMNS_SHOWN)] if len(names) > COLUMNS_SHOWN else []
        listed = [PartBar(name, None) for name in names[:COLUMNS_SHOWN]] if one.view.part_kind == "columns" else []
        return (*listed, *(more if listed else []))
    order = np.argsort(-np.abs(values), kind="stable")
    count = SHOWN_BARS_OF_PART if len(order) > SHOWN_BARS_OF_PART + 1 else len(order)
    bars = [PartBar(names[place], float(values[place]), _width(values[place], largest)) for place in order[:count]]
    if len(order) > count:
        rest = float(values[order[count:]].sum())
        bars.append(PartBar("", rest, _width(rest, largest), others=len(order) - count))
    return tuple(bars)


def _width(value: float, largest: float) -> float:
    return round(min(100.0, 100 * abs(value) / largest), 1) if largest else 0.0


def _picture(one: InputParts, values: ValuesOfParts | None, largest: float) -> Markup:
    """Returns what the model sees, and beside it the same, faded, under the colours of its patches."""
    width, height = (max(part.place[side] for part in one.view.parts) for side in (2, 3))
    name, crisp = f"seen-{next(_numbers)}", " crisp" if width < 100 else ""
    image = Markup('<image id="{}" href="{}" width="{}" height="{}"/>').format(name, one.view.seen(), width, height)
    seen = _framed(width, height, image, f"picture{crisp}")
    if values is None:
        return seen
    faded = Markup('<use href="#{}" class="faded"/>').format(name)
    heat = NO_TEXT.join(
        _patch(left, top, right - left, bottom - top, value, largest)
        for (left, top, right, bottom), value in zip((part.place for part in one.view.parts), values, strict=True)
    )
    both = NO_TEXT.join((seen, _framed(width, height, faded + heat, f"picture{crisp}")))
    return Markup('<div class="pictures">{}</div>').format(both)


def _framed(width: float, height: float, content: Markup, css: str) -> Markup:
    frame = Markup('<svg class="{}" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>')
    return frame.format(css, width, height, content)


def _patch(x: float, y: float, width: float, height: float, value: float, largest: float) -> Markup:
    strength = abs(value) / largest if largest else 0.0
    return Markup('<rect class="{}" x="{:g}" y="{:g}" width="{:g}" height="{:g}" fill-opacity="{:.2f}"/>').format(
        "for" if value > 0 else "against", x, y, width, height, 0.75 * strength
    )


def _wave(one: InputParts, values: ValuesOfParts | None, largest: float) -> Markup:
    seen = np.array(one.view.seen())  # lowest and highest of each piece, (P, 2)
    half, scale = WAVE_HEIGHT / 2, 0.94 * WAVE_HEIGHT / 2 / (float(np.abs(seen).max()) or 1.0)
    step, end = WAVE_WIDTH / len(seen), max(part.place[1] for part in one.view.parts)
    there = [f"{(at + 0.5) * step:.0f},{half - scale * high:.1f}" for at, (_, high) in enumerate(seen)]
    back = [f"{(at + 0.5) * step:.0f},{half - scale * low:.1f}" for at, (low, _) in enumerate(seen)]
    places = [part.place for part in one.view.parts]
    windows = [
        _patch(WAVE_WIDTH * start / end, 0, WAVE_WIDTH * (stop - start) / end, WAVE_HEIGHT, value, largest)
        for (start, stop), value in zip(places, np.zeros(len(places)) if values is None else values, strict=True)
    ]
    wave = Markup('<polygon class="wave" points="{}"/>').format(" ".join([*there, *back[::-1]]))
    return _framed(WAVE_WIDTH, WAVE_HEIGHT, NO_TEXT.join([*windows, wave]), "sound")


def _cells(one: InputParts, values: ValuesOfParts | None, largest: float, processor: Codec, row: object) -> Markup:
    """Returns an array that is a picture: numbers between two bounds, as many as a rectangle has."""
    sides = _sides(processor)
    if sides is None or not isinstance(processor, ArrayProcessor):
        return NO_TEXT
    height, width = sides
    (numbers,) = processor.values([row])
    low, high = float(processor.low or 0.0), float(processor.high or 1.0)
    grey = NO_TEXT.join(_greys(((numbers.ravel() - low) / (high - low)).tolist(), width))
    seen = _framed(width, height, grey, "picture crisp")
    if values is None:
        return seen
    spread = np.concatenate(
        [np.full(part.place[1] - part.place[0], value) for part, value in zip(one.view.parts, values, strict=True)]
    )
    heat = NO_TEXT.join(
        _patch(place % width, place // width, 1, 1, value, largest)
        for place, value in enumerate(spread.tolist())
        if value
    )
    both = seen + _framed(width, height, grey + heat, "picture crisp marked")
    return Markup('<div class="pictures">{}</div>').format(both)


def _greys(strengths: Sequence[float], width: int) -> Iterator[Markup]:
    for place, strength in enumerate(strengths):
        if strength > 0:
            yield Markup('<rect class="ink" x="{}" y="{}" width="1" height="1" fill-opacity="{:.2f}"/>').format(
                place % width, place // width, strength
            )


def _sides(processor: object) -> tuple[int, int] | None:
    """Returns height and width of arrays that are pictures; None of others."""
    if not isinstance(processor, ArrayProcessor) or processor.low is None or processor.high is None:
        return None
    shape = tuple(processor.shape)
    if len(shape) == 1 and isqrt(shape[0]) ** 2 == shape[0] and shape[0] >= 36:
        shape = (isqrt(shape[0]),) * 2
    return (shape[0], shape[1]) if len(shape) == 2 and shape[0] * shape[1] <= MOST_CELLS else None
