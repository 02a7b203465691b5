"""Pillow images to 8-bit pixels: their size, which way is up, and what each mode means. It neither decodes nor resizes.

An `InputError` of this module says what the image is; whoever knows which one it was puts that before it.
"""

from typing import Literal

import numpy as np
from PIL import Image

from maas.errors import InputError

MAX_PIXELS = 36_000_000
STRIP_ROWS = 64  # that are converted at a time
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "RGBX", "LA", "PA", "La", "RGBa", "CMYK", "YCbCr", "HSV"})
WIDE_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


def require_picture_size(width: int, height: int, max_pixels: int, name: str) -> None:
    """Refuses an image without pixels or with too many.

    Raises:
        InputError: with the size and the limit.
    """
    if width < 1 or height < 1:
        raise InputError(f"is a {name} image of {width} × {height} pixels; it needs at least one.")
    if width * height > max_pixels:
        raise InputError(
            f"is a {name} image of {width} × {height} pixels; at most {max_pixels // 10**6} million are read. "
            "Send a smaller one."
        )


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Returns an image turned and mirrored as its EXIF orientation says; an unknown one says nothing.

    Source:
        CIPA DC-008 (Exif 2.32), section 4.6.4, tag Orientation.
    """
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def flattened(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """Converts an image to 8-bit grey or colour.

    - transparency lies over white: (c·a + 255·(255 − a)) / 255, rounded, each channel; so does the one grey or colour
      that a PNG calls transparent, compared in all bits that the file has;
    - a palette is looked up; 1-bit pixels are 0 and 255;
    - 16-bit grey keeps its high byte, as Pillow reads 16-bit colour;
    - CMYK is 255 − k − c·(255 − k)/255, rounded, no colour profile;
    - colour to grey is ITU-R 601-2 luma, (19595·R + 38470·G + 7471·B + 2¹⁵) >> 16; grey to colour is that grey thrice.

    Args:
        image: of any of `MODES`, or 16-bit grey.
        mode: what to convert to.

    Raises:
        InputError: the image is of another mode; 32-bit numbers, floats and Lab have no one meaning as 8-bit pixels.
    """
    if image.mode not in MODES | WIDE_GREY:
        raise InputError(f"is an image of mode {image.mode}, which is not 8-bit pixels; send mode L or RGB.")
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        raise InputError(
            f"is an image of 8 bits whose transparent colour {key} has 16; send the file that it came from."
        )
    if image.mode == mode and not image.has_transparency_data:
        return image
    result = Image.new(mode, image.size)
    for top in range(0, image.height, STRIP_ROWS):  # whole images, each step of the way, would not fit in memory
        box = (0, top, image.width, min(top + STRIP_ROWS, image.height))
        result.paste(_opaque(image.crop(box)).convert(mode), box)
    return result


def _opaque(strip: Image.Image) -> Image.Image:
    """Returns a strip as L or RGB, or 1-bit."""
    if strip.mode in WIDE_GREY:
        values = np.asarray(strip)
        is_clear = values == strip.info.get("transparency", -1)  # all 16 bits count
        return Image.fromarray(np.where(is_clear, 255, values >> 8).astype(np.uint8))
    if strip.has_transparency_data:
        colour = strip.convert("RGBA")
        white = Image.new("RGB", strip.size, "white")
        white.paste(colour, mask=colour)
        return white
    return strip if strip.mode in ("1", "L", "RGB") else strip.convert("RGB")
