"""Sounds of unequal length sped up or slowed down, made louder or quieter, and laid under noise, again each time."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from maas.bounds import NonNegative
from maas.data.augmentation.audio import NOISE_RANGE_DB


@dataclass(frozen=True)
class SpeechAugmentation:
    """Speed, gain, noise: each sound draws its own from torch's global generator, and keeps all that is said in it.

    Speeds are drawn evenly by their logarithm. It runs on training batches alone, before the net, and leaves shape and
    rate alone: no sound becomes longer than the batch has room for.

    Args:
        speed_fraction: S, a sound is played at 1 / (1 + S) to 1 + S of its speed. Pitch and formants move with it, so
            that one voice stands for larger and smaller ones.
        gain_db: largest change of loudness, in dB, in both directions.
        noise_db: distance in dB of the loudest white noise below a sound's power; down to 60 dB below that are drawn.
            Null adds none.

    Source:
        Speed: Ko et al., Audio augmentation for speech recognition, Interspeech 2015.
    """

    speed_fraction: NonNegative = 0.0
    gain_db: NonNegative = 0.0
    noise_db: NonNegative | None = None

    def __call__(self, model_inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the model inputs with other samples, and with their lengths.

        Args:
            model_inputs: `samples` float32 (N, T) and `lengths` int64 (N,); others are passed on.
        """
        samples, lengths = model_inputs["samples"], model_inputs["lengths"]
        if self.speed_fraction:
            samples, lengths = sped_up(samples, lengths, (1 + self.speed_fraction) ** _drawn(samples))
        if self.gain_db:
            samples = samples * 10 ** (_drawn(samples) * self.gain_db / 20)
        if self.noise_db is not None:
            ratios_db = self.noise_db + (_drawn(samples) + 1) / 2 * NOISE_RANGE_DB
            samples = with_noise(samples, lengths, ratios_db)
        return {**model_inputs, "samples": samples, "lengths": lengths}


def sped_up(samples: Tensor, lengths: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y(t) = x(t · speed), between samples along straight lines, and how long each sound is then.

    Args:
        samples: x, (N, T); silence after each sound's end.
        lengths: int64 (N,), of the sounds.
        speeds: (N, 1), above 0; 2 makes a sound half as long and an octave higher. Slower ones than T has room for are
            made as slow as it has.

    Returns:
        (N, T) and int64 (N,)
    """
    size = samples.shape[1]
    speeds = torch.maximum(speeds, lengths[:, None] / size)
    places = torch.arange(size, device=samples.device) * speeds  # (N, T)
    before = places.floor()
    padded = functional.pad(samples, (0, 2))  # silence at the end stands for all that lies after it
    index = before.long()
    left, right = (padded.gather(1, one.clamp(max=size + 1)) for one in (index, index + 1))
    longest = torch.ceil(lengths / speeds[:, 0]).long()
    return left + (right - left) * (places - before), longest.clamp(min=1, max=size)


def with_noise(samples: Tensor, lengths: Tensor, ratios_db: Tensor) -> Tensor:
    """Returns samples under white noise, which ends where the sound does.

    Args:
        samples: (N, T).
        lengths: int64 (N,), of the sounds.
        ratios_db: (N, 1), 10 log10 of the power of a sound to that of its noise.

    Returns:
        (N, T)
    """
    is_sound = torch.arange(samples.shape[1], device=samples.device) < lengths[:, None]
    loudness = ((samples.square() * is_sound).sum(1, keepdim=True) / lengths[:, None]).sqrt()
    return samples + torch.randn_like(samples) * is_sound * loudness * 10 ** (-ratios_db / 20)


def _drawn(samples: Tensor) -> Tensor:
    """Returns (N, 1), evenly from -1 to 1."""
    return torch.rand(len(samples), 1, device=samples.device) * 2 - 1
