"""Spoken words from raw samples: a log-mel spectrogram and convolutions over it, all inside the graph."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.bounds import Count, Fraction, NonNegative
from maas.errors import ConfigError

FLOOR = 1e-5  # of the mel power, 90 dB below a full-scale tone: what is quieter is silence
VARIANCE = 1e-3  # added to a row's own, so that silence stays silent


class LogMel(nn.Module):
    """log(max(M |DFT(w ⊙ x)|², 1e-5)), normalised to mean 0 and variance 1 over each row.

    The windowed DFT is a strided convolution with fixed weights, so that ONNX holds it as an ordinary operator. A row's
    own mean and variance take its loudness and its microphone's out.

    Args:
        rate: sampling rate of the samples, in Hz.
        samples: T, of a row.
        mels: M, bands between `low_hz` and half the rate.
        window_ms: seen by one frame, under a Hann window w.
        hop_ms: time from one frame to the next.
        low_hz: lower end of the first band.

    Raises:
        ConfigError: a row is shorter than a window, or a band is too narrow to hold one frequency of the DFT.
    """

    def __init__(
        self, rate: Count, samples: Count, mels: Count, window_ms: Count, hop_ms: Count, low_hz: NonNegative
    ) -> None:
        super().__init__()
        size = rate * window_ms // 1000
        if samples < size:
            raise ConfigError(
                f"model.window_ms {window_ms} is {size} samples at {rate} Hz; a row has {samples}. "
                "Lower model.window_ms, or raise processor.seconds."
            )
        bands = mel_bands(rate, size, mels, low_hz)
        if not bands.any(axis=1).all():
            raise ConfigError(
                f"model.mels {mels} makes bands narrower than a {window_ms} ms window can separate at {rate} Hz. "
                "Lower model.mels, or raise model.window_ms."
            )
        self.hop = max(1, rate * hop_ms // 1000)
        self.register_buffer("waves", torch.from_numpy(windowed_waves(size)).unsqueeze(1), persistent=False)
        self.register_buffer("bands", torch.from_numpy(bands), persistent=False)
        self.waves: Tensor
        self.bands: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        """Returns (N, M, frames).

        Args:
            samples: float32 (N, T).
        """
        mel = self.energies(samples)
        centred = mel - _mean(mel)
        return centred / (_mean(centred.square()) + VARIANCE).sqrt()

    def energies(self, samples: Tensor) -> Tensor:
        """Returns the logarithms as they are, (N, M, frames).

        Args:
            samples: float32 (N, T).
        """
        parts = nn.functional.conv1d(samples.unsqueeze(1), self.waves, stride=self.hop)  # (N, 2F, frames)
        real, imaginary = parts.chunk(2, dim=1)
        power = self.bands @ (real.square() + imaginary.square())  # (N, M, frames)
        return power.clamp(min=FLOOR).log()


class KeywordCNN(nn.Module):
    """A log-mel spectrogram, 3×3 convolutions with batch norm that halve time and bands, mean and maximum over time.

    Bands are kept apart to the end: where in the spectrum something sounds separates the words, when it sounds less so.

    Args:
        rate: sampling rate of the samples, in Hz.
        samples: T.
        outputs: K.
        mels: bands of the spectrogram.
        window_ms: seen by one frame.
        hop_ms: time from one frame to the next.
        low_hz: lower end of the first band.
        channels: C of each convolution.
        dropout: fraction of pooled features that training drops.

    Source:
        After cnn-trad-fpool3 of Sainath and Parada, Convolutional neural networks for small-footprint keyword spotting,
        Interspeech 2015; batch norm, strides and the pooling over time are today's ways.
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
        channels: Sequence[Count] = (32, 64, 96),
        dropout: Fraction = 0.3,
    ) -> None:
        super().__init__()
        self.features = LogMel(rate, samples, mels, window_ms, hop_ms, low_hz)
        layers: list[nn.Module] = []
        before, bands = 1, mels
        for width in channels:
            convolution = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            before, bands = width, math.ceil(bands / 2)
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * before * bands, outputs)

    def forward(self, samples: Tensor) -> Tensor:
        """Returns logits.

        Args:
            samples: float32 (N, T), in [-1, 1].

        Returns:
            (N, K)
        """
        hidden = self.body(self.features(samples).unsqueeze(1)).flatten(1, 2)  # (N, C·bands, frames)
        pooled = torch.cat([hidden.mean(2), hidden.amax(2)], dim=1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def _mean(values: Tensor) -> Tensor:
    """(N, M, frames) to (N, 1, 1), in two steps: in one, ONNX Runtime loses ten times more to rounding."""
    return values.mean(2, keepdim=True).mean(1, keepdim=True)


def windowed_waves(size: int) -> NDArray[np.float32]:
    """Returns cosines and sines of the DFT under a periodic Hann window: (2F, size), F = size // 2 + 1."""
    times = np.arange(size)
    window = np.sin(np.pi * times / size) ** 2
    turns = np.outer(np.arange(size // 2 + 1), times) % size  # whole turns taken out, so that angles stay exact
    angles = 2 * np.pi * turns / size
    return np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32) * window.astype(np.float32)


def mel_bands(rate: int, size: int, mels: int, low_hz: float) -> NDArray[np.float32]:
    """Returns triangles of height 1, evenly spaced and straight on the mel scale: (mels, size // 2 + 1).

    Source:
        The HTK Book 3.4, §5.4: mel(f) = 2595 log10(1 + f / 700).
    """
    low, high = _mel(np.array([low_hz, rate / 2]))
    spacing = (high - low) / (mels + 1)
    centres = low + spacing * np.arange(1, mels + 1)
    places = _mel(np.arange(size // 2 + 1) * rate / size)
    triangles = 1 - np.abs(places - centres[:, None]) / spacing
    weights: NDArray[np.float32] = np.maximum(triangles, 0).astype(np.float32)
    return weights


def _mel(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    mels: NDArray[np.float64] = 2595 * np.log10(1 + frequencies / 700)
    return mels
