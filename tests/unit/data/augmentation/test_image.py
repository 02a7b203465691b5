"""Pictures changed at random, against changes made by hand: every outcome is one of a few known pictures."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from maas.data.augmentation.image import LOWEST_RATIO, ImageAugmentation

PICTURES = 400


def picture(height: int = 5, width: int = 4, channels: int = 3) -> Tensor:
    """Returns uint8 (H, W, C) of values that are all different and none of them 0."""
    return torch.arange(1, height * width * channels + 1, dtype=torch.uint8).reshape(height, width, channels)


def copies(one: Tensor, count: int = PICTURES) -> Tensor:
    return one.expand(count, *one.shape).clone()


def augmented(augmentation: ImageAugmentation, pixels: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augmentation({"pixels": pixels})["pixels"]


def shifted(one: Tensor, padding: int, fill: int = 0) -> set[bytes]:
    """Returns every picture that a crop can give, cut out by slices."""
    height, width, _ = one.shape
    padded = functional.pad(one, (0, 0, padding, padding, padding, padding), value=fill)
    places = [(top, left) for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    return {content(padded[top : top + height, left : left + width]) for top, left in places}


def content(one: Tensor) -> bytes:
    return one.numpy().tobytes()


def contents(pixels: Tensor) -> set[bytes]:
    return {content(one) for one in pixels}


@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("padding", [1, 2])
def test_crops_are_all_the_shifted_pictures_when_many_are_drawn(padding, fill):
    found = augmented(ImageAugmentation(crop=padding, fill=fill), copies(picture()))
    assert contents(found) == shifted(picture(), padding, fill)


def test_crop_keeps_the_picture_when_it_is_not_padded():
    pixels = copies(picture())
    assert torch.equal(augmented(ImageAugmentation(), pixels), pixels)


def test_pictures_are_flipped_or_kept_when_flips_are_on():
    one = picture()
    found = augmented(ImageAugmentation(flip=True), copies(one))
    mirrored = torch.flip(one, [1])
    flipped = (found == mirrored).flatten(1).all(1)
    kept = (found == one).flatten(1).all(1)
    assert bool((flipped ^ kept).all())
    assert abs(int(flipped.sum()) - PICTURES / 2) < 5 * math.sqrt(PICTURES / 4)  # five standard deviations


def test_pictures_are_shifted_and_mirrored_when_both_are_set():
    found = augmented(ImageAugmentation(crop=1, flip=True), copies(picture()))
    assert contents(found) == shifted(picture(), 1) | shifted(picture().flip(1), 1)


def rectangle(covered: Tensor) -> tuple[int, int]:
    """Returns height and width of the smallest rectangle around what is covered, bool (H, W)."""
    return int(covered.any(1).sum()), int(covered.any(0).sum())


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_covered_pixels_are_one_rectangle_of_the_allowed_size_when_pictures_are_erased(share):
    pixels = torch.full((PICTURES, 28, 20, 2), 9, dtype=torch.uint8)
    found = augmented(ImageAugmentation(erase=1.0, erase_fraction=share, fill=77), pixels)
    covered = (found == 77).all(3)
    assert torch.equal(found, torch.where(covered[..., None], 77, pixels))
    for one in covered:
        height, width = rectangle(one)
        assert 0 < int(one.sum()) == height * width <= share * 28 * 20
        assert one[one.any(1)].any(0).sum() == width
    areas = covered.flatten(1).sum(1) / (28 * 20)
    assert areas.min() < share / 4
    assert areas.max() > share / 2


def test_rectangles_are_as_often_flat_as_tall_when_pictures_are_erased():
    pixels = torch.full((PICTURES, 40, 40, 1), 9, dtype=torch.uint8)
    found = augmented(ImageAugmentation(erase=1.0), pixels)
    shapes = [rectangle(one) for one in (found == 0).squeeze(3)]
    ratios = [height / width for height, width in shapes if min(height, width) > 5]
    assert min(ratios) > LOWEST_RATIO * 5 / 6  # rounding takes less than one of six pixels or more
    assert max(ratios) < 6 / 5 / LOWEST_RATIO
    tall = sum(ratio > 1 for ratio in ratios)
    flat = sum(ratio < 1 for ratio in ratios)
    assert abs(tall - flat) < 5 * math.sqrt(tall + flat)


def test_share_of_erased_pictures_is_the_chance_when_many_are_drawn():
    found = augmented(ImageAugmentation(erase=0.25), copies(picture()))
    erased = (found == 0).flatten(1).any(1).sum().item()
    assert abs(erased - PICTURES / 4) < 5 * math.sqrt(PICTURES * 0.25 * 0.75)


def test_rectangles_reach_every_pixel_when_many_are_drawn():
    found = augmented(ImageAugmentation(erase=1.0), copies(picture(6, 6, 1)))
    assert bool((found == 0).any(0).all())


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (7, 3, 5, 3), (2, 1, 1, 4)])
def test_shape_and_dtype_are_kept_when_everything_is_on(shape):
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    given = pixels.clone()
    found = augmented(ImageAugmentation(crop=2, flip=True, erase=0.5), pixels)
    assert found.shape == shape
    assert found.dtype == torch.uint8
    assert torch.equal(pixels, given)  # the caller's rows are used again next epoch


def test_pictures_are_the_same_when_the_seed_is():
    augmentation, pixels = ImageAugmentation(crop=2, flip=True, erase=0.5), copies(picture())
    first = augmented(augmentation, pixels, seed=1)
    assert torch.equal(augmented(augmentation, pixels, seed=1), first)
    assert not torch.equal(augmented(augmentation, pixels, seed=2), first)


def test_other_model_inputs_are_passed_on_when_pixels_are_changed():
    ages = torch.arange(3)
    model_inputs = {"pixels": copies(picture(), 3), "ages": ages}
    found = ImageAugmentation(crop=1)(model_inputs)
    assert found["ages"] is ages
    assert set(found) == set(model_inputs)


def test_settings_cannot_be_changed_when_it_is_built():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ImageAugmentation().crop = 3
