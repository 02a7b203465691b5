"""Transcripts from raw samples: a log-mel spectrogram and convolutions over time, all inside the graph.

Sounds of unequal length share a batch: what lies after a sound's end is 0 before every convolution, as it is where the
sound comes alone, so that neither padding nor longer mates change what is heard of it.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction, NonNegative
from maas.errors import ConfigError
from maas.models.keyword_cnn import VARIANCE, LogMel

Length = TypeVar("Length", int, Tensor)

STRIDE = 2
"""Of the first convolution, in frames of the spectrogram."""
IMPOSSIBLE = -100.0
"""Logit of a character after a sound's end, where the blank has 0: float32 has no probability so small."""


class SpeechCNN(nn.Module):
    """A log-mel spectrogram, a convolution that halves time, residual convolutions, and logits at each frame.

    A row has as many frames as the longest sound, F = ⌈⌈T / hop⌉ / 2⌉; those after its end are blank for certain. The
    convolutions run over as many as the batch has.

    Args:
        rate: sampling rate of the samples, in Hz.
        samples: T, of the longest sound.
        outputs: C, a blank and the characters.
        mels: bands of the spectrogram.
        window_ms: seen by one frame.
        hop_ms: time from one frame to the next.
        low_hz: lower end of the first band.
        channels: of each convolution.
        kernel: frames that a convolution sees.
        layers: number of residual convolutions.
        dropout: fraction of each layer's features that training drops.

    Source:
        After Collobert, Puhrsch and Synnaeve, Wav2Letter, arXiv:1609.03193; residuals and batch norm are today's ways.

    Raises:
        ConfigError: a kernel has no middle, or the spectrogram cannot be made, as of `LogMel`.
    """

    def __init__(
        self,
        rate: Count,
        samples: Count,
        outputs: Count,
        *,
        mels: Count = 40,
        window_ms: Count = 25,
        hop_ms: Count = 10,
        low_hz: NonNegative = 20.0,
        channels: Count = 128,
        kernel: Count = 7,
        layers: Count = 6,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ConfigError(f"model.kernel is {kernel}; it must be odd. Set e.g. model.kernel={kernel + 1}.")
        self.features = LogMel(rate, samples, mels, window_ms, hop_ms, low_hz)
        self.first = ConvolutionOverTime(mels, channels, kernel, STRIDE)
        self.body = nn.ModuleList([ConvolutionOverTime(channels, channels, kernel) for _ in range(layers)])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, outputs)
        self.frames = _divided(_divided(samples, self.features.hop), STRIDE)
        end = torch.full((outputs,), IMPOSSIBLE).index_fill_(0, torch.tensor(0), 0.0)
        self.register_buffer("end", end, persistent=False)
        self.end: Tensor

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Returns logits.

        Args:
            samples: float32 (N, T), in [-1, 1], of which each row's first `lengths` are its sound.
            lengths: int64 (N,), 1 or more.

        Returns:
            (N, F, C)
        """
        frames = _divided(lengths, self.features.hop)
        heard = _normalised(self._spectrogram(samples), frames)  # (N, M, 2 · F')
        frames = _divided(frames, STRIDE)
        hidden = self.first(heard)
        is_sound = _before(frames, hidden.shape[2]).unsqueeze(1).to(hidden.dtype)  # (N, 1, F')
        hidden = hidden * is_sound
        for layer in self.body:
            hidden = hidden + self.dropout(layer(hidden)) * is_sound
        logits = self.head(hidden.transpose(1, 2))  # (N, F', C)
        ends = self.end.to(logits.dtype).expand(logits.shape[0], self.frames, -1)
        logits = torch.cat([logits, ends], dim=1)[:, : self.frames]
        return torch.where(_before(frames, self.frames).unsqueeze(2), logits, ends)

    def _spectrogram(self, samples: Tensor) -> Tensor:
        """Returns (N, M, ⌈T / hop⌉); windows reach into silence at both ends."""
        size = self.features.waves.shape[2]
        before = (size - 1) // 2
        return self.features.energies(functional.pad(samples, (before, size - 1 - before)))


class ConvolutionOverTime(nn.Module):
    """ReLU of a normalised convolution; time is as long as before, or divided by the stride and rounded up.

    Args:
        before: channels that come in.
        channels: channels that go out.
        kernel: frames that it sees; an odd number of them lies around each frame.
        stride: frames from one output to the next.
    """

    def __init__(self, before: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(before, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Returns (N, channels, frames).

        Args:
            hidden: (N, before, frames).
        """
        return functional.relu(self.norm(self.convolution(hidden)))


def _normalised(energies: Tensor, frames: Tensor) -> Tensor:
    """Returns log energies with mean 0 and variance 1 over each sound's own frames, and 0 after its end.

    Args:
        energies: (N, M, F).
        frames: int64 (N,), of each sound.
    """
    is_sound = _before(frames, energies.shape[2]).unsqueeze(1).to(energies.dtype)  # (N, 1, F)
    count = frames.to(energies.dtype)[:, None, None]

    def mean(values: Tensor) -> Tensor:
        return ((values * is_sound).sum(2, keepdim=True) / count).mean(1, keepdim=True)

    centred = (energies - mean(energies)) * is_sound
    return centred / (mean(centred.square()) + VARIANCE).sqrt()


def _before(frames: Tensor, count: int) -> Tensor:
    """Returns which of so many frames lie before each sound's end, bool (N, count)."""
    return torch.arange(count, device=frames.device) < frames[:, None]


def _divided(length: Length, step: int) -> Length:
    """Returns how many steps a length takes, the last one maybe not whole."""
    return (length + (step - 1)) // step
