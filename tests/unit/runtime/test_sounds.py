"""Sound files and samples to one channel: what comes through exactly, and what is refused with which words."""

import io
import struct

import numpy as np
import pytest
import soundfile

from maas.errors import InputError
from maas.runtime.sounds import HIGHEST_RATE, LOUDEST, LOWEST_RATE, MAX_CHANNELS, MAX_SECONDS, read_sound, sound_of

RATE = 16000


def wave(frames: int = 400, channels: int = 1, rate: int = RATE) -> np.ndarray:
    """Returns float64 (T, C), a tone of its own in each channel, on the grid of 16-bit numbers."""
    times = np.arange(frames)[:, None] / rate
    return np.round(np.sin(2 * np.pi * 200 * (1 + np.arange(channels)) * times) * 16000) / 32768


def written(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def patched(content: bytes, place: int, value: bytes) -> bytes:
    return content[:place] + value + content[place + len(value) :]


def refusal(content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_sound(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        *[("WAV", subtype) for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
        *[("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
    ],
)
def test_samples_are_the_channels_mean_when_a_file_holds_them_exactly(kind, subtype, rate, channels):
    samples = wave(channels=channels, rate=rate)
    sound = read_sound(written(samples, rate, kind, subtype))
    assert sound.rate == rate
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, samples.mean(axis=1), rtol=0, atol=1e-7)


def test_long_file_is_read_whole_when_it_takes_many_blocks():
    samples = wave(200_003, 3)
    np.testing.assert_allclose(read_sound(written(samples)).samples, samples.mean(axis=1), rtol=0, atol=1e-7)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_is_close_to_its_source_when_it_is_read(subtype):
    samples = wave(RATE)
    found = read_sound(written(samples, kind="OGG", subtype=subtype)).samples
    assert len(found) == RATE
    assert np.corrcoef(found, samples[:, 0])[0, 1] > 0.98


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0x7FFFFF00, 900])
def test_file_is_read_as_far_as_it_goes_when_its_header_claims_more(claimed):
    content = patched(written(wave()), 40, struct.pack("<I", claimed))
    np.testing.assert_array_equal(read_sound(content).samples, wave()[:, 0].astype(np.float32))


def test_file_is_read_as_far_as_it_goes_when_it_is_a_wav_cut_off():
    assert len(read_sound(written(wave())[: 44 + 2 * 123]).samples) == 123


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with b'', which is no WAV, FLAC or Ogg file; send one of these."),
        (
            b"\xff\xfb\x90\x00",
            "begins with b'\\xff\\xfb\\x90\\x00', which is no WAV, FLAC or Ogg file; send one of these.",
        ),
        (b"RIFF", "is a sound file that cannot be read: "),
        (written(wave(0)), "holds no samples; the model needs at least one."),
        (patched(written(wave()), 40, b"\0\0\0\0"), "holds no samples; the model needs at least one."),
        (patched(written(wave()), 22, b"\xff\xff"), "is a sound file that cannot be read: "),
        (patched(written(wave()), 24, struct.pack("<I", 999)), "has the rate 999; whole rates from 1000 to 192000 Hz"),
        (
            patched(written(wave()), 24, struct.pack("<I", 2**31 - 1)),
            "has the rate 2147483647; whole rates from 1000 to",
        ),
        (written(np.zeros((10, 65))), "has 65 channels; at most 64 are read."),
        (written(np.zeros(61_000), 1000), "lasts 61.0 s; at most 60 s are read. Send the part that counts."),
        (written(np.full(9, np.nan), subtype="FLOAT"), "holds a sample that is not a finite number."),
        (written(np.full(9, -np.inf), subtype="FLOAT"), "holds a sample that is not a finite number."),
        (written(np.full(9, 1e300), subtype="DOUBLE"), "holds a sample that is not a finite number."),
        (
            written(np.full(9, -7.5), subtype="FLOAT"),
            "holds samples up to 7.5; samples are floats with full scale 1, or",
        ),
    ],
)
def test_file_is_refused_with_its_values_when_it_is_not_what_is_read(content, message):
    assert refusal(content).startswith(message)


def test_flac_is_refused_when_its_header_claims_two_to_the_36_samples():
    content = written(wave(), kind="FLAC")
    lying = patched(content, 21, bytes([content[21] | 0x0F]) + b"\xff" * 4)
    assert refusal(lying).startswith("lasts 4294967.3 s; at most 60 s are read.")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_flac_is_refused_when_it_is_cut_off(share):
    content = written(wave(30_000), kind="FLAC")
    assert refusal(content[: int(len(content) * share)]).startswith("is a sound file that cannot be read: ")


@pytest.mark.parametrize("values", [[0.5, -0.25], (0.5, -0.25), np.array([0.5, -0.25]), np.float16([0.5, -0.25])])
def test_floats_come_through_unchanged_when_they_are_samples(values):
    sound = sound_of(values, 8000)
    assert (sound.samples.tolist(), sound.samples.dtype, sound.rate) == ([0.5, -0.25], np.float32, 8000)


@pytest.mark.parametrize("values", [[16384, -32768, 32767], np.int16([16384, -32768, 32767])])
def test_whole_numbers_are_divided_by_32768_when_they_are_samples(values):
    assert sound_of(values, RATE).samples.tolist() == [0.5, -1.0, 32767 / 32768]


def test_channels_are_averaged_when_samples_have_two_axes():
    assert sound_of([[0.5, 0.0], [-1.0, 1.0]], RATE).samples.tolist() == [0.25, 0.0]
    assert sound_of(np.int16([[16384, 0], [2, 4]]), RATE).samples.tolist() == [0.25, 3 / 32768]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "holds no samples; the model needs at least one."),
        ([[], []], "holds no samples; the model needs at least one."),
        (np.zeros((0, 2)), "holds no samples; the model needs at least one."),
        (
            ["a" * 10_000_000, *"b" * 1000],
            "is a list of str; samples are floats with full scale 1, or whole numbers of ",
        ),
        ([True, 0.5], "is a list of bool, float; samples are floats"),
        ([0.5, None], "is a list of NoneType, float; samples are floats"),
        ("text", "is a list of str; samples are floats"),
        (None, "is a list of NoneType; samples are floats"),
        ([[[0.5]]], "is a list of list; samples are floats"),
        ([[0.5], 0.5], "is a list of float, list; samples are floats"),
        ([[0.5], [0.5, 0.5]], "holds lists of unequal length: "),
        (0.5, "has shape []; samples are (T,) or (T, channels)."),
        (np.zeros((2, 2, 2)), "has shape [2, 2, 2]; samples are (T,) or (T, channels)."),
        (np.zeros(4, bool), "holds values of type bool; samples are floats"),
        (np.zeros(4, np.uint8), "holds values of type uint8; samples are floats"),
        (np.zeros(4, complex), "holds values of type complex128; samples are floats"),
        ([10**400], "holds values of type object; samples are floats"),
        ([0, 32768], "holds whole numbers from 0 to 32768; samples are floats"),
        ([-32769, 5], "holds whole numbers from -32769 to 5; samples are floats"),
        ([0.5, float("nan")], "holds a sample that is not a finite number."),
        ([0.5, 1e300], "holds a sample that is not a finite number."),
        ([0.5, -4.5], "holds samples up to 4.5; samples are floats"),
        (np.zeros((2, 65)), "has 65 channels; at most 64 are read."),
        (np.zeros(RATE * 60 + 1600), "lasts 60.1 s; at most 60 s are read."),
        (np.zeros((375_001, 64), np.int16), "holds 24000064 samples in 64 channels; at most 24000000 are read."),
    ],
)
def test_samples_are_refused_with_their_values_when_they_are_not_samples(values, message):
    with pytest.raises(InputError) as caught:
        sound_of(values, RATE)
    assert str(caught.value).startswith(message)


def test_sound_is_read_when_it_lies_on_the_limits():
    assert read_sound(written(np.zeros((4, MAX_CHANNELS)), LOWEST_RATE)).rate == LOWEST_RATE
    assert read_sound(written(np.zeros(MAX_SECONDS * 1000), 1000)).samples.size == MAX_SECONDS * 1000
    assert read_sound(written(np.full(9, LOUDEST), HIGHEST_RATE, subtype="FLOAT")).rate == HIGHEST_RATE
