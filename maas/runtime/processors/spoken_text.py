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
from maas.errors import InputError, shortened_value
from maas.records.manifest import TimedTranscription, Translation
from maas.runtime.codec import Features
from maas.runtime.processors.audio import AudioProcessor
from maas.runtime.processors.base import Array
from maas.runtime.processors.text import TOKENIZER_FILE, of_bytes
from maas.runtime.searched_rows import BEAMS, SearchedRows
from maas.runtime.sounds import MAX_SECONDS, Sound

RATE, HOP = 16000, 160
"""Of a Whisper: samples in a second, and from one frame of the spectrogram to the next."""
LEAST_SAMPLES = 400
"""Of a sound that stays whole: a shorter one is filled up with silence."""
SEARCHED = 1 / 3
"""Fraction of a window, its end, in which a sound is cut where it is quietest."""
QUIET_S = 0.2
"""Seconds whose loudness is compared there."""
SAMPLE_COUNT, LANGUAGE_TOKEN, PREVIOUS = "length", "language_token", "previous"
"""Model inputs beside samples: how many a sound has, and tokens of its language and of what was said earlier."""
LANGUAGE_KEY, PROMPT_KEY = "language", "prompt"
"""Keys of a row that say so."""
ONLY_LANGUAGE = "en"
MOST_PROMPT_CHARACTERS = 10_000
TIME_MARK = re.compile(r"<\|\d+\.\d+\|>")
"""A token of a time, which tokenizers of Whisper do not hold for special."""


class SpokenTextProcessor(SearchedRows, AudioProcessor):
    """Decodes, averages the channels, resamples, and cuts into windows, the last of which is filled up with silence.

    Rows are those that `AudioProcessor` takes, alone or as `audio` of an object with `beams`, `language` or `prompt`. A
    sound of more than one window is cut where the last third of each window is quietest, so that seldom a word is cut
    in two; or it stays whole, for a model that finds its windows by marks of time.

    Args:
        window_s: length of a window.
        max_windows: the most windows of a sound; a longer one is refused.
        is_cut: whether sounds are cut.
        content: of the model's `tokenizer.json`; without, tokens are bytes.
    """

    kind: ClassVar[str] = "spoken_text"
    row_keys: ClassVar[tuple[str, ...]] = (BEAMS, LANGUAGE_KEY, PROMPT_KEY)

    def __init__(
        self, window_s: Positive = 30.0, max_windows: Count = 20, is_cut: bool = True, *, content: str = ""
    ) -> None:
        super().__init__(RATE, window_s)
        self.max_windows, self.is_cut = max_windows, is_cut
        self.longest_s = max(MAX_SECONDS, max_windows * window_s)
        self.content = content or of_bytes()
        self._tokenizer = Tokenizer.from_str(self.content)
        self._tokenizer.encode_special_tokens = True  # in what callers say, these characters are ordinary ones
        self._search: Translation | None = None

    def follow(self, search: Translation) -> None:
        """Takes what is done where a row does not say, and the languages that it may name."""
        super().follow(search)
        self._search = search

    def wanted(self, keys: Mapping[str, object], index: int) -> Features:
        """Returns what a row wants of the search, the token of its language and those of what was said earlier.

        Raises:
            InputError: it cannot be had.
        """
        found = dict(super().wanted(keys, index))
        language, prompt = keys.get(LANGUAGE_KEY), keys.get(PROMPT_KEY)
        if language is not None and (token := self._language_token(language, index)) is not None:
            found[LANGUAGE_TOKEN] = np.array(token, np.int64)
        if prompt is not None:
            found[PREVIOUS] = self._previous(prompt, index)
        return found

    def _language_token(self, language: object, index: int) -> int | None:
        """Returns the token of a language; None where the model has no choice."""
        known = self._search.languages if isinstance(self._search, TimedTranscription) else {}
        if not known and language == ONLY_LANGUAGE:
            return None
        if isinstance(language, str) and language in known:
            return known[language]
        shown = ", ".join(sorted(known)) or f"{ONLY_LANGUAGE} alone"
        raise InputError(f"Row {index} has language {shortened_value(str(language))}; the model knows {shown}.")

    def _previous(self, prompt: object, index: int) -> Array:
        """Returns the tokens of what was said before a sound; of more than a model reads, the last ones."""
        search = self._search
        if not isinstance(search, TimedTranscription) or search.previous_token is None:
            raise InputError(f"Row {index} has a prompt; the model reads nothing that was said earlier. Leave it out.")
        if not isinstance(prompt, str) or len(prompt) > MOST_PROMPT_CHARACTERS:
            raise InputError(
                f"Row {index} has a prompt that is no text of at most {MOST_PROMPT_CHARACTERS:,} characters."
            )
        if not prompt.strip():
            return np.empty(0, np.int64)
        ids = self._tokenizer.encode(f" {prompt.strip()}", add_special_tokens=False).ids
        return np.array(ids[-(search.positions // 2 - 1) :], np.int64)

    @property
    def row_key_schemas(self) -> dict[str, Any]:
        """Beams, a code of a language, and what was said earlier."""
        language = {"type": "string", "description": "code of the language that is spoken, such as en"}
        prompt = {"type": "string", "description": "what was said before the sound, or how its words are spelt"}
        return {**super().row_key_schemas, LANGUAGE_KEY: language, PROMPT_KEY: prompt}

    def text_of(self, tokens: Sequence[int]) -> str:
        """Returns the text that tokens stand for, without special ones."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return TIME_MARK.sub("", text)

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns float32 arrays (W, T), one a row, or (T,) where sounds stay whole."""
        return super().arrays(rows)

    def samples_of(self, row: object) -> Array:
        """Returns all samples (T,) of a row, at the model's rate."""
        return self._whole(self._sound(row))

    def _whole(self, sound: Sound) -> Array:
        return sound.samples if sound.rate == self.rate else soxr.resample(sound.samples, sound.rate, self.rate)

    def _heard(self, sound: Sound) -> Array:
        """Returns the windows of a sound, (W, T), or all of it, (T,).

        Raises:
            InputError: there are too many.
        """
        samples = self._whole(sound)
        if not self.is_cut:
            self._require_length(samples)
            return np.pad(samples, (0, max(0, LEAST_SAMPLES - len(samples))))
        found = list(sound_windows(samples, self._samples))
        if len(found) > self.max_windows:
            raise self._too_long(samples)
        return np.stack(found)

    def _require_length(self, samples: Array) -> None:
        if len(samples) > self.max_windows * self._samples:
            raise self._too_long(samples)

    def _too_long(self, samples: Array) -> InputError:
        return InputError(
            f"lasts {len(samples) / self.rate:.1f} s; the model hears {self.max_windows} windows of "
            f"{self.seconds:g} s. Send it in parts, cut at pauses."
        )

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"samples": float32 (N, W, T)}`, and what rows want of the search.

        Sounds that stay whole are (N, T), filled up with silence, with their lengths as `length`, int64 (N,).
        """
        if self.is_cut:
            return {**super().batch(features), **self.searched(features)}
        sounds = [row[self.feature] for row in features]
        lengths = np.array([len(sound) for sound in sounds], np.int64)
        samples = np.zeros((len(sounds), lengths.max()), np.float32)
        for place, sound in zip(samples, sounds, strict=True):
            place[: len(sound)] = sound
        return {self.feature: samples, SAMPLE_COUNT: lengths, **self.searched(features)}

    def searched(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns what the rows of a batch want; tokens of what was said earlier are filled up with -1."""
        found = super().searched(features)
        if any(LANGUAGE_TOKEN in row for row in features):
            found[LANGUAGE_TOKEN] = np.array([row.get(LANGUAGE_TOKEN, 0) for row in features], np.int64)
        if any(PREVIOUS in row for row in features):
            given = [row.get(PREVIOUS, np.empty(0, np.int64)) for row in features]
            found[PREVIOUS] = np.full((len(given), max(map(len, given))), -1, np.int64)
            for place, tokens in zip(found[PREVIOUS], given, strict=True):
                place[: len(tokens)] = tokens
        return found

    def bucket(self, features: Features) -> int:
        """Returns W: windows, or how many would hold the whole sound."""
        samples = features[self.feature]
        return len(samples) if self.is_cut else -(-len(samples) // self._samples)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and windows, or samples."""
        return {"samples": {0: "batch", 1: "windows" if self.is_cut else "samples"}}

    def settings(self) -> dict[str, Any]:
        """Length and number of windows, and whether sounds are cut; the tokenizer is saved."""
        return {"window_s": self.seconds, "max_windows": self.max_windows, "is_cut": self.is_cut}

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
