"""Sounds to windows of samples, and tokens to text, for a model that writes down speech token by token."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import soxr
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.bounds import Count, Positive
from maas.errors import InputError
from maas.runtime.codec import Features
from maas.runtime.processors.audio import AudioProcessor
from maas.runtime.processors.base import Array
from maas.runtime.processors.text import TOKENIZER_FILE, of_bytes
from maas.runtime.sounds import Sound

RATE, HOP = 16000, 160
"""Of a Whisper: samples in a second, and from one frame of the spectrogram to the next."""
SEARCHED = 1 / 3
"""Fraction of a window, its end, in which a sound is cut where it is quietest."""
QUIET_S = 0.2
"""Seconds whose loudness is compared there."""
TIME_MARK = re.compile(r"<\|\d+\.\d+\|>")
"""A token of a time, which tokenizers of Whisper do not hold for special."""


class SpokenTextProcessor(AudioProcessor):
    """Decodes, averages the channels, resamples, and cuts into windows, the last of which is filled up with silence.

    Rows are those that `AudioProcessor` takes. A sound of more than one window is cut where the last third of each
    window is quietest, so that seldom a word is cut in two.

    Args:
        window_s: length of a window.
        max_windows: the most windows of a sound; a longer one is refused.
        content: of the model's `tokenizer.json`; without, tokens are bytes.
    """

    kind: ClassVar[str] = "spoken_text"

    def __init__(self, window_s: Positive = 30.0, max_windows: Count = 20, *, content: str = "") -> None:
        super().__init__(RATE, window_s)
        self.max_windows = max_windows
        self.content = content or of_bytes()
        self._tokenizer = Tokenizer.from_str(self.content)

    def text_of(self, tokens: Sequence[int]) -> str:
        """Returns the text that tokens stand for, without special ones."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return TIME_MARK.sub("", text)

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns float32 arrays (W, T), one a row."""
        return super().arrays(rows)

    def samples_of(self, row: object) -> Array:
        """Returns all samples (T,) of a row, at the model's rate."""
        return self._whole(self._sound(row))

    def _whole(self, sound: Sound) -> Array:
        return sound.samples if sound.rate == self.rate else soxr.resample(sound.samples, sound.rate, self.rate)

    def _heard(self, sound: Sound) -> Array:
        """Returns the windows of a sound, (W, T).

        Raises:
            InputError: there are too many.
        """
        samples = self._whole(sound)
        found = list(sound_windows(samples, self._samples))
        if len(found) > self.max_windows:
            raise InputError(
                f"lasts {len(samples) / self.rate:.1f} s; the model hears {self.max_windows} windows of "
                f"{self.seconds:g} s. Send it in parts, cut at pauses."
            )
        return np.stack(found)

    def bucket(self, features: Features) -> int:
        """Returns W."""
        return len(features[self.feature])

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and windows."""
        return {"samples": {0: "batch", 1: "windows"}}

    def settings(self) -> dict[str, Any]:
        """Length and number of windows; the tokenizer is saved."""
        return {"window_s": self.seconds, "max_windows": self.max_windows}

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` as it was published."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_text(self.content, encoding="utf-8")

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and its file."""
        return cls(**settings, content=(folder / TOKENIZER_FILE).read_text(encoding="utf-8"))


def sound_windows(samples: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """Yields all of a sound in windows, each cut where its last third is quietest and filled up with silence.

    Args:
        samples: (T,), one or more.
        size: of a window.

    Example:
        >>> [window.tolist() for window in sound_windows(np.float32([1, 2, 3, 4]), 3)]
        [[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
    """
    while len(samples) > size:
        end = _quietest(samples[:size])
        yield np.pad(samples[:end], (0, size - end))
        samples = samples[end:]
    yield np.pad(samples, (0, size - len(samples)))


def _quietest(window: NDArray[np.float32]) -> int:
    """Returns the middle of the quietest `QUIET_S` in the last third of a window; of equal ones, the last."""
    start, width = len(window) - round(len(window) * SEARCHED), max(1, round(QUIET_S * RATE))
    energies = np.cumsum(np.square(window[start:], dtype=np.float64))
    if len(energies) <= width:
        return len(window)
    sums = energies[width:] - energies[:-width]
    return len(window) - width // 2 - int(sums[::-1].argmin())
