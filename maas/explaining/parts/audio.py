"""Sound: windows of time."""

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maas.explaining.bars import bars_text
from maas.explaining.colours import WHITE, Colour, shade, strengths
from maas.explaining.drawing import MARGIN, PALE, TITLE_HEIGHT, as_html, canvas, legend, write
from maas.explaining.parts.base import Parts, RowPart
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.processors.audio import AudioProcessor

MOST_WINDOWS = 20
FADE_S = 0.005
"""A window fades out and in over this time, half of it on either side of its edge: a hard cut is a click."""
WIDTH, WAVE_HEIGHT, FOOT_HEIGHT = 760, 200, 76  # of the picture, in pixels
SPAN = WIDTH - 2 * MARGIN
GREY: Colour = (130, 130, 130)
BEHIND = 0.3  # the wave has the windows' full colours, what is behind it this fraction of them
SEEN_PIECES = 240
OUTLINE_PIXELS = 2
"""The wave is shown by its outline, which is as coarse as this: finer, the pixels beat with the pitch."""

Samples = NDArray[np.float32]
"""(T,), in [-1, 1]."""


class AudioParts(Parts):
    """Windows of equal length of the samples as the processor gives them to the graph; left out, they are silent."""

    part_kind = "windows"

    def __init__(
        self, row: object, processor: AudioProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        self._samples: Samples = processor.samples_of(row)
        self._rate: int = processor.net_arguments["rate"]
        length = len(self._samples)
        self._edges = np.linspace(0, length, min(most or MOST_WINDOWS, length) + 1).astype(int)
        self.parts = tuple(
            RowPart(f"{start / self._rate:.3f}–{end / self._rate:.3f} s", (start, end))
            for start, end in zip(self._edges[:-1].tolist(), self._edges[1:].tolist(), strict=True)
        )

    def row(self, kept: Mask) -> Samples:
        """Returns the samples (T,), some windows silent."""
        if kept.all():
            return self._samples
        half = min(FADE_S * self._rate, float(np.diff(self._edges).min())) / 2
        inner = self._edges[1:-1]
        ends = np.stack([inner - half, inner + half], axis=1).ravel()
        loudness = np.repeat(kept.astype(np.float64), 2)[1:-1]  # on either side of each inner edge
        gains = np.interp(np.arange(len(self._samples)), ends, loudness) if len(inner) else np.zeros(1)
        row: Samples = (self._samples * gains).astype(np.float32)
        return row

    def seen(self) -> list[tuple[float, float]]:
        """Returns the lowest and the highest of the samples that the model sees in each of `SEEN_PIECES` pieces."""
        pieces = np.array_split(self._samples, min(SEEN_PIECES, len(self._samples)))
        return [(round(float(piece.min()), 4), round(float(piece.max()), 4)) for piece in pieces]

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns a table of the strongest windows."""
        return bars_text([part.name for part in self.parts], attributions)

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns the picture, without its title."""
        return as_html(self.picture(attributions, ""))

    def picture(self, attributions: ValuesOfParts, title: str) -> Image.Image:
        """Returns the wave over the colours of its windows, above an axis in seconds."""
        picture, draw = canvas(WIDTH, TITLE_HEIGHT + WAVE_HEIGHT + FOOT_HEIGHT, title)
        top, bottom, relative = TITLE_HEIGHT, TITLE_HEIGHT + WAVE_HEIGHT, strengths(attributions)
        picture.paste(self._windows(BEHIND * relative, WHITE), (MARGIN, top))
        wave = Image.new("1", (SPAN, WAVE_HEIGHT))
        ImageDraw.Draw(wave).polygon(_outline(self._samples), fill=1)
        picture.paste(self._windows(relative, GREY), (MARGIN, top), wave)
        draw.rectangle([MARGIN, top, MARGIN + SPAN, bottom], outline=PALE)
        _draw_seconds(draw, bottom, len(self._samples) / self._rate)
        legend(draw, (WIDTH - 160) // 2, bottom + 38, float(np.abs(attributions).max()))
        return picture

    def _windows(self, relative: ValuesOfParts, ground: Colour) -> Image.Image:
        """Returns the windows in their colours, as large as the wave."""
        picture = Image.new("RGB", (SPAN, WAVE_HEIGHT))
        draw = ImageDraw.Draw(picture)
        places = self._edges * SPAN / len(self._samples)
        for left, right, strength in zip(places[:-1], places[1:], relative, strict=True):
            draw.rectangle([left, 0, right, WAVE_HEIGHT], fill=shade(strength, ground))
        return picture


def _outline(samples: Samples) -> list[tuple[float, float]]:
    """Returns the corners of the wave's outline: its highest and lowest sample around each pixel of the width."""
    starts = np.linspace(0, len(samples), SPAN, endpoint=False).astype(int)
    reach = len(samples) * OUTLINE_PIXELS // SPAN + 1
    around = [samples[max(0, start - reach) : start + reach] for start in starts]
    half = WAVE_HEIGHT / 2
    scale = 0.94 * half / (float(np.abs(samples).max()) or 1.0)
    high = [(float(index), half - scale * float(one.max()) - 0.5) for index, one in enumerate(around)]
    low = [(float(index), half - scale * float(one.min()) + 0.5) for index, one in enumerate(around)]
    return high + low[::-1]


def _draw_seconds(draw: ImageDraw.ImageDraw, top: int, seconds: float) -> None:
    """Draws an axis from 0, with about ten ticks at round numbers."""
    step = next(step for step in _steps() if seconds / step <= 10)
    for tick in range(int(seconds / step + 1e-9) + 1):
        at = MARGIN + tick * step / seconds * SPAN
        draw.line([(at, top), (at, top + 5)], PALE)
        write(draw, (at, top + 8), f"{tick * step:g}{' s' if tick == 0 else ''}", 12, anchor="ma")


def _steps() -> Iterator[float]:
    """Yields 0.001, 0.002, 0.005, 0.01 and so on."""
    for exponent in count(-3):
        yield from (factor * 10.0**exponent for factor in (1, 2, 5))
