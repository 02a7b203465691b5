"""Sounds of unequal length changed at random, against changes made by hand; nothing that is said is lost."""

import pytest
import torch

from maas.data.augmentation.audio import NOISE_RANGE_DB
from maas.data.augmentation.speech import SpeechAugmentation, sped_up, with_noise

SIZE = 1000
LENGTHS = torch.tensor([400, 1000, 1])


def tones() -> torch.Tensor:
    samples = torch.sin(torch.arange(SIZE) * 0.3).repeat(3, 1) * 0.25 + 0.1
    return samples * (torch.arange(SIZE) < LENGTHS[:, None])


def speeds(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def augmented(augmentation: SpeechAugmentation) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return augmentation({"samples": tones(), "lengths": LENGTHS, "other": LENGTHS})


def test_inputs_are_the_same_when_nothing_is_set():
    found = augmented(SpeechAugmentation())
    assert torch.equal(found["samples"], tones())
    assert torch.equal(found["lengths"], LENGTHS)


def test_inputs_keep_shapes_and_types_when_all_is_set():
    found = augmented(SpeechAugmentation(0.5, 12.0, 10.0))
    assert found["samples"].shape == (3, SIZE)
    assert found["samples"].dtype == torch.float32
    assert found["lengths"].dtype == torch.int64
    assert found["other"] is LENGTHS
    for samples, length in zip(found["samples"], found["lengths"], strict=True):
        assert 1 <= length <= SIZE
        assert not samples[length:].any()


def test_line_is_steeper_by_its_speed_when_a_sound_is_sped_up():
    line = torch.arange(SIZE, dtype=torch.float32).expand(2, -1)
    found, lengths = sped_up(line, torch.tensor([SIZE, SIZE]), speeds(2.0, 1.25))
    assert lengths.tolist() == [500, 800]
    for row, length, speed in zip(found, lengths, (2.0, 1.25), strict=True):
        torch.testing.assert_close(row[: length - 1], torch.arange(length - 1) * speed, rtol=0, atol=1e-3)
        assert not row[length + 1 :].any()


def test_sound_is_slowed_down_as_far_as_there_is_room_when_it_would_be_too_long():
    samples = tones()
    found, lengths = sped_up(samples, LENGTHS, speeds(0.5, 0.5, 0.5))
    assert lengths.tolist() == [800, 1000, 2]
    assert torch.equal(found[1], samples[1])  # it fills its row
    torch.testing.assert_close(found[0, :800:2], samples[0, :400])


def test_gain_is_within_its_bounds_when_a_sound_is_made_louder():
    found = augmented(SpeechAugmentation(gain_db=6.0))["samples"]
    gains = found[:2, 5] / tones()[:2, 5]
    assert (gains.log10().abs() * 20 <= 6).all()
    torch.testing.assert_close(found[:2], tones()[:2] * gains[:, None])


@pytest.mark.parametrize("ratio_db", [0.0, 20.0, NOISE_RANGE_DB])
def test_noise_is_as_loud_as_is_said_and_ends_with_the_sound(ratio_db):
    torch.manual_seed(0)
    samples, lengths = tones()[:1].repeat(200, 1), torch.full((200,), 400)
    noise = with_noise(samples, lengths, torch.full((200, 1), ratio_db)) - samples
    assert not noise[:, 400:].any()
    power = samples[0, :400].square().mean() / noise[:, :400].square().mean()
    assert 10 * float(power.log10()) == pytest.approx(ratio_db, abs=0.2)
