"""What voices of a speech synthesiser say: words, each of them, or phrases that are drawn from patterns."""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from maas.files import cache_folder

PITCHES, SPEEDS = (30, 70), (130, 200)
"""What the program's -p (0 to 99) and -s (words a minute) are drawn from; its defaults are 50 and 175."""
SLOT = re.compile(r"\{(\w+)\}")
"""Where a pattern has any one of some words."""


class Utterance(NamedTuple):
    """What one clip holds.

    Args:
        text: what is said.
        number: of the clip, among those of the text or of the voice.
        draw: random generator of its accent, pitch and speed.
    """

    text: str
    number: int
    draw: random.Random


class Script(Protocol):
    """What each voice says."""

    @property
    def accents(self) -> tuple[str, ...]:
        """The program's voices of a language; each clip draws one."""
        ...

    @property
    def clips(self) -> int:
        """Number of clips of a voice."""
        ...

    def place(self, voice: str) -> Path:
        """Returns the file that holds, or will hold, the clips of a voice."""
        ...

    def utterances(self, voice: str) -> Iterator[Utterance]:
        """Yields what a voice says."""
        ...


@dataclass(frozen=True)
class Speaking:
    """What is spoken and how.

    Args:
        words: the words that are spoken.
        accents: the program's voices of a language; each clip draws one.
        takes: number of clips of each word by each voice, with a pitch, a speed and an accent of its own.
        seed: random seed of these.
        program: version of the program, which decides the clips.
    """

    words: tuple[str, ...]
    accents: tuple[str, ...]
    takes: int
    seed: int
    program: str

    @property
    def clips(self) -> int:
        """Number of clips of a voice."""
        return len(self.words) * self.takes

    def place(self, voice: str) -> Path:
        """Returns the file that holds, or will hold, the clips of a voice."""
        return _place("espeak_words", [asdict(self), voice, PITCHES, SPEEDS])

    def utterances(self, voice: str) -> Iterator[Utterance]:
        """Yields each word as many times as it is taken."""
        for word in self.words:
            for take in range(self.takes):
                yield Utterance(word, take, _generator(self.seed, voice, word, take))


@dataclass(frozen=True)
class Phrases:
    """Which phrases are spoken and how.

    Args:
        patterns: phrases with slots.
        words: name and words of each slot.
        accents: the program's voices of a language; each clip draws one.
        takes: number of clips of each voice, with a phrase, a pitch, a speed and an accent of its own.
        seed: random seed of these.
        program: version of the program, which decides the clips.
    """

    patterns: tuple[str, ...]
    words: tuple[tuple[str, tuple[str, ...]], ...]
    accents: tuple[str, ...]
    takes: int
    seed: int
    program: str

    @property
    def clips(self) -> int:
        """Number of clips of a voice."""
        return self.takes

    def place(self, voice: str) -> Path:
        """Returns the file that holds, or will hold, the clips of a voice."""
        return _place("espeak_phrases", [asdict(self), voice, PITCHES, SPEEDS])

    def utterances(self, voice: str) -> Iterator[Utterance]:
        """Yields phrases, each drawn by itself."""
        words = dict(self.words)
        for take in range(self.takes):
            draw = _generator(self.seed, voice, take)
            yield Utterance(filled(draw.choice(self.patterns), words, draw), take, draw)


def filled(pattern: str, words: Mapping[str, Sequence[str]], draw: random.Random) -> str:
    """Returns a pattern with a word in each of its slots.

    Args:
        pattern: a phrase with slots, e.g. `turn {device} {state}`.
        words: of each slot, by its name.
        draw: random generator.
    """
    return SLOT.sub(lambda slot: draw.choice(words[slot[1]]), pattern)


def _generator(*parts: object) -> random.Random:
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - no secret


def _place(room: str, content: Sequence[object]) -> Path:
    return cache_folder(room, f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()}.zip")
