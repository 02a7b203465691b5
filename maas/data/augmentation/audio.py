"""Sounds moved in time, sped up or slowed down, made louder or quieter, and laid under noise, again each time."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from maas.bounds import Fraction, NonNegative

NOISE_RANGE_DB = 60.0  # from the loudest noise to noise that nobody hears


@dataclass(frozen=True)
class AudioAugmentation:
    """Speed, shift, gain, noise: each sound draws its own from torch's global generator.

    All are drawn evenly, speeds by their logarithm. It runs on training batches alone, before the net, and leaves shape
    and rate alone.

    Args:
        speed_fraction: S, a sound is played at 1 / (1 + S) to 1 + S of its speed. Pitch and formants move with it, so
            that one voice stands for larger and smaller ones.
        shift_fraction: fraction of its length by which a sound is moved at most, to either side; silence fills up.
        gain_db: largest change of loudness, in dB, in both directions.
        noise_db: distance in dB of the loudest white noise below a sound's power; down to 60 dB below that are drawn.
            Null adds none.

    Source:
        Speed: Ko et al., Audio augmentation for speech recognition, Interspeech 2015.
    """

    speed_fraction: NonNegative = 0.0
    shift_fraction: Fraction = 0.0
    gain_db: NonNegative = 0.0
    noise_db: NonNegative | None = None

    def __call__(self, model_inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the model inputs with other samples.

        Args:
            model_inputs: `samples` float32 (N, T); others are passed on.
        """
        samples = model_inputs["samples"]
        if self.speed_fraction or self.shift_fraction:
            speeds = (1 + self.speed_fraction) ** _drawn(samples)
            samples = moved(samples, speeds, _drawn(samples) * self.shift_fraction * samples.shape[1])
        if self.gain_db:
            samples = samples * 10 ** (_drawn(samples) * self.gain_db / 20)
        if self.noise_db is not None:
            samples = noisy_waveform(samples, self.noise_db + (_drawn(samples) + 1) / 2 * NOISE_RANGE_DB)
        return {**model_inputs, "samples": samples}


def moved(samples: Tensor, speeds: Tensor, shifts: Tensor) -> Tensor:
    """Returns y(t) = x(c + (t - c - shift) · speed) with the centre c, between samples along straight lines.

    Args:
        samples: x, (N, T); silence lies around it.
        speeds: (N, 1), above 0; 2 makes a sound half as long and an octave higher.
        shifts: (N, 1), in samples; above 0 is later.

    Returns:
        (N, T)
    """
    size = samples.shape[1]
    centre = (size - 1) / 2
    places = centre + (torch.arange(size, device=samples.device) - centre - shifts) * speeds  # (N, T)
    before = places.floor()
    weight = places - before
    padded = functional.pad(samples, (1, 1))  # silence at both ends stands for all that lies outside
    index = before.long() + 1
    left, right = (padded.gather(1, one.clamp(0, size + 1)) for one in (index, index + 1))
    return left + (right - left) * weight


def noisy_waveform(samples: Tensor, ratios_db: Tensor) -> Tensor:
    """Returns samples under white noise.

    Args:
        samples: (N, T).
        ratios_db: (N, 1), 10 log10 of the power of a sound to that of its noise.

    Returns:
        (N, T)
    """
    loudness = samples.square().mean(1, keepdim=True).sqrt()
    return samples + torch.randn_like(samples) * loudness * 10 ** (-ratios_db / 20)


def _drawn(samples: Tensor) -> Tensor:
    """Returns (N, 1), evenly from -1 to 1."""
    return torch.rand(len(samples), 1, device=samples.device) * 2 - 1
