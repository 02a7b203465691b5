"""Sounds of every form, rate and channel count come out as the model hears them; hostile ones are refused by name."""

import base64
import io
import json
import math
import struct
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maas.errors import InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.audio import AudioProcessor, centred

RATE = 16000
LARGEST_MIB = 500


def tone(hertz: float, rate: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    """Returns int16 (T, C), the same tone in each channel."""
    times = np.arange(round(rate * seconds))[:, None] / rate
    return np.repeat(np.round(16000 * np.sin(2 * np.pi * hertz * times)), channels, axis=1).astype(np.int16)


def written(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def loudest_hertz(samples: np.ndarray) -> float:
    """Returns the frequency of the largest bin of the spectrum."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_tone_keeps_frequency_and_loudness_when_it_comes_at_any_rate(rate, channels, kind):
    hertz = 440 if rate > 1000 else 200
    (found,) = AudioProcessor(RATE, 1.0).arrays([written(tone(hertz, rate, 1.0, channels), rate, kind)])
    assert found.shape == (RATE,)
    assert found.dtype == np.float32
    assert loudest_hertz(found) == pytest.approx(hertz, abs=1)
    middle = found[RATE // 4 : -RATE // 4].astype(np.float64)
    assert math.sqrt(2 * np.mean(middle**2)) == pytest.approx(16000 / 32768, rel=5e-3)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_resampled_tone_is_the_tone_itself_when_it_is_sampled_at_the_models_rate(rate):
    times = (np.arange(RATE) + 0.5) / RATE  # the centre of the clip stays the centre
    (found,) = AudioProcessor().arrays([written(tone(500, rate, 1.5), rate)])
    shift = np.arange(-2, 2.01, 0.01)[:, None] / RATE
    errors = np.abs(np.sin(2 * np.pi * 500 * (times[100:-100] + shift)) * 16000 / 32768 - found[100:-100]).max(axis=1)
    assert errors.min() < 2e-3


def test_forms_of_one_sound_are_equal_when_they_are_encoded(tmp_path):
    samples = tone(300, RATE, 0.7)
    content = written(samples)
    (tmp_path / "a.wav").write_bytes(content)
    text = base64.b64encode(content).decode()
    floats = (samples[:, 0] / 32768).tolist()
    forms = [content, text, f"data:audio/wav;base64,{text}", tmp_path / "a.wav", written(samples, kind="FLAC")]
    forms += [samples[:, 0], samples, samples[:, 0].tolist(), floats, np.float32(floats), tuple(floats)]
    forms += [{"samples": floats, "rate": RATE}, {"samples": samples, "rate": float(RATE)}]
    first, *others = AudioProcessor().arrays(forms)
    for other in others:
        np.testing.assert_array_equal(other, first)
    np.testing.assert_array_equal(first[2400:-2400], np.float32(floats))


def test_named_samples_equal_their_file_when_they_have_a_rate_of_their_own():
    samples = tone(300, 44100, 0.5, channels=2)
    one, other = AudioProcessor().arrays([{"samples": samples.tolist(), "rate": 44100}, written(samples, 44100)])
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("count", "expected"), [(3, [2, 3, 4]), (2, [2, 3]), (5, [1, 2, 3, 4, 5]), (8, "011223")])
def test_middle_is_kept_or_filled_up_when_a_sound_is_centred(count, expected):
    expected = [0, 1, 2, 3, 4, 5, 0, 0] if count == 8 else expected
    assert centred(np.float32([1, 2, 3, 4, 5]), count).tolist() == expected


def test_long_sound_is_as_its_middle_when_it_is_resampled():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48000 * 9).astype(np.float32)
    middle = noise[48000 * 4 - 4800 : 48000 * 5 + 4800]
    one, other = AudioProcessor().arrays([{"samples": noise, "rate": 48000}, {"samples": middle, "rate": 48000}])
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_shortest_sound_is_heard_when_it_is_one_sample():
    for rate in (1000, RATE, 192000):
        (found,) = AudioProcessor().arrays([{"samples": [0.5], "rate": rate}])
        assert found.shape == (RATE,)
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            None,
            "Row 1 is null; the model takes a sound: the bytes of a WAV or FLAC file or their base64 text, a path, ",
        ),
        (0.5, "Row 1 is of type float; the model takes a sound: "),
        ("hello", "Row 1 is the text 'hello', which is not base64: "),
        ("aGVsbG8=", "Row 1 begins with b'hell', which is no WAV, FLAC or Ogg file; send one of these."),
        (b"", "Row 1 begins with b'', which is no WAV, FLAC or Ogg file; send one of these."),
        ([], "Row 1 holds no samples; the model needs at least one."),
        ({"samples": [0.5]}, "Row 1 has the keys ['samples']; the model takes a sound: "),
        (
            {"samples": [0.5], "rate": "16000"},
            "Row 1 has the rate '16000'; whole rates from 1000 to 192000 Hz are read.",
        ),
        ({"samples": [0.5], "rate": 999}, "Row 1 has the rate 999; whole rates"),
        ({"samples": [0.5], "rate": 8000.5}, "Row 1 has the rate 8000.5; whole rates"),
        ({"samples": [0.5], "rate": float("nan")}, "Row 1 has the rate nan; whole rates"),
        ({"samples": [0.5], "rate": 10**400}, "Row 1 has the rate 1000"),
        ({"samples": [0.5], "rate": True}, "Row 1 has the rate True; whole rates"),
        ({"samples": [0.0] * 61_000, "rate": 1000}, "Row 1 lasts 61.0 s; at most 60 s are read."),
    ],
)
def test_row_is_named_with_its_value_when_it_is_no_sound(row, message):
    with pytest.raises(InputError) as caught:
        AudioProcessor().arrays([[0.5], row])
    assert str(caught.value).startswith(message)


def test_values_are_one_row_or_many_when_they_come_as_json():
    processor = AudioProcessor()
    named = {"samples": [1], "rate": 8000}
    one = ["UklGRg==", [0.5, 0.1], [1, 2], named, [], None, [[0.5], [0.1]], [[0.5, 0.1]] * RATE, [[1, 2], [3, 4]]]
    assert not any(map(processor.is_many, one))
    several = [["UklGRg=="], [named], [named, "UklGRg=="], [[[0.5, 0.1], [0.2, 0.3]]], [[[0.5]], [[0.1]]]]
    assert all(map(processor.is_many, several))


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_nested_samples_are_one_sound_of_its_channels_mean_when_they_come_as_json(channels):
    frames = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, channels)).astype(np.float32)
    processor, nested = AudioProcessor(RATE, 1.0), frames.tolist()
    assert not processor.is_many(nested)
    expected = frames.astype(np.float64).mean(axis=1)
    for row in (nested, {"samples": nested, "rate": RATE}):
        np.testing.assert_allclose(processor.arrays([row])[0], expected, rtol=0, atol=1e-7)
    assert processor.is_many([nested, nested])
    assert len(processor.arrays([nested, nested])) == 2


def test_refusal_says_how_several_are_sent_when_sounds_are_taken_for_channels():
    for value in ([[0.5] * 99, [0.1] * 99], [[0.5] * 99, [0.1] * 98]):
        assert not AudioProcessor().is_many(value)
        with pytest.raises(InputError, match=r"several sounds are a list of \{'samples': …, 'rate': …\}\.$"):
            AudioProcessor().arrays([value])


@pytest.mark.parametrize(
    ("row", "is_valid"),
    [
        ("UklGRg==", True),
        ([0.5, 0.1], True),
        ([[0.5, 0.1]] * 3, True),
        ({"samples": [[0.5, 0.1]], "rate": 44100}, True),
        ([[0.5] * 65], False),
        ([], False),
        ({"samples": [0.5]}, False),
        ([["a"]], False),
    ],
)
def test_schema_takes_what_the_processor_takes_when_it_is_a_sound(row, is_valid):
    assert jsonschema.Draft202012Validator(AudioProcessor().row_schema).is_valid(row) is is_valid


def test_processor_is_the_same_when_it_was_saved_and_loaded(tmp_path):
    processor = AudioProcessor(8000, 0.5)
    processor.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert load_processor(json.loads(json.dumps(processor.record())), tmp_path).record() == processor.record()
    assert processor.net_arguments == {"rate": 8000, "samples": 4000}
    assert processor.input_specs[0].shape == (-1, -1)
    rows = processor.preprocess([[0.5], [0.25, 0.5]])
    assert processor.batch(rows)["samples"].shape == (2, 4000)
    assert {processor.bucket(row) for row in rows} == {4000}


FILES = [
    written(tone(300, RATE, 0.02), kind=kind, subtype=subtype)
    for kind, subtype in [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAVEX", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
    ]
]


def outcome(content: bytes) -> np.ndarray | str:
    try:
        return AudioProcessor().arrays([content])[0]
    except InputError as error:
        return str(error)


def assert_heard_or_refused(content: bytes) -> None:
    found = outcome(content)
    if isinstance(found, str):
        assert found.startswith("Row 0 ")
        assert "\n" not in found
    else:
        assert found.shape == (RATE,)
        assert np.isfinite(found).all()


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.sampled_from(FILES), changes=st.lists(st.tuples(st.integers(0, 199), st.binary(max_size=8)), max_size=6)
)
def test_file_is_heard_or_refused_when_its_bytes_are_changed(content, changes):
    for place, value in changes:
        here = place % len(content)
        content = content[:here] + value + content[here + len(value) :]
    assert_heard_or_refused(content)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    start=st.sampled_from([b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC", b"fLaC\0\0\0\x22", b"OggS\0\x02"]),
    end=st.binary(),
)
def test_file_is_heard_or_refused_when_its_bytes_are_any(start, end):
    assert_heard_or_refused(start + end)


@pytest.mark.parametrize("content", FILES, ids=["wav", "float", "wavex", "flac", "ogg"])
def test_file_is_heard_or_refused_when_it_is_cut_anywhere(content):
    for end in sorted({*range(min(100, len(content))), *np.linspace(0, len(content), 20).astype(int).tolist()}):
        assert_heard_or_refused(content[:end])


@pytest.mark.parametrize("place", [4, 16, 20, 22, 24, 28, 32, 34, 40])
@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF0000])
def test_file_is_heard_or_refused_when_a_field_of_its_wav_header_lies(place, value):
    assert_heard_or_refused(FILES[0][:place] + struct.pack("<I", value) + FILES[0][place + 4 :])


@pytest.mark.parametrize("place", range(8, 26))
@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF])
def test_file_is_heard_or_refused_when_a_byte_of_its_flac_header_lies(place, value):
    assert_heard_or_refused(FILES[3][:place] + bytes([value]) + FILES[3][place + 1 :])


HOSTILE = """
import io, struct
from pathlib import Path
import numpy as np, soundfile
from maas.errors import InputError
from maas.runtime.processors.audio import AudioProcessor

def flac(frames, rate, channels):
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, "PCM_16", format="FLAC") as out:
        for start in range(0, frames, 1 << 16):
            out.write(np.zeros((min(1 << 16, frames - start), channels), np.int16))
    return file.getvalue()

bomb = flac(192_000 * 60, 192_000, 2)
assert len(bomb) < 1_000_000
lying = bytearray(bomb)
lying[21] |= 15
lying[22:26] = b"\\xff" * 4
wav = io.BytesIO()
soundfile.write(wav, np.zeros(100), 16000, format="WAV")
huge = wav.getvalue()[:40] + struct.pack("<I", 2**32 - 2) + wav.getvalue()[44:]
long = flac(192_000 * 61, 192_000, 1)
wide = flac(192_000 * 20, 192_000, 8)
for row in (bomb, bytes(lying), huge, long, wide, " a" * 30_000_000, "a" * 60_000_000,
            ["a" * 10_000_000, *"b" * 10_000], [[0.5] * 100_000] * 10, {"samples": [0.5] * 900_000, "rate": 16000}):
    try:
        AudioProcessor().arrays([row])
    except InputError:
        pass
status = Path("/proc/self/status").read_text()  # ru_maxrss would remember the process that started this one
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_memory_stays_bounded_when_files_claim_or_unpack_to_far_more():
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < LARGEST_MIB
    assert done.stderr == ""
