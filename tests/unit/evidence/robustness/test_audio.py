"""Noise and loudness of samples."""

import numpy as np
import pytest

from maas.evidence.robustness import perturbations_of
from maas.evidence.robustness.audio import amplified, noisy_samples
from maas.runtime.processors.audio import AudioProcessor


@pytest.fixture
def tone() -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


@pytest.mark.parametrize(("ratio", "decibels"), [(0.1, 20.0), (0.05, 26.0206), (0.5, 6.0206)])
def test_noise_has_its_ratio_to_the_signal_when_it_is_added(tone, ratio, decibels):
    (found,) = noisy_samples([tone], ratio, random())
    assert found.dtype == np.float32
    assert 10 * np.log10(power(tone) / power(found - tone)) == pytest.approx(decibels, abs=1e-3)


def test_ratio_stays_and_samples_fit_when_noise_passes_full_scale(tone):
    loud = tone / 0.3
    (found,) = noisy_samples([loud], 1.0, random())
    assert np.abs(found).max() == pytest.approx(1, abs=1e-6)
    scale = (found.astype(np.float64) @ loud) / (loud.astype(np.float64) @ loud)  # noise and tone hardly correlate
    assert power(found - scale * loud) == pytest.approx(power(scale * loud), rel=0.03)


def test_noise_is_white_when_it_is_added(tone):
    (found,) = noisy_samples([tone], 1.0, random())
    spectrum = np.abs(np.fft.rfft(found - tone)) ** 2
    halves = [spectrum[1:4000].mean(), spectrum[4000:].mean()]
    assert halves[0] == pytest.approx(halves[1], rel=0.1)


def test_silence_stays_when_noise_is_added():
    silence = np.zeros(100, dtype=np.float32)
    np.testing.assert_array_equal(noisy_samples([silence], 0.8, random())[0], silence)


@pytest.mark.parametrize("gain", [-40.0, -20.0, -6.0, 6.0])
def test_gain_is_exact_when_samples_stay_within_full_scale(tone, gain):
    (found,) = amplified([tone], gain)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tone.astype(np.float64) * 10 ** (gain / 20), rtol=1e-6)


def test_samples_are_cut_off_when_they_pass_full_scale(tone):
    (found,) = amplified([tone], 20.0)
    assert (found.min(), found.max()) == (-1, 1)
    np.testing.assert_allclose(found, np.clip(10.0 * tone, -1, 1), rtol=1e-6)


def test_rows_are_read_by_the_processor_when_they_are_made_worse(tone):
    processor = AudioProcessor(rate=8000, seconds=0.5)
    rows = [{"samples": tone, "rate": 16000}, tone[:500].tolist()]
    before = processor.arrays(rows)
    for one in perturbations_of(processor):
        assert 0 in one.strengths
        assert list(one.strengths) == sorted(one.strengths)
        for strength in one.strengths:
            after = processor.arrays(one.rows_at(strength, rows, random()))
            assert (strength == 0) == all(map(np.array_equal, before, after))
