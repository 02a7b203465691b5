"""Sounds: noise and loudness of the samples that the model is given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maas.evidence.robustness.base import Perturbation
from maas.runtime.processors import SingleArrayProcessor

SoundSamples = NDArray[np.float32]


def perturbations(processor: SingleArrayProcessor) -> tuple[Perturbation, ...]:
    """Returns noise and loudness."""
    return (
        Perturbation(
            "noise",
            "noise / signal (0.1 is an SNR of 20 dB)",
            (0.0, 0.05, 0.1, 0.2, 0.4, 0.8),
            lambda rows, ratio, random: noisy_samples(processor.arrays(rows), ratio, random),
        ),
        Perturbation(
            "loudness",
            "gain, dB",
            (-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0),
            lambda rows, gain, _: amplified(processor.arrays(rows), gain),
        ),
    )


def noisy_samples(rows: Sequence[SoundSamples], ratio: float, random: np.random.Generator) -> list[SoundSamples]:
    """Returns samples (T,) with white noise whose root mean square is `ratio` times the sound's own.

    The signal-to-noise ratio is −20 log₁₀(ratio) dB, exactly, as each row's noise is scaled. What then passes full
    scale is made quieter as a whole, which leaves the ratio as it is.
    """
    return [_within_full_scale(samples, samples + ratio * _noise_like(samples, random)) for samples in rows]


def amplified(rows: Sequence[SoundSamples], gain: float) -> list[SoundSamples]:
    """Returns samples (T,) times 10^(gain / 20); what passes full scale is cut off there, as by a recorder."""
    factor = np.float32(10 ** (gain / 20))
    return [np.clip(samples * factor, -1, 1) for samples in rows]


def _noise_like(samples: SoundSamples, random: np.random.Generator) -> NDArray[np.float64]:
    """Returns white noise as loud as a sound."""
    noise = random.standard_normal(samples.shape)
    scaled: NDArray[np.float64] = noise * _loudness(samples) / _loudness(noise)
    return scaled


def _loudness(samples: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _within_full_scale(samples: SoundSamples, louder: NDArray[np.float64]) -> SoundSamples:
    loudest = max(float(np.abs(samples).max()), 1.0)  # the sound itself may pass full scale a little
    return (louder * min(1.0, loudest / max(float(np.abs(louder).max()), 1.0))).astype(np.float32)
