"""Sounds to one channel of a fixed rate and length. The spectrogram is held in the graph."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import soxr
from numpy.typing import NDArray

from maas.bounds import Count, Positive
from maas.errors import ConfigError, InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.contents import content_of, row_name
from maas.runtime.processors.base import Array, SingleArrayProcessor, nesting
from maas.runtime.sounds import MAX_CHANNELS, MAX_SECONDS, MAX_VALUES, Sound, read_sound, require_rate, sound_of

SOUND_FORMS = (
    "a sound: the bytes of a WAV or FLAC file or their base64 text, a path, samples, or {'samples': …, 'rate': Hz}"
)
SAMPLE_AXES = 2  # the most that samples have: (T, C)
MARGIN_S = 0.1  # on both ends together, so that what the resampler makes of an edge is cut away


class AudioProcessor(SingleArrayProcessor):
    """Decodes, averages the channels, resamples, and cuts to or fills up with silence around the centre.

    A row is a WAV, FLAC or Ogg file (its bytes, their base64 text, a data: URL, or a `pathlib.Path`), samples (T,)
    or (T, C) at the model's own rate, or `{"samples": …, "rate": Hz}`. Samples are floats with full scale 1, or whole
    numbers of 16 bits, which are divided by 32768 as in a file. At the model's rate they pass unchanged.

    Args:
        rate: in Hz, of what the model hears.
        seconds: that the model hears.

    Raises:
        ConfigError: the model hears more samples than are read.
    """

    kind: ClassVar[str] = "audio"
    modality: ClassVar[str] = "audio"
    input_name: ClassVar[str] = "audio"
    feature: ClassVar[str] = "samples"
    media_types: ClassVar[tuple[str, ...]] = ("audio/wav", "audio/x-wav", "audio/flac", "audio/ogg")

    longest_s: float = MAX_SECONDS
    """Of a sound that is read."""

    def __init__(self, rate: Count = 16000, seconds: Positive = 1.0) -> None:
        if rate * seconds > MAX_VALUES:
            raise ConfigError(
                f"processor.rate × processor.seconds is {rate} × {seconds:g}; at most {MAX_VALUES // 10**6} million "
                "samples are read. Set e.g. processor.rate=16000 processor.seconds=1."
            )
        self.rate = rate
        self.seconds = seconds
        self._samples = max(1, round(rate * seconds))

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns float32 arrays (T,), one a row."""
        return [self._preprocessed(row, index) for index, row in enumerate(rows)]

    def samples_of(self, row: object) -> Array:
        """Returns the samples (T,) of a row that the model hears, at its rate."""
        (found,) = self.arrays([row])
        return found

    def _preprocessed(self, row: object, index: int) -> Array:
        try:
            return self._heard(self._sound(row))
        except InputError as error:
            raise InputError(f"{row_name(row, index)} {error}") from error

    def _heard(self, sound: Sound) -> Array:
        """Returns what the model hears of a sound: the middle of it, or all with silence on both sides."""
        return centred(self._resampled(sound), self._samples)

    def _sound(self, row: object) -> Sound:
        if isinstance(row, np.ndarray | list | tuple):
            return sound_of(row, self.rate, self.longest_s)
        if isinstance(row, dict):
            if set(row) != {"samples", "rate"}:
                raise InputError(f"has the keys {sorted(map(str, row))}; the model takes {SOUND_FORMS}.")
            return sound_of(row["samples"], require_rate(row["rate"]), self.longest_s)
        return read_sound(content_of(row, SOUND_FORMS), self.longest_s)

    def _resampled(self, sound: Sound) -> Array:
        if sound.rate == self.rate:
            return sound.samples
        needed = math.ceil((self.seconds + MARGIN_S) * sound.rate)
        samples = centred(sound.samples, min(needed, len(sound.samples)))  # bounds the work on a long sound
        resampled: Array = soxr.resample(samples, sound.rate, self.rate)
        return resampled

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"samples": float32 (N, T)}`."""
        return {"samples": self.joined(features)}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """FP32, (N, any number of samples at the model's rate)."""
        return (TensorSpec("audio", "FP32", (-1, -1)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """A file as base64 text, samples at the model's rate, or samples of any rate; samples are (T,) or (T, C)."""
        file = {"type": "string", "contentEncoding": "base64", "description": "a WAV, FLAC or Ogg file"}
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": 1}
        frames = {"type": "array", "items": {**numbers, "maxItems": MAX_CHANNELS}, "minItems": 1}
        samples = {"anyOf": [numbers, frames], "description": f"samples at {self.rate} Hz, [N] or [N, channels]"}
        properties = {
            "samples": {**samples, "description": "[N] or [N, channels]"},
            "rate": {"type": "integer", "description": "Hz"},
        }
        named = {"type": "object", "required": ["samples", "rate"], "properties": properties}
        return {"anyOf": [file, samples, named]}

    @property
    def rows_rule(self) -> str:
        """By depth, and by what a list holds."""
        return (
            "Numbers [N] or [N, channels] are one input; a list of files, of objects with samples and rate, or of "
            "[N, channels] is several."
        )

    def is_many(self, value: object) -> bool:
        """A list is many, unless it is samples: of numbers, or of lists of one number a channel."""
        if not isinstance(value, list) or not value:
            return False
        return not isinstance(value[0], int | float | list) or nesting(value) > SAMPLE_AXES

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The batch."""
        return {"samples": {0: "batch"}}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """What a net must know to lay out a spectrogram: `rate` in Hz and T as `samples`."""
        return {"rate": self.rate, "samples": self._samples}

    def settings(self) -> dict[str, Any]:
        """Rate and seconds."""
        return {"rate": self.rate, "seconds": self.seconds}

    def save(self, folder: Path) -> None:
        """Writes nothing: the settings are all there is."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings alone."""
        return cls(**settings)


def centred(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Returns the middle `count` samples, or all of them with silence on both sides.

    Example:
        >>> centred(np.float32([1, 2, 3]), 6)
        array([0., 1., 2., 3., 0., 0.], dtype=float32)
    """
    excess = len(samples) - count
    if excess >= 0:
        return samples[excess // 2 : excess // 2 + count]
    before = -excess // 2
    return np.pad(samples, (before, -excess - before))
