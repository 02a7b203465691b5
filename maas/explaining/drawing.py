"""What pictures share: a canvas with a title, type, and the meaning of the colours. Needs Pillow."""

import base64
from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from maas.explaining.colours import WHITE, Colour, printable, shade

INK: Colour = (40, 40, 40)
PALE: Colour = (150, 150, 150)
MARGIN = 16
TITLE_HEIGHT = 40
FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc")
EAST_ASIAN_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "PingFang.ttc", "msyh.ttc", "simhei.ttf")
"""Of each, the first that the machine has, else Pillow's own, which is Latin."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    anchor: str,
    ink: Colour = INK,
    width: float = float("inf"),
) -> None:
    """Writes a line of text.

    Args:
        draw: writes it.
        place: of its anchor, in pixels.
        text: of any language; what acts in it is replaced.
        size: in pixels.
        anchor: which point of the text lies at `place`, in Pillow's two letters.
        ink: its colour.
        width: in pixels; longer text is cut, with an ellipsis.
    """
    text = printable(text).replace("\n", " ")
    is_east_asian = any(sign >= "\u2e80" for sign in text)
    font = _font(size, EAST_ASIAN_FONTS if is_east_asian else FONTS)
    draw.text(place, _fitting(text, font, width), ink, font, anchor=anchor)


@cache
def _font(size: int, names: tuple[str, ...]) -> Font:
    for name in names:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _fitting(text: str, font: Font, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[: min(len(text) - 1, 200)]
    return text + "…"


def canvas(width: int, height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Returns a white picture with a title in its top `TITLE_HEIGHT` pixels, and what draws on it."""
    picture = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(picture)
    write(draw, (MARGIN, TITLE_HEIGHT // 2), title, 15, anchor="lm", width=width - 2 * MARGIN)
    return picture, draw


def legend(draw: ImageDraw.ImageDraw, left: int, top: int, largest: float) -> None:
    """Draws the colours from against to for, with the attribution that each end stands for."""
    width = 160
    for step in range(width):
        draw.line([(left + step, top), (left + step, top + 10)], shade(2 * step / (width - 1) - 1))
    draw.rectangle([left, top, left + width, top + 10], outline=PALE)
    for at, text in ((0, f"-{largest:.3g}"), (width // 2, "0"), (width, f"+{largest:.3g}")):
        write(draw, (left + at, top + 14), text, 12, anchor="ma")


def as_html(picture: Image.Image) -> str:
    """Returns the picture as an HTML element that needs no file."""
    return f'<img alt="" src="{data_url(picture)}">'


def data_url(picture: Image.Image) -> str:
    """Returns the picture as the data: URL of a PNG file."""
    content = BytesIO()
    picture.save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
