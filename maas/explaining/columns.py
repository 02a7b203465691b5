"""Columns as parts, shown as bars."""

from PIL import Image

from maas.explaining.bars import Bar, bars_html, bars_text, strongest
from maas.explaining.colours import AGAINST, FOR
from maas.explaining.drawing import MARGIN, PALE, TITLE_HEIGHT, canvas, write
from maas.explaining.parts.base import Parts
from maas.explaining.sampling import ValuesOfParts

MOST_COLUMNS = 64
WIDTH, BAR_HEIGHT, NAMES_WIDTH, NUMBERS_WIDTH = 760, 26, 240, 84


class Columns(Parts):
    """Columns of a row. A kind says what they are called, with their values, in `labels`."""

    part_kind = "columns"
    labels: tuple[str, ...]

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns a table: column and value, attribution, bar."""
        return bars_text(self.labels, attributions)

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns a table: column and value, attribution, bar."""
        return bars_html(self.labels, attributions)

    def picture(self, attributions: ValuesOfParts, title: str) -> Image.Image:
        """Returns horizontal bars, the strongest on top."""
        return bars_picture(*strongest(self.labels, attributions), title)


def bars_picture(bars: list[Bar], others: str, title: str) -> Image.Image:
    """Draws bars from a line at zero, with a last line about the others.

    Args:
        bars: from the top.
        others: what was left out; nothing where it is empty.
        title: above.
    """
    height = TITLE_HEIGHT + BAR_HEIGHT * (len(bars) + bool(others)) + MARGIN
    picture, draw = canvas(WIDTH, height, title)
    left, right = MARGIN + NAMES_WIDTH + NUMBERS_WIDTH, WIDTH - MARGIN - NUMBERS_WIDTH
    low, high = min(0.0, *(strength for *_, strength in bars)), max(0.0, *(strength for *_, strength in bars))
    scale = (right - left) / (high - low) if high > low else 0.0
    zero = left - low * scale
    for index, (name, value, strength) in enumerate(bars):
        middle = TITLE_HEIGHT + BAR_HEIGHT * index + BAR_HEIGHT // 2
        end = zero + strength * scale
        write(draw, (MARGIN, middle), name, 14, anchor="lm", width=NAMES_WIDTH - 8)
        draw.rectangle([min(zero, end), middle - 9, max(zero, end), middle + 9], fill=FOR if strength > 0 else AGAINST)
        side, anchor = (6, "lm") if strength >= 0 else (-6, "rm")
        write(draw, (end + side, middle), f"{value:+.3g}", 13, anchor=anchor)
    bottom = TITLE_HEIGHT + BAR_HEIGHT * len(bars)
    draw.line([(zero, TITLE_HEIGHT), (zero, bottom)], PALE)
    write(draw, (MARGIN, bottom + BAR_HEIGHT // 2), others, 13, anchor="lm", ink=PALE)
    return picture
