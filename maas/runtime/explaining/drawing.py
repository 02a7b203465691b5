"""What pictures share: a canvas with a title, type, and the meaning of the colours. Needs Pillow."""

import base64
from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from maas.runtime.explaining.colours import WHITE, Colour, printable, shade

INK: Colour = (40, 40, 40)
PALE: Colour = (150, 150, 150)
MARGIN = 16
TITLE_HEIGHT = 40
FONTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "DejaVuSans.ttf",
)
"""Names can be of any language: the first of these that the machine has, else Pillow's own, which is Latin."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns type of a size in pixels."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def canvas(width: int, height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Returns a white picture with a title in its top `TITLE_HEIGHT` pixels, and what draws on it."""
    picture = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, TITLE_HEIGHT // 2), fitting(title, width - 2 * MARGIN, 15), INK, font(15), anchor="lm")
    return picture, draw


def fitting(text: str, width: float, size: int) -> str:
    """Returns text that is no wider than so many pixels, cut with an ellipsis."""
    text = printable(text).replace("\n", " ")
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[: min(len(text) - 1, 200)]
    return text + "…"


def legend(draw: ImageDraw.ImageDraw, left: int, top: int, largest: float) -> None:
    """Draws the colours from against to for, with the attribution that each end stands for."""
    width = 160
    for step in range(width):
        draw.line([(left + step, top), (left + step, top + 10)], shade(2 * step / (width - 1) - 1))
    draw.rectangle([left, top, left + width, top + 10], outline=PALE)
    for at, text in ((0, f"−{largest:.3g}"), (width // 2, "0"), (width, f"+{largest:.3g}")):
        draw.text((left + at, top + 14), text, INK, font(12), anchor="ma")


def as_html(picture: Image.Image) -> str:
    """Returns the picture as an HTML element that needs no file."""
    content = BytesIO()
    picture.save(content, "PNG", optimize=True)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}">'
