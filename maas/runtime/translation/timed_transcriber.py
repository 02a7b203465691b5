"""What a bundle that writes what is said, and when, runs in the place of one graph: sounds of any length to passages.

A sound is heard in windows. Each begins where the passages of the one before end, by their marks of time; windows of
several sounds are heard together.

Source: transformers 4.57, `WhisperGenerationMixin.generate` with `return_timestamps=True`, whose tokens these are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from maas.records.manifest import Manifest, TimedTranscription
from maas.runtime.bundle_files import DECODE, ENCODE, HEAR
from maas.runtime.codec import IsWanted, ModelInputs, Outputs, always_wanted
from maas.runtime.model import parts_of_size
from maas.runtime.postprocessors.translation import DURATION, LANGUAGE, LOG_PROBABILITY, SEGMENTS, SPOKEN_TEXT
from maas.runtime.processors import Processor
from maas.runtime.processors.spoken_text import HOP, LANGUAGE_TOKEN, PREVIOUS, RATE, SAMPLE_COUNT
from maas.runtime.searched_rows import BEAMS
from maas.runtime.translation.graphs import SAMPLES, TranslationGraphs
from maas.runtime.translation.search import Hypothesis, best_texts, first_logits
from maas.runtime.translation.spectrograms import SPECTROGRAM, Spectrograms
from maas.runtime.translation.times import SpokenPassage, spoken_passages
from maas.runtime.translation.translator import HEARD_AT_ONCE, Transcriber, Translator

MOST_HEARD = 4
"""Times that the windows which a sound would fill may be heard, and as many more; from then on each begins where the
one before ends, so that no sound is heard without end."""
NO_TOKEN = -1
"""What fills up tokens of what was said earlier."""


class Heard(NamedTuple):
    """One window, and what was written of it.

    Args:
        seek: frame of the sound at which it begins.
        settings: what it was written by.
        found: its tokens.
    """

    seek: int
    settings: TimedTranscription
    found: Hypothesis


@dataclass
class Listening:
    """A sound that is heard, window by window.

    Args:
        frames: its spectrogram, (M, F).
        end: frame at which the sound ends; what follows is silence that fills the first window.
        settings: of the sound.
        size: frames of a window.
    """

    frames: NDArray[np.float32]
    end: int
    settings: TimedTranscription
    size: int
    seek: int = 0
    heard: list[Heard] = field(default_factory=list)
    passages: list[SpokenPassage] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether all of it was heard."""
        return self.seek >= self.end

    @property
    def window(self) -> NDArray[np.float32]:
        """The frames that are heard next, (M, size)."""
        return self.window_at(self.seek)

    def window_at(self, seek: int) -> NDArray[np.float32]:
        """Returns the frames from one on, (M, size), filled up with zeros."""
        found = self.frames[:, seek : seek + self.size]
        return np.pad(found, ((0, 0), (0, self.size - found.shape[1])))

    def take(self, found: Hypothesis) -> None:
        """Takes what was written of the window, and goes on to the next one."""
        tokens = [token for token in found.tokens if token != self.settings.end_token]
        frames = min(self.size, self.frames.shape[1] - self.seek)
        mean = found.log_probability / max(1, len(found.tokens))
        passages, further = spoken_passages(tokens, self.seek, frames, mean, self.settings)
        self.heard.append(Heard(self.seek, self.settings, found))
        self.passages += passages
        usual = -(-self.frames.shape[1] // self.size)
        self.seek += frames if len(self.heard) >= MOST_HEARD * (usual + 1) else further


class TimedTranscriber(Translator):
    """The graphs of a model that writes marks of time, and how it searches.

    Args:
        graphs: that read windows and write tokens.
        processor: makes texts of tokens.
        settings: of the search.
        spectrograms: of sounds.
        size: frames of a window.
    """

    text: ClassVar[str] = SPOKEN_TEXT
    settings: TimedTranscription

    def __init__(
        self,
        graphs: TranslationGraphs,
        processor: Processor,
        settings: TimedTranscription,
        spectrograms: Spectrograms,
        size: int,
    ) -> None:
        super().__init__(graphs, processor, settings)
        self._spectrograms, self._size = spectrograms, size
        self._codes = {token: code for code, token in settings.languages.items()}

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, processor: Processor, threads: int | None = None) -> Self:
        """Opens the graphs of a bundle; arguments and errors as of `Translator`."""
        hear, encode, decode = (folder / manifest.graphs[role] for role in (HEAR, ENCODE, DECODE))
        threads = threads or manifest.serving.threads
        settings = cast("TimedTranscription", manifest.timed_transcription)
        return cls.of_files(hear, TranslationGraphs(encode, decode, manifest.state, threads), processor, settings)

    @classmethod
    def of_files(
        cls, hear: Path, graphs: TranslationGraphs, processor: Processor, settings: TimedTranscription
    ) -> Self:
        """Returns one for a graph of spectrograms that lies in a file."""
        size = round(cast("float", processor.settings()["window_s"]) * RATE / HOP)
        return cls(graphs, processor, settings, Spectrograms(hear), size)

    def changed(self, settings: Mapping[str, object]) -> Self:
        """Returns the same with other settings; arguments and errors as of `Translator`."""
        found = cast("TimedTranscription", self._changed(settings))
        return type(self)(self.graphs, self._processor, found, self._spectrograms, self._size)

    def with_graphs(self, graphs: TranslationGraphs) -> Self:
        """Returns the same with other graphs of the same state."""
        return type(self)(graphs, self._processor, self.settings, self._spectrograms, self._size)

    def first_reading(self, model_inputs: ModelInputs) -> ModelInputs:
        """Returns the first window of each sound of a batch."""
        sounds = [self._begun(model_inputs, row) for row in range(len(model_inputs[SAMPLES]))]
        return {SPECTROGRAM: np.stack([sound.window for sound in sounds])}

    def run_wanted(self, model_inputs: ModelInputs, is_wanted: IsWanted) -> Outputs:
        """Returns texts, passages and languages, (N,) each, and `log_probability`, float32 (N,), of a batch."""
        found = self.listened(model_inputs, is_wanted)
        names = (SPOKEN_TEXT, SEGMENTS, LANGUAGE)
        outputs: dict[str, NDArray[np.object_]] = {name: np.empty(len(found), dtype=object) for name in names}
        for row, sound in enumerate(found):
            outputs[SPOKEN_TEXT][row] = "".join(self.text_of(one.tokens) for one in sound.passages).strip()
            outputs[SEGMENTS][row] = [self._segment(one) for one in sound.passages]
            outputs[LANGUAGE][row] = self._language(sound.settings)
        sums = [sum(one.found.log_probability for one in sound.heard) for sound in found]
        seconds = np.asarray(model_inputs[SAMPLE_COUNT] / RATE, np.float32)
        return {LOG_PROBABILITY: np.array(sums, np.float32), DURATION: seconds, **outputs}

    def listened(self, model_inputs: ModelInputs, is_wanted: IsWanted = always_wanted) -> list[Listening]:
        """Returns the sounds of a batch, heard to their ends.

        Args:
            model_inputs: of N sounds.
            is_wanted: whether a sound's text is; of others nothing more is heard.
        """
        sounds = [self._begun(model_inputs, row) for row in range(len(model_inputs[SAMPLES]))]
        self._detect(sounds)
        while rows := [row for row, sound in enumerate(sounds) if not sound.is_over and is_wanted(row)]:
            for together in self._together(sounds, rows):
                self._hear([sounds[row] for row in together], partial(_is_wanted_of, is_wanted, together))
        return sounds

    def _begun(self, model_inputs: ModelInputs, row: int) -> Listening:
        samples = model_inputs[SAMPLES][row, : model_inputs[SAMPLE_COUNT][row]].astype(np.float32, copy=False)
        end = -(-len(samples) // HOP)
        filled = np.pad(samples, (0, max(0, self._size * HOP - len(samples))))
        found = self._spectrograms.of(filled)
        return Listening(found, min(end, found.shape[1]), self._wanted(model_inputs, row), self._size)

    def _wanted(self, model_inputs: ModelInputs, row: int) -> TimedTranscription:
        """Returns the settings of a row, with what it wants of the search."""

        def wanted(name: str, default: NDArray[np.int64]) -> NDArray[np.int64]:
            return cast("NDArray[np.int64]", model_inputs[name][row]) if name in model_inputs else default

        language, beams = (int(wanted(name, np.array(0))) for name in (LANGUAGE_TOKEN, BEAMS))
        previous = [token for token in wanted(PREVIOUS, np.empty(0, np.int64)).tolist() if token != NO_TOKEN]
        found = self.settings.begun(language or None, tuple(previous))
        return replace(found, num_beams=beams) if beams else found

    def _detect(self, sounds: Sequence[Listening]) -> None:
        """Hears which language is spoken where nobody says it: the likeliest after the token that begins a text."""
        unknown = [sound for sound in sounds if sound.settings.detects_language]
        codes = np.array(sorted(self._codes), np.int64)
        for start in range(0, len(unknown), HEARD_AT_ONCE):
            some = unknown[start : start + HEARD_AT_ONCE]
            start_token = replace(self.settings, prompt=self.settings.prompt[:1])
            read = self.graphs.read({SPECTROGRAM: np.stack([one.window for one in some])})
            logits, _ = first_logits(self.graphs, read, [start_token] * len(some))
            for sound, token in zip(some, codes[logits[:, codes].argmax(axis=1)].tolist(), strict=True):
                previous = sound.settings.prompt[: -len(self.settings.prompt)][1:]
                beams = sound.settings.num_beams
                sound.settings = replace(self.settings.begun(token, previous), num_beams=beams)

    def _together(self, sounds: Sequence[Listening], rows: Sequence[int]) -> list[list[int]]:
        """Returns the rows whose windows are heard at once: they begin with as many tokens, and are few."""
        by_length: dict[int, list[int]] = {}
        for row in rows:
            by_length.setdefault(len(sounds[row].settings.prompt), []).append(row)
        return [
            group[part]
            for group in by_length.values()
            for part in parts_of_size([sounds[row].settings.num_beams for row in group], HEARD_AT_ONCE)
        ]

    def _hear(self, sounds: Sequence[Listening], is_wanted: IsWanted) -> None:
        given = {SPECTROGRAM: np.stack([sound.window for sound in sounds])}
        found = best_texts(self.graphs, given, [sound.settings for sound in sounds], is_wanted)
        for sound, text in zip(sounds, found, strict=True):
            sound.take(text)

    def _segment(self, passage: SpokenPassage) -> dict[str, object]:
        return {
            "start": passage.start_s,
            "end": passage.end_s,
            "text": self.text_of(passage.tokens),
            "tokens": list(passage.tokens),
            "seek": passage.seek,
            "mean_log_probability": round(passage.mean_log_probability, 4),
        }

    def _language(self, settings: TimedTranscription) -> str:
        return next((self._codes[token] for token in settings.prompt if token in self._codes), "en")


def _is_wanted_of(is_wanted: IsWanted, rows: Sequence[int], place: int) -> bool:
    return is_wanted(rows[place])


def opened_translator(folder: Path, manifest: Manifest, processor: Processor, threads: int | None = None) -> Translator:
    """Opens the graphs of a bundle, whatever they read.

    Args:
        folder: folder of the bundle.
        manifest: what it holds.
        processor: of the bundle.
        threads: intra-op threads instead of the manifest's.

    Raises:
        BundleError: a graph cannot be loaded, or they do not fit together.
    """
    kind: type[Translator] = Translator
    if manifest.timed_transcription is not None:
        kind = TimedTranscriber
    elif manifest.transcription is not None:
        kind = Transcriber
    return kind.open(folder, manifest, processor, threads)
