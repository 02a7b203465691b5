"""The spectrogram inside the graph against the textbook's formulas in numpy, and the faults of its settings."""

import math

import numpy as np
import pytest
import torch

from maas.errors import ConfigError
from maas.models.keyword_cnn import KeywordCNN, LogMel, mel_bands, windowed_waves

RATE, SIZE, HOP = 16000, 400, 160


def mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def textbook_bands(rate: int, size: int, mels: int, low_hz: float) -> np.ndarray:
    """Returns each weight by itself, from the edges and the centre of its triangle."""
    edges = np.linspace(mel(low_hz), mel(rate / 2), mels + 2)
    weights = np.zeros((mels, size // 2 + 1))
    for band in range(mels):
        left, centre, right = edges[band : band + 3]
        for bin_ in range(size // 2 + 1):
            place = mel(bin_ * rate / size)
            if left < place <= centre:
                weights[band, bin_] = (place - left) / (centre - left)
            elif centre < place < right:
                weights[band, bin_] = (right - place) / (right - centre)
    return weights


def textbook_spectrogram(samples: np.ndarray, mels: int = 40, low_hz: float = 20.0) -> np.ndarray:
    """Returns the normalised log-mel spectrogram (mels, frames) in float64, frame by frame."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
    frames = [samples[start : start + SIZE] for start in range(0, len(samples) - SIZE + 1, HOP)]
    power = np.abs(np.fft.rfft(np.array(frames, dtype=np.float64) * window, axis=1)) ** 2
    logarithms = np.log(np.maximum(power @ textbook_bands(RATE, SIZE, mels, low_hz).T, 1e-5)).T
    return (logarithms - logarithms.mean()) / np.sqrt(logarithms.var() + 1e-3)


def sounds() -> dict[str, np.ndarray]:
    times = np.arange(RATE) / RATE
    random = np.random.default_rng(0)
    chirp = 0.5 * np.sin(2 * np.pi * (200 + 3000 * times) * times)
    padded = np.concatenate([np.zeros(RATE // 4), chirp[: RATE // 2], np.zeros(RATE // 4)])
    return {"noise": random.normal(0, 0.1, RATE), "chirp": chirp, "padded": padded, "quiet": chirp * 1e-3}


@pytest.mark.parametrize(("name", "samples"), sounds().items())
def test_spectrogram_is_the_textbooks_when_it_is_computed_in_the_net(name, samples):
    net = LogMel(RATE, RATE, 40, 25, 10, 20.0)
    found = net(torch.from_numpy(samples.astype(np.float32))[None])[0].numpy()
    expected = textbook_spectrogram(samples.astype(np.float32))
    assert found.shape == expected.shape == (40, 98)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("rate", "size", "mels", "low_hz"), [(16000, 400, 40, 20), (8000, 256, 24, 0), (44100, 1102, 80, 50)]
)
def test_bands_are_the_textbooks_when_they_are_computed_at_once(rate, size, mels, low_hz):
    np.testing.assert_allclose(mel_bands(rate, size, mels, low_hz), textbook_bands(rate, size, mels, low_hz), atol=1e-6)


@pytest.mark.parametrize("size", [7, 256, 400, 1102])
def test_waves_are_the_windowed_dft_when_they_are_multiplied(size):
    samples = np.random.default_rng(size).normal(size=size)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    real, imaginary = np.split(windowed_waves(size).astype(np.float64) @ samples, 2)
    np.testing.assert_allclose(
        real + 1j * imaginary, np.fft.rfft(window * samples), rtol=0, atol=1e-5 * math.sqrt(size)
    )


def test_spectrogram_is_the_same_when_a_sound_is_made_louder():
    net = LogMel(RATE, RATE, 40, 25, 10, 20.0)
    samples = torch.from_numpy(sounds()["noise"].astype(np.float32))[None]
    torch.testing.assert_close(net(samples * 4), net(samples), rtol=0, atol=1e-4)


def test_spectrogram_is_zero_when_a_sound_is_silent():
    assert LogMel(RATE, RATE, 40, 25, 10, 20.0)(torch.zeros(2, RATE)).abs().max() < 1e-3


def test_window_is_refused_with_its_length_when_a_row_is_shorter():
    with pytest.raises(ConfigError) as caught:
        KeywordCNN(16000, 399, 2)
    assert str(caught.value) == (
        "model.window_ms 25 is 400 samples at 16000 Hz; a row has 399. "
        "Lower model.window_ms, or raise processor.seconds."
    )
    assert KeywordCNN(16000, 400, 2)(torch.zeros(3, 400)).shape == (3, 2)


def test_bands_are_refused_when_a_window_cannot_tell_them_apart():
    with pytest.raises(
        ConfigError, match=r"^model\.mels 128 makes bands narrower than a 25 ms window can separate at 8000"
    ):
        KeywordCNN(8000, 8000, 2, mels=128)


def test_fixed_weights_are_left_out_when_a_net_is_saved():
    assert not [name for name in KeywordCNN(8000, 8000, 2).state_dict() if name.startswith("features")]


@pytest.mark.parametrize(("mels", "channels"), [(40, (8,)), (33, (8, 4)), (20, (4, 4, 4, 4))])
def test_head_takes_every_band_that_is_left_when_bands_are_halved(mels, channels):
    net = KeywordCNN(16000, 8000, 5, mels=mels, channels=channels)
    assert net(torch.zeros(2, 8000)).shape == (2, 5)
    assert net.head.in_features == 2 * channels[-1] * math.ceil(mels / 2 ** len(channels))
