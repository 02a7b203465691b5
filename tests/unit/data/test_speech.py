"""Words said by espeak-ng: real clips of a few voices, kept and gone on with, and split so that voices stay apart."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from maas.data import speech
from maas.data.speech import espeak_phrases, espeak_words, installed, split_of
from maas.errors import DataError

WORDS, VOICES = ["yes", "stop"], ["Alex", "announcer", "f2", "f3"]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/espeak_words"


@needs_espeak
def test_clips_are_sounds_of_each_word_by_each_voice_when_they_are_made():
    tables = espeak_words(WORDS, VOICES, takes=2)
    assert {split: table["label"] for split, table in tables.items()} == {
        "train": ["yes", "yes", "stop", "stop"],
        "validation": ["yes", "yes", "stop", "stop"],
        "test": ["yes", "yes", "stop", "stop"] * 2,
    }
    clips = [clip for table in tables.values() for clip in table["input"]]
    assert len(set(clips)) == len(clips)
    for clip in clips:
        samples, rate = soundfile.read(io.BytesIO(clip))
        assert rate == 22050
        assert 0.1 * rate < len(samples) < rate
        assert np.abs(samples).max() > 0.05


@needs_espeak
def test_clips_are_the_same_when_they_are_made_again_in_another_folder(tmp_path, monkeypatch):
    first = espeak_words(WORDS, VOICES[:2], takes=1)
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "elsewhere"))
    assert espeak_words(WORDS, VOICES[:2], takes=1) == first
    assert espeak_words(WORDS, VOICES[:2], takes=1, seed=1) != first


@needs_espeak
def test_only_new_voices_are_made_when_some_are_kept(cache, caplog):
    caplog.set_level("INFO", "maas")
    espeak_words(WORDS, VOICES[:2], takes=1)
    kept = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    both = espeak_words(WORDS, VOICES[:3], takes=1)
    assert espeak_words(WORDS, VOICES[:3], takes=1) == both
    assert len(list(cache.iterdir())) == 3
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert [record.message for record in caplog.records] == [
        "data      4 clips of 2 voices, made once with espeak-ng",
        "data      2 clips of 1 voices, made once with espeak-ng",
    ]


@needs_espeak
def test_making_goes_on_when_a_process_was_killed(cache):
    command = "from maas.data.speech import espeak_words; espeak_words(['yes', 'no', 'up', 'down'], takes=2)"
    process = subprocess.Popen([sys.executable, "-c", command], env=os.environ)
    deadline = time.monotonic() + 120
    while len(list(cache.glob("*.zip"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {file: file.stat().st_mtime_ns for file in cache.glob("*.zip")}
    assert 2 <= len(kept) < len(installed()[1])
    made = sorted(kept, key=kept.get)
    speaking = speech.Speaking(("yes", "no", "up", "down"), speech.ACCENTS, 2, 0, installed()[0])
    voices = [voice for voice in installed()[1] if speaking.place(voice) in made][:2]
    tables = espeak_words(["yes", "no", "up", "down"], [*voices, "f2"], takes=2)
    assert sum(len(table["label"]) for table in tables.values()) == 3 * 4 * 2
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


@needs_espeak
def test_voices_are_all_those_of_the_program_when_it_lists_them():
    version, voices = installed()
    assert version.startswith("eSpeak NG text-to-speech: ")
    assert len(voices) > 90
    assert {"f2", "m1", "Mr serious", "Storm", "whisper"} <= set(voices)


@needs_espeak
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"words": []}, "data.source.words is []; at least one word is needed, and none may be blank."),
        ({"words": ["yes", " "]}, "data.source.words is ['yes', ' ']; at least one word is needed, and none may be"),
        ({"voices": ["f2", "Nobody"]}, "espeak-ng has no voice Nobody; its voices are Alex, Alicia, "),
        ({"accents": ["xx-yy"]}, "espeak-ng -z -v xx-yy+f2 -p"),
    ],
)
def test_request_is_refused_with_its_values_when_it_cannot_be_spoken(arguments, message, cache):
    with pytest.raises(DataError) as caught:
        espeak_words(**{"words": WORDS, "voices": ["f2"], **arguments})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*"))


@needs_espeak
def test_reason_is_the_programs_own_when_it_fails():
    with pytest.raises(DataError, match=r" -- yes failed: Error: The specified espeak-ng voice does not exist\.$"):
        espeak_words(WORDS, ["f2"], accents=["xx-yy"])


def test_package_and_hub_are_named_when_the_program_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        espeak_words(WORDS)
    assert str(caught.value) == (
        "The Debian package espeak-ng speaks these words and is not installed. Run: sudo apt-get install espeak-ng "
        "(or take such data from the hub: data=hub data.source.id=google/speech_commands "
        "data.source.config=v0.02 data.source.input=audio)"
    )


PATTERNS = ["{digit} {digit}", "turn it {state}"]
SLOTS = {"digit": ["one", "two"], "state": ["on", "off"]}


@needs_espeak
def test_phrases_are_patterns_with_words_in_their_slots_when_they_are_said(cache):
    tables = espeak_phrases(PATTERNS, SLOTS, VOICES, takes=6)
    assert {split: len(table["label"]) for split, table in tables.items()} == {"train": 6, "validation": 6, "test": 12}
    texts = [text for table in tables.values() for text in table["label"]]
    assert set(texts) <= {"one one", "one two", "two one", "two two", "turn it on", "turn it off"}
    assert len(set(texts)) > 3
    clips = [clip for table in tables.values() for clip in table["input"]]
    assert len(set(clips)) == len(clips) == 24
    assert all(0.2 < soundfile.info(io.BytesIO(clip)).duration < 3 for clip in clips)
    assert espeak_phrases(PATTERNS, SLOTS, VOICES, takes=6) == tables
    assert espeak_phrases(PATTERNS, SLOTS, VOICES, takes=6, seed=1) != tables


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "data.source.patterns is []; at least one is needed, and none may be blank."),
        (["{digit}", " "], "data.source.patterns is ['{digit}', ' ']; at least one is needed"),
        (["go {where}"], "data.source.patterns has the slot {where}; data.source.words has no words for it."),
    ],
)
def test_patterns_are_refused_with_their_values_when_nothing_can_be_said(patterns, message):
    with pytest.raises(DataError) as caught:
        espeak_phrases(patterns, SLOTS)
    assert str(caught.value).startswith(message)


def test_program_is_named_when_it_does_not_run(tmp_path, monkeypatch):
    (tmp_path / "espeak-ng").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DataError, match=r"^espeak-ng --version failed: status 3$"):
        espeak_words(WORDS)


@pytest.mark.parametrize(
    ("voice", "split"), [("f2", "test"), ("steph3", "test"), ("klatt4", "validation"), ("m1", "train"), ("m8", "train")]
)
def test_voice_stays_in_its_split_when_the_list_of_voices_changes(voice, split):
    assert split_of(voice, 0.15, 0.15) == split
    assert split_of(voice.rstrip("0123456789"), 0.15, 0.15) == split


def test_splits_have_their_shares_when_there_are_many_voices():
    names = [f"voice {chr(97 + i // 26)}{chr(97 + i % 26)}{chr(97 + j)}" for i in range(400) for j in range(25)]
    splits = [split_of(name, 0.2, 0.1) for name in names]
    assert splits.count("validation") / len(names) == pytest.approx(0.2, abs=0.02)
    assert splits.count("test") / len(names) == pytest.approx(0.1, abs=0.015)
