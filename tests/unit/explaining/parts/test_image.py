"""Patches of images."""

import io

import numpy as np
import pytest
from PIL import Image

from maas.errors import InputError
from maas.explaining.parts import parts_of
from maas.runtime.processors.image import ImageProcessor


@pytest.fixture
def photograph() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def encoded(processor, row) -> np.ndarray:
    return processor.arrays([row])[0]


def test_patches_tile_the_pixels_when_the_grid_is_laid(photograph):
    processor = ImageProcessor(height=30, width=40, channels=3)
    for most in (1, 2, 7, 49, 300, 5000):
        parts = parts_of(photograph, processor, most, None)
        assert len(parts.parts) <= most
        covered = np.zeros((30, 40), dtype=int)
        for left, top, right, bottom in (part.place for part in parts.parts):
            covered[top:bottom, left:right] += 1
        assert (covered == 1).all()


def test_patch_alone_is_seen_when_only_it_is_kept(only, photograph):
    processor = ImageProcessor(height=28, width=28, channels=1)
    pixels = encoded(processor, photograph)
    parts = parts_of(photograph, processor, None, None)
    assert len(parts.parts) == 49
    row = only(parts, 10)
    left, top, right, bottom = parts.parts[10].place
    np.testing.assert_array_equal(row[top:bottom, left:right], pixels[top:bottom, left:right])
    outside = np.ones((28, 28), dtype=bool)
    outside[top:bottom, left:right] = False
    assert set(row[outside].ravel().tolist()) == {round(float(pixels.mean()))}
    assert parts.parts[10].name == "x 12–15, y 4–7"


def test_image_is_the_models_own_when_every_patch_is_kept(only, photograph):
    processor = ImageProcessor(height=20, width=15, channels=3, resize="cover")
    parts = parts_of(photograph, processor, None, None)
    row = only(parts, *range(len(parts.parts)))
    np.testing.assert_array_equal(encoded(processor, row), encoded(processor, photograph))


def test_blur_keeps_the_mean_and_takes_the_detail_when_it_is_the_baseline(only, photograph):
    processor = ImageProcessor(height=30, width=40, channels=3)
    pixels, blurred = encoded(processor, photograph), only(parts_of(photograph, processor, None, "blur"))
    assert blurred.dtype == np.uint8
    assert np.abs(blurred.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 5
    assert blurred.std() < 0.2 * pixels.std()


def test_baseline_is_told_when_it_is_another(photograph):
    with pytest.raises(InputError) as caught:
        parts_of(photograph, ImageProcessor(height=8, width=8), None, "black")
    assert str(caught.value) == "baseline is 'black'; it must be 'mean', the image's mean colour, or 'blur'."
