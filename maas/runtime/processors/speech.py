"""Sounds of any length up to a limit, side by side with their lengths. The spectrogram is held in the graph."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import soxr
from numpy.typing import NDArray

from maas.bounds import Count, Positive
from maas.errors import InputError
from maas.runtime.codec import Features
from maas.runtime.processors.audio import AudioProcessor, centred
from maas.runtime.processors.base import Array
from maas.runtime.sounds import Sound


class SpeechProcessor(AudioProcessor):
    """Decodes, averages the channels and resamples; rows are filled up with silence, which their lengths leave out.

    Rows are those that `AudioProcessor` takes. A longer one is refused: what is cut off could not be transcribed.

    Args:
        rate: in Hz, of what the model hears.
        seconds: length of the longest sound that the model hears.
        pad_seconds: a row is filled up to a multiple of these, so that rows of about one length share a batch.

    Raises:
        ConfigError: the model hears more samples than are read.
    """

    kind: ClassVar[str] = "speech"

    def __init__(self, rate: Count = 16000, seconds: Positive = 10.0, pad_seconds: Positive = 0.5) -> None:
        super().__init__(rate, seconds)
        self.pad_seconds = pad_seconds
        self._multiple = max(1, round(rate * pad_seconds))

    def _heard(self, sound: Sound) -> Array:
        """Returns all of a sound at the model's rate.

        Raises:
            InputError: it is longer than what the model hears.
        """
        seconds = len(sound.samples) / sound.rate
        if seconds > self.seconds:
            raise InputError(
                f"lasts {seconds:.1f} s; the model hears at most {self.seconds:g} s. Send it in parts, cut at pauses."
            )
        samples = sound.samples
        if sound.rate != self.rate:
            samples = soxr.resample(samples, sound.rate, self.rate)
        return centred(samples, min(max(1, len(samples)), self._samples))  # the resampler may round to none or one more

    def bucket(self, features: Features) -> int:
        """Returns the number of samples that a row is filled up to."""
        return min(math.ceil(features["samples"].size / self._multiple) * self._multiple, self._samples)

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"samples": float32 (N, T), "lengths": int64 (N,)}`; the first `lengths` samples are the sound."""
        rows = [row["samples"] for row in features]
        samples = np.zeros((len(rows), max(map(self.bucket, features))), dtype=np.float32)
        for place, row in zip(samples, rows, strict=True):
            place[: len(row)] = row
        return {"samples": samples, "lengths": np.array([len(row) for row in rows], dtype=np.int64)}

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and time."""
        return {"samples": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}

    def settings(self) -> dict[str, Any]:
        """Rate, seconds and padding."""
        return {**super().settings(), "pad_seconds": self.pad_seconds}
