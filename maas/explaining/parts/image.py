"""Images: patches of a grid over the pixels that the model sees."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from maas.errors import InputError
from maas.explaining.bars import bars_text
from maas.explaining.colours import shade, strengths
from maas.explaining.drawing import MARGIN, TITLE_HEIGHT, as_html, canvas, data_url, legend, write
from maas.explaining.parts.base import Parts, RowPart
from maas.explaining.sampling import Mask, ValuesOfParts
from maas.runtime.processors import SingleArrayProcessor

MOST_PATCHES = 49
SIDE, GAP, FOOT_HEIGHT = 320, 24, 64  # of the picture, in pixels
STRONGEST, PALENESS = 0.8, 0.65
"""How much of the image the strongest colour hides, and how far the image fades so that colours show on black, too."""

Pixels = NDArray[np.uint8]


class ImageParts(Parts):
    """Patches, about square, of the image as the processor gives it to the graph; left out, they are one colour."""

    part_kind = "patches"
    takes: ClassVar[str] = "'mean', the image's mean colour, or 'blur'"

    def __init__(
        self, row: object, processor: SingleArrayProcessor, most: int | None = None, baseline: object = None
    ) -> None:
        super().__init__(row, processor, most, baseline)
        (self._pixels,) = processor.arrays([row])  # uint8 (H, W, C)
        self._covered = _covered(self._pixels, "mean" if baseline is None else baseline)
        height, width, _ = self._pixels.shape
        self._cell, self.parts = _grid(height, width, most or MOST_PATCHES)

    def row(self, kept: Mask) -> Pixels:
        """Returns the pixels (H, W, C), some patches covered."""
        row: Pixels = np.where(kept[self._cell][..., None], self._pixels, self._covered)
        return row

    def seen(self) -> str:
        """Returns the pixels that the model sees, as the data: URL of a PNG file."""
        return data_url(_shown(self._pixels))

    def text(self, attributions: ValuesOfParts) -> str:
        """Returns a table of the strongest patches."""
        return bars_text([part.name for part in self.parts], attributions)

    def html(self, attributions: ValuesOfParts) -> str:
        """Returns the picture, without its title."""
        return as_html(self.picture(attributions, ""))

    def picture(self, attributions: ValuesOfParts, title: str) -> Image.Image:
        """Returns what the model saw, and beside it the same, grey, under the colours of the patches."""
        height, width = self._pixels.shape[:2]
        scale = SIDE / max(height, width)
        size = (round(width * scale), round(height * scale))
        left, right = MARGIN, MARGIN + size[0] + GAP
        picture, draw = canvas(right + size[0] + MARGIN, TITLE_HEIGHT + size[1] + FOOT_HEIGHT, title)
        seen = _shown(self._pixels)
        picture.paste(seen.resize(size, Image.Resampling.NEAREST), (left, TITLE_HEIGHT))
        picture.paste(self._coloured(seen, attributions).resize(size, Image.Resampling.NEAREST), (right, TITLE_HEIGHT))
        foot = TITLE_HEIGHT + size[1] + MARGIN
        write(draw, (left, foot), "what the model sees", 12, anchor="la")
        legend(draw, right + (size[0] - 160) // 2, foot, float(np.abs(attributions).max()))
        return picture

    def _coloured(self, seen: Image.Image, attributions: ValuesOfParts) -> Image.Image:
        relative = strengths(attributions)
        colours = np.array([shade(float(np.sign(strength))) for strength in relative])[self._cell]
        hidden = (STRONGEST * np.abs(relative))[self._cell][..., None]
        grey = PALENESS * 255 + (1 - PALENESS) * np.asarray(seen.convert("L"), dtype=np.float64)[..., None]
        return Image.fromarray(((1 - hidden) * grey + hidden * colours).round().astype(np.uint8))


def _grid(height: int, width: int, most: int) -> tuple[NDArray[np.int64], tuple[RowPart, ...]]:
    """Returns the number of each pixel's patch, (H, W), and the patches, row by row; at most `most` of them."""
    down = max(1, min(height, most, round((most * height / width) ** 0.5)))
    across = max(1, min(width, most // down))
    tops, lefts = (np.linspace(0, size, count + 1).astype(int) for size, count in ((height, down), (width, across)))
    rows, columns = (np.repeat(np.arange(len(edges) - 1), np.diff(edges)) for edges in (tops, lefts))
    parts = tuple(
        RowPart(f"x {left}–{right - 1}, y {top}–{bottom - 1}", (left, top, right, bottom))
        for top, bottom in zip(tops[:-1].tolist(), tops[1:].tolist(), strict=True)
        for left, right in zip(lefts[:-1].tolist(), lefts[1:].tolist(), strict=True)
    )
    return rows[:, None] * across + columns[None, :], parts


def _covered(pixels: Pixels, how: object) -> Pixels:
    """Returns the image without what makes it this image."""
    if how == "mean":
        mean: Pixels = np.broadcast_to(pixels.mean(axis=(0, 1)).round().astype(np.uint8), pixels.shape)
        return mean
    if how == "blur":
        blur = ImageFilter.GaussianBlur(max(pixels.shape[:2]) / 8)
        channels = [Image.fromarray(pixels[..., channel]).filter(blur) for channel in range(pixels.shape[2])]
        return np.stack([np.asarray(channel) for channel in channels], axis=2)
    raise InputError(f"baseline is {how!r}; it must be {ImageParts.takes}.")


def _shown(pixels: Pixels) -> Image.Image:
    """Returns the image for people: the first three channels in colour, or the first in grey."""
    return Image.fromarray(pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]).convert("RGB")
