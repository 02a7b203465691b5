"""Pictures shifted, mirrored and partly covered, again each time that training reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional

from maas.bounds import ClosedFraction, PositiveFraction

Padding = Annotated[int, Meta(ge=0, description="pixels, 0 or more", examples=[2])]
Pixel = Annotated[int, Meta(ge=0, le=255, description="a pixel's value in 0 to 255", examples=[0])]

LOWEST_RATIO = 0.3
"""Height to width of the flattest patch that is erased; the tallest is its inverse, as in the paper."""


@dataclass(frozen=True)
class ImageAugmentation:
    """Crop after padding, mirror, erase: each picture draws its own from torch's global generator.

    It runs on training batches alone, before the net, and leaves shape and dtype alone.

    Args:
        crop: P, pixels added on each side before H×W of them are cut out anywhere; 0 leaves the picture in place.
        flip: whether half of the pictures are mirrored left to right.
        erase: chance that a rectangle of a picture is covered.
        erase_fraction: the largest fraction of a picture that a rectangle covers.
        fill: value of padded and covered pixels, 0 (black) to 255.

    Source:
        Crop and flip: He et al., arXiv:1512.03385, §4.2; random erasing: Zhong et al., arXiv:1708.04896, with one value
        in place of noise.
    """

    crop: Padding = 0
    flip: bool = False
    erase: ClosedFraction = 0.0
    erase_fraction: PositiveFraction = 0.25
    fill: Pixel = 0

    def __call__(self, model_inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the model inputs with other pixels.

        Args:
            model_inputs: `pixels` uint8 (N, H, W, C); others are passed on.
        """
        pixels = model_inputs["pixels"]
        if self.crop or self.flip:
            pixels = cropped(pixels, self.crop, self.flip, self.fill)
        if self.erase:
            pixels = erased(pixels, self.erase, self.erase_fraction, self.fill)
        return {**model_inputs, "pixels": pixels}


def cropped(pixels: Tensor, padding: int, flip: bool, fill: int) -> Tensor:
    """Returns each picture cut out of its padded self at a place of its own, half of them mirrored where flips are on.

    Args:
        pixels: (N, H, W, C).
        padding: P, pixels on each side; every shift of -P to P pixels is as likely.
        flip: whether half of the pictures are mirrored left to right.
        fill: value of padded pixels.

    Returns:
        (N, H, W, C)
    """
    count, height, width, _ = pixels.shape
    top, left = torch.randint(2 * padding + 1, (2, count, 1), device=pixels.device)  # (N, 1) each
    rows = top + torch.arange(height, device=pixels.device)  # (N, H)
    columns = left + torch.arange(width, device=pixels.device)  # (N, W)
    if flip:
        mirrored = torch.randint(2, (count, 1), device=pixels.device) == 1
        columns = torch.where(mirrored, columns.flip(1), columns)
    padded = functional.pad(pixels, (0, 0, padding, padding, padding, padding), value=fill)
    pictures = torch.arange(count, device=pixels.device)
    return padded[pictures[:, None, None], rows[:, :, None], columns[:, None, :]]


def erased(pixels: Tensor, chance: float, largest_fraction: float, fill: int) -> Tensor:
    """Returns pictures of which some are covered by a rectangle.

    Args:
        pixels: (N, H, W, C).
        chance: probability of each picture to be covered.
        largest_fraction: largest fraction of a picture that a rectangle covers; smaller ones are as likely.
        fill: value of covered pixels.

    Returns:
        (N, H, W, C)
    """
    count, height, width, _ = pixels.shape
    drawn, fraction, shape, down, right = torch.rand(5, count, device=pixels.device)  # (N,) each
    area = fraction * largest_fraction * height * width
    ratio = LOWEST_RATIO ** (2 * shape - 1)  # as often flat as tall
    covered_rows = _span(down, (area * ratio).sqrt(), height)
    covered_columns = _span(right, (area / ratio).sqrt(), width)
    covered = covered_rows[:, :, None] & covered_columns[:, None, :] & (drawn < chance)[:, None, None]  # (N, H, W)
    return pixels.masked_fill(covered[..., None], fill)


def _span(place: Tensor, length: Tensor, size: int) -> Tensor:
    """Returns which of `size` pixels lie in a span of each picture, bool (N, size).

    Args:
        place: (N,) in [0, 1): 0 begins at the first pixel, 1 would end at the last.
        length: (N,) in pixels; rounded down to 1 or more, so that the area keeps its limit.
        size: H or W.
    """
    whole = length.floor().clamp(1, size)
    start = (place * (size - whole + 1)).floor()
    index = torch.arange(size, device=place.device)
    return (index >= start[:, None]) & (index < (start + whole)[:, None])
