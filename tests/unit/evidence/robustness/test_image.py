"""Noise and blur of pixels."""

import numpy as np
import pytest
from skimage.filters import gaussian

from maas.evidence.robustness import perturbations_of
from maas.evidence.robustness.image import blurred, noisy_pixels
from maas.runtime.processors.image import ImageProcessor


def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((200, 200, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize("deviation", [4.0, 16.0, 32.0])
def test_noise_has_its_deviation_when_nothing_is_cut(grey, deviation):
    (found,) = noisy_pixels([grey], deviation, random())
    assert found.dtype == np.uint8
    assert (found.astype(float) - 128).std() == pytest.approx(np.sqrt(deviation**2 + 1 / 12), rel=0.02)
    assert found.mean() == pytest.approx(128, abs=0.3)


def test_noise_stays_in_range_when_pixels_are_black_or_white():
    rows = [np.zeros((50, 50, 1), np.uint8), np.full((50, 50, 1), 255, np.uint8)]
    black, white = noisy_pixels(rows, 32.0, random())
    assert black.max() < 200
    assert white.min() > 55
    assert (black == 0).mean() == pytest.approx(0.5, abs=0.05)


def test_noise_is_the_same_but_stronger_when_the_strength_grows(grey):
    (weak,), (strong,) = (noisy_pixels([grey], deviation, random()) for deviation in (8.0, 16.0))
    difference = (strong.astype(float) - 128) - 2 * (weak.astype(float) - 128)
    assert np.abs(difference).max() <= 1.5


@pytest.mark.parametrize("deviation", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_stays_when_it_is_of_one_colour_and_blurred(deviation, channels):
    plain = np.full((20, 30, channels), 77, dtype=np.uint8)
    np.testing.assert_array_equal(blurred([plain], deviation)[0], plain)


@pytest.mark.parametrize("deviation", [1.0, 2.0, 4.0])
def test_blur_is_gaussian_when_it_is_compared_with_another_library(deviation):
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[20:40, 25:45, 1] = 200
    (found,) = blurred([pixels], deviation)
    expected = gaussian(pixels.astype(float), deviation, channel_axis=2, mode="nearest")
    assert np.abs(found - expected).max() < 8
    assert np.abs(found.astype(float) - expected).mean() < 0.5


def test_rows_are_read_by_the_processor_when_they_are_made_worse():
    processor = ImageProcessor(height=8, width=8, channels=1)
    rows = [np.random.default_rng(1).integers(0, 256, (20, 10, 3)).tolist()]
    noise, blur = perturbations_of(processor)
    for one in (noise, blur):
        assert one.strengths[0] == 0
        for strength in one.strengths:
            (found,) = processor.arrays(one.rows_at(strength, rows, random()))
            np.testing.assert_array_equal(found, processor.arrays(one.rows_at(strength, rows, random()))[0])
            assert (strength == 0) == np.array_equal(found, processor.arrays(rows)[0])
