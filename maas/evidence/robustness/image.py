"""Images: noise and blur of the pixels that the model sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors import SingleArrayProcessor

PixelArray = NDArray[np.uint8]


def perturbations(processor: SingleArrayProcessor) -> tuple[Perturbation, ...]:
    """Returns noise and blur."""
    return (
        Perturbation(
            "noise",
            "standard deviation, of 255 levels",
            (0.0, 8.0, 16.0, 32.0, 64.0),
            lambda rows, deviation, random: noisy_pixels(processor.arrays(rows), deviation, random),
        ),
        Perturbation(
            "blur",
            "standard deviation, pixels",
            (0.0, 0.5, 1.0, 2.0, 4.0),
            lambda rows, deviation, _: blurred(processor.arrays(rows), deviation),
        ),
    )


def noisy_pixels(rows: Sequence[PixelArray], deviation: float, random: np.random.Generator) -> list[PixelArray]:
    """Returns pixels (H, W, C) with Gaussian noise on each value, rounded and cut to [0, 255]."""
    return [
        (pixels + deviation * random.standard_normal(pixels.shape)).round().clip(0, 255).astype(np.uint8)
        for pixels in rows
    ]


def blurred(rows: Sequence[PixelArray], deviation: float) -> list[PixelArray]:
    """Returns pixels (H, W, C) under a Gaussian blur, as Pillow approximates it."""
    return [_blurred(pixels, ImageFilter.GaussianBlur(deviation)) for pixels in rows]


def _blurred(pixels: PixelArray, blur: ImageFilter.GaussianBlur) -> PixelArray:
    channels = [Image.fromarray(pixels[..., channel]).filter(blur) for channel in range(pixels.shape[2])]
    return np.stack([np.asarray(channel) for channel in channels], axis=2)
