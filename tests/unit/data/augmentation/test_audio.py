"""Sounds changed at random, against changes made by hand on sounds whose every sample is known."""

import math

import pytest
import torch
from torch import Tensor

from maas.data.augmentation.audio import NOISE_RANGE_DB, AudioAugmentation, moved, noisy_waveform

SOUNDS, SIZE = 200, 1001


def click(place: int = SIZE // 2) -> Tensor:
    """Returns (1, T), 1 at one place and silence elsewhere."""
    return torch.zeros(1, SIZE).index_fill_(1, torch.tensor([place]), 1.0)


def tones(count: int = SOUNDS) -> Tensor:
    return torch.sin(torch.arange(SIZE) * 0.3).repeat(count, 1) * 0.25


def augmented(augmentation: AudioAugmentation, samples: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augmentation({"samples": samples})["samples"]


def ones(value: float, rows: int = 1) -> Tensor:
    return torch.full((rows, 1), float(value))


def test_samples_are_the_same_when_nothing_is_set():
    assert torch.equal(augmented(AudioAugmentation(), tones()), tones())


@pytest.mark.parametrize("shift", [-SIZE, -500, -7, 0, 3, 499, SIZE])
def test_click_is_moved_when_a_sound_is_shifted_by_whole_samples(shift):
    place = SIZE // 2 + shift
    expected = click(place) if 0 <= place < SIZE else torch.zeros(1, SIZE)
    assert torch.equal(moved(click(), ones(1), ones(shift)), expected)


def test_click_is_shared_between_neighbours_when_it_falls_between_samples():
    found = moved(click(), ones(1), ones(0.25))[0]
    assert found[SIZE // 2 : SIZE // 2 + 2].tolist() == [0.75, 0.25]
    assert found.sum() == 1


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_line_is_steeper_by_its_speed_when_a_sound_is_sped_up(speed):
    line = torch.arange(SIZE, dtype=torch.float32)[None]
    times = torch.arange(SIZE) - SIZE // 2
    expected = SIZE // 2 + times * speed  # a straight line lies on itself between samples
    inside = (expected >= 0) & (expected <= SIZE - 1)
    found = moved(line, ones(speed), ones(0))[0]
    torch.testing.assert_close(found[inside], expected[inside].to(torch.float32), rtol=0, atol=1e-3)
    beyond = (expected <= -1) | (expected >= SIZE)
    assert not found[beyond].any()


def test_frequency_rises_with_the_speed_when_a_tone_is_sped_up():
    expected = torch.sin((torch.arange(SIZE) - SIZE // 2) * 0.05 * 1.5)
    tone = torch.sin((torch.arange(SIZE) - SIZE // 2) * 0.05)[None]
    found = moved(tone, ones(1.5), ones(0))[0]
    middle = slice(SIZE // 4, -SIZE // 4)
    torch.testing.assert_close(found[middle], expected[middle], rtol=0, atol=1e-3)


def test_shifts_stay_in_their_range_and_fill_it_when_many_are_drawn():
    found = augmented(AudioAugmentation(shift_fraction=0.1), click().repeat(SOUNDS, 1))
    places = (found * torch.arange(SIZE)).sum(1) - SIZE // 2  # linear interpolation keeps the centre of mass
    assert places.abs().max() <= 0.1 * SIZE + 1e-3
    assert places.min() < -0.09 * SIZE
    assert places.max() > 0.09 * SIZE


def test_speeds_stay_in_their_range_and_fill_it_when_many_are_drawn():
    steps = torch.arange(SIZE, dtype=torch.float32).repeat(SOUNDS, 1)
    found = augmented(AudioAugmentation(speed_fraction=0.25), steps)
    speeds = found[:, SIZE // 2 + 1] - found[:, SIZE // 2]
    assert speeds.min() == pytest.approx(1 / 1.25, abs=0.01)
    assert speeds.max() == pytest.approx(1.25, abs=0.01)
    assert float(speeds.log().mean()) == pytest.approx(0, abs=5 * math.log(1.25) / math.sqrt(3 * SOUNDS))


def test_gains_stay_in_their_range_and_fill_it_when_many_are_drawn():
    found = augmented(AudioAugmentation(gain_db=6), tones())
    gains = 20 * (found[:, 1] / tones()[:, 1]).log10()
    assert gains.abs().max() <= 6 + 1e-4
    assert gains.min() < -5.5
    assert gains.max() > 5.5
    torch.testing.assert_close(found, tones() * (10 ** (gains / 20))[:, None])


@pytest.mark.parametrize("ratio", [0.0, 10.0, 40.0])
def test_noise_has_the_given_power_when_it_is_added(ratio):
    torch.manual_seed(0)
    noise = noisy_waveform(tones(), ones(ratio, SOUNDS)) - tones()
    found = 10 * (tones().square().mean() / noise.square().mean()).log10()
    assert float(found) == pytest.approx(ratio, abs=0.1)


def test_noise_lies_in_its_range_when_many_are_drawn():
    noise = augmented(AudioAugmentation(noise_db=5), tones()) - tones()
    ratios = 10 * (tones().square().mean(1) / noise.square().mean(1)).log10()
    assert 4 < ratios.min() < 8
    assert 5 + NOISE_RANGE_DB - 2 < ratios.max() < 5 + NOISE_RANGE_DB + 1


def test_silence_stays_silent_when_noise_is_added():
    assert not augmented(AudioAugmentation(noise_db=0), torch.zeros(4, SIZE)).any()


def test_changes_are_the_same_when_the_seed_is_and_differ_among_sounds():
    augmentation = AudioAugmentation(speed_fraction=0.3, shift_fraction=0.1, gain_db=6, noise_db=10)
    one, again, other = (augmented(augmentation, tones(4), seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len({row.numpy().tobytes() for row in one}) == 4
    assert one.shape == (4, SIZE)
    assert one.dtype == torch.float32


def test_other_model_inputs_pass_and_samples_are_left_alone_when_sounds_are_augmented():
    model_inputs = {"samples": tones(2), "lengths": torch.tensor([1, 2])}
    found = AudioAugmentation(shift_fraction=0.5, noise_db=0)(model_inputs)
    assert found["lengths"] is model_inputs["lengths"]
    assert torch.equal(model_inputs["samples"], tones(2))
