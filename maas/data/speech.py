"""Spoken words and phrases made by the program espeak-ng, split by voice. The speech is synthetic: nobody ever said it.

A model of it is proven on voices that it never heard, yet all of them come from one program: people's speech differs
more. Take recordings for a model that people will speak to.
"""

import hashlib
import io
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maas.bounds import Count, PositiveFraction
from maas.data.rows import with_progress
from maas.data.scripts import PITCHES, SLOT, SPEEDS, Phrases, Script, Speaking
from maas.data.system import debian_package_missing
from maas.data.tables import Tables
from maas.errors import DataError
from maas.files import write_atomically

PROGRAM = "espeak-ng"
HUB = "data=hub data.source.id=google/speech_commands data.source.config=v0.02 data.source.input=audio"
ACCENTS = ("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
CLIPS_AT_ONCE = 2  # voices
LONGEST_S = 60  # for one clip


def espeak_words(
    words: Sequence[str],
    voices: Sequence[str] | None = None,
    accents: Sequence[str] = ACCENTS,
    takes: Count = 3,
    seed: int = 0,
    validation_fraction: PositiveFraction = 0.15,
    test_fraction: PositiveFraction = 0.15,
) -> Tables:
    """Makes clips of words, as WAV files, with espeak-ng's voice variants; no voice is in two splits.

    A variant is a speaker of its own: pitch, formants, breath and roughness. The languages beside English are no voices
    here: most of them read English words by their own rules, and speak other words. What was made is kept below
    `cache_folder()`, a file for each voice; a run that was killed resumes with the next voice.

    Args:
        words: the words that are spoken, and the labels.
        voices: names of espeak-ng's variants; null takes all of them, about a hundred.
        accents: the program's voices of a language, such as en-gb; each clip draws one.
        takes: clips of each word by each voice.
        seed: random seed of pitch, speed and accent.
        validation_fraction: about this fraction of the voices.
        test_fraction: about this fraction of the voices.

    Raises:
        DataError: the program is missing or fails, a word is blank, or there is no such voice.
    """
    if not words or not all(word.strip() for word in words):
        raise DataError(f"data.source.words is {list(words)}; at least one word is needed, and none may be blank.")
    program, known = installed()
    speaking = Speaking(tuple(words), tuple(accents), takes, seed, program)
    return _spoken_tables(speaking, _chosen(voices, known), validation_fraction, test_fraction)


def espeak_phrases(
    patterns: Sequence[str],
    words: Mapping[str, Sequence[str]],
    voices: Sequence[str] | None = None,
    accents: Sequence[str] = ACCENTS,
    takes: Count = 40,
    seed: int = 0,
    validation_fraction: PositiveFraction = 0.15,
    test_fraction: PositiveFraction = 0.15,
) -> Tables:
    """Makes clips of phrases, as `espeak_words` does of words; the label of a clip is what is said in it.

    Each clip draws a pattern, and for each of its slots any one of the slot's words: `turn {device} {state}`.

    Args:
        patterns: phrases with slots.
        words: of each slot, by its name.
        voices: names of espeak-ng's variants; null takes all of them, about a hundred.
        accents: the program's voices of a language, such as en-gb; each clip draws one.
        takes: clips of each voice.
        seed: random seed of phrase, pitch, speed and accent.
        validation_fraction: about this fraction of the voices.
        test_fraction: about this fraction of the voices.

    Raises:
        DataError: the program is missing or fails, a slot has no words, or there is no such voice.
    """
    if not patterns or not all(map(str.strip, patterns)):
        raise DataError(f"data.source.patterns is {list(patterns)}; at least one is needed, and none may be blank.")
    slots = tuple(dict.fromkeys(slot for pattern in patterns for slot in SLOT.findall(pattern)))
    if missing := [slot for slot in slots if not words.get(slot)]:
        raise DataError(f"data.source.patterns has the slot {{{missing[0]}}}; data.source.words has no words for it.")
    program, known = installed()
    known_words = tuple((slot, tuple(words[slot])) for slot in slots)
    speaking = Phrases(tuple(patterns), known_words, tuple(accents), takes, seed, program)
    return _spoken_tables(speaking, _chosen(voices, known), validation_fraction, test_fraction)


def split_of(voice: str, validation_fraction: float, test_fraction: float) -> str:
    """Returns the split of a voice, by the digest of its name: always the same, whatever other voices there are.

    Numbers at the end do not count: steph, steph2 and steph3 are too alike to be strangers to each other.
    """
    speaker = voice.rstrip("0123456789")
    place = int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "big") / 2**64
    if place < test_fraction:
        return "test"
    return "validation" if place < test_fraction + validation_fraction else "train"


def installed() -> tuple[str, list[str]]:
    """Returns the program's version and the names of its voice variants.

    Raises:
        DataError: it is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise debian_package_missing(PROGRAM, "speaks these words", HUB)
    version = _run("--version").partition("Data at")[0].strip()
    return version, sorted(re.findall(r" !v/(.+?) *(?:\(.*)?$", _run("--voices=variant"), re.MULTILINE))


def _chosen(voices: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Returns the voices that speak: those that are wanted, or all.

    Raises:
        DataError: there is no such voice.
    """
    unknown = sorted(set(voices or ()) - set(known))
    if unknown:
        raise DataError(f"{PROGRAM} has no voice {', '.join(unknown)}; its voices are {', '.join(known)}.")
    return list(voices or known)


def _spoken_tables(speaking: Script, voices: Sequence[str], validation_fraction: float, test_fraction: float) -> Tables:
    """Returns the clips of some voices by split; those that are not kept are made."""
    _make([voice for voice in voices if not speaking.place(voice).is_file()], speaking)
    tables: dict[str, dict[str, list[Any]]] = {}
    for voice in voices:
        table = tables.setdefault(split_of(voice, validation_fraction, test_fraction), {"input": [], "label": []})
        for text, clip in _clips(speaking.place(voice)):
            table["input"].append(clip)
            table["label"].append(text)
    return dict(tables)


def _make(voices: Sequence[str], speaking: Script) -> None:
    """Makes the clips of some voices, two voices at a time."""
    if not voices:
        return
    folder = speaking.place("").parent
    folder.mkdir(parents=True, exist_ok=True)
    count = len(voices) * speaking.clips
    pool = ThreadPoolExecutor(CLIPS_AT_ONCE)
    try:
        done = pool.map(lambda voice: write_atomically(speaking.place(voice), _spoken(voice, speaking)), voices)
        for _ in with_progress(done, len(voices), f"{count} clips of {len(voices)} voices, made once with {PROGRAM}"):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _spoken(voice: str, speaking: Script) -> bytes:
    """Returns a ZIP file of WAV files, named text/number.wav."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive, "w") as file:
        wav = Path(folder) / "clip.wav"
        for text, number, draw in speaking.utterances(voice):
            accent, pitch, speed = draw.choice(speaking.accents), draw.randint(*PITCHES), draw.randint(*SPEEDS)
            _run("-z", "-v", f"{accent}+{voice}", f"-p{pitch}", f"-s{speed}", "-w", str(wav), "--", text)
            file.writestr(f"{text}/{number}.wav", wav.read_bytes())
    return archive.getvalue()


def _clips(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields texts and the WAV files that hold them."""
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            yield name.rpartition("/")[0], file.read(name)


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"status {error.returncode}"])[-1]
        raise DataError(f"{PROGRAM} {' '.join(arguments)} failed: {reason}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{PROGRAM} {' '.join(arguments)} failed: {error}") from error
    return done.stdout
