"""Sounds and their texts through the whole line: a table of one's own, trained, made small, proven and served."""

import asyncio
import io
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import soundfile

import maas

RATE = 8000
RECIPE = """\
# My words.
defaults:
  - override /data: audio_texts
  - override /processor: speech
  - override /augment: speech
  - override /model: speech_cnn
  - override /objective: connectionist_temporal
  - override /optimizer: adamw
name: my_words
task: transcription
metric: word_accuracy
batch_size: 16
data: {source: {path: words.csv}, test_fraction: 0.15}
processor: {rate: 8000, seconds: 2.0}
augment: {speed_fraction: 0.05}
model: {channels: 32, layers: 2, dropout: 0.0}
optimizer: {lr: 1e-2}
trainer: {max_epochs: 14}
export: {robustness_rows: 8}
registry: null
"""
TONES = {"hi": (1600, 2400), "lo": (300, 500), "up": (700, 1500)}
"""The two tones of each word, in Hz."""


def said(text: str, random: np.random.Generator) -> np.ndarray:
    """Returns a sound of two tones for each word, with pauses of unequal length between them."""
    parts = []
    for word in text.split():
        parts.append(np.zeros(random.integers(300, 900)))
        for hertz in TONES[word]:
            times = np.arange(random.integers(900, 1200)) / RATE
            parts.append(0.4 * np.sin(2 * np.pi * hertz * times))
    sound = np.concatenate([*parts, np.zeros(300)])
    return (sound + 0.01 * random.normal(size=len(sound))).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> maas.Bundle:
    folder, random = tmp_path_factory.mktemp("transcription"), np.random.default_rng(0)
    texts = [" ".join(random.choice(list(TONES), random.integers(1, 5))) for _ in range(240)]
    (folder / "sounds").mkdir()
    for number, text in enumerate(texts):
        soundfile.write(folder / f"sounds/{number}.wav", said(text, random), RATE)
    names = [f"sounds/{number}.wav" for number in range(len(texts))]
    pd.DataFrame({"audio": names, "text": texts}).to_csv(folder / "words.csv", index=False)
    (folder / "my_words.yaml").write_text(RECIPE)
    places = (f"data.source.path={folder / 'words.csv'}", f"runs_dir={folder / 'runs'}")
    maas.lifecycle.run(maas.compose(str(folder / "my_words.yaml"), *places))
    return maas.load(folder / "runs/my_words/latest/bundle")


@pytest.mark.usefixtures("few_turns")
def test_words_are_learnt_and_proven_when_a_table_names_sounds_and_texts(bundle):
    evidence = bundle.evidence
    shipped = evidence.metrics["shipped"]
    assert set(shipped) == {"word_accuracy", "character_accuracy", "wer", "cer", "exact_match"}
    assert shipped["wer"].value < 0.1
    assert shipped["word_accuracy"].value == pytest.approx(1 - shipped["wer"].value)
    assert {one.right for one in evidence.parity} >= {"onnxruntime", "onnx reference"}
    assert [curve.name for curve in evidence.robustness] == ["noise", "loudness"]
    assert bundle.manifest.task == "automatic-speech-recognition"
    assert bundle.manifest.postprocessor["characters"] == [" ", "h", "i", "l", "o", "p", "u"]


def test_texts_are_the_same_when_sounds_come_alone_or_together(bundle, tmp_path):
    random, texts = np.random.default_rng(1), ["hi", "lo up hi", "up up", "hi lo lo up"]
    paths = [tmp_path / f"{number}.wav" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        soundfile.write(path, said(text, random), RATE)
    together = bundle.predict(paths)
    assert sum(one["text"] == text for one, text in zip(together, texts, strict=True)) >= 3
    for path, one in zip(paths, together, strict=True):
        (alone,) = bundle.predict([path])
        assert alone["text"] == one["text"]
        assert alone["score"] == pytest.approx(one["score"], abs=1e-5)
        assert bundle.predict([path.read_bytes()]) == [alone]


def test_server_writes_what_the_bundle_does_when_a_form_is_sent(bundle):
    from maas.serving.repository import Repository
    from maas.serving.transports.http import HttpApp

    sound, repository = io.BytesIO(), Repository()
    soundfile.write(sound, said("lo hi", np.random.default_rng(2)), RATE, format="WAV")
    repository.open(bundle.folder)

    async def asked() -> dict[str, str]:
        app = HttpApp(repository)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            form = {"file": ("said.wav", sound.getvalue())}
            response = await client.post("/v1/audio/transcriptions", files=form)
            await app.close()
            return response.json()

    assert asyncio.run(asked()) == {"text": bundle.predict([sound.getvalue()])[0]["text"]}


def test_explanation_is_of_windows_of_time_when_a_sound_is_explained(bundle, tmp_path: Path):
    sound = said("up lo", np.random.default_rng(3))
    explanation = maas.explain(bundle, sound)
    assert explanation.quantity == "log-probability"
    assert len(explanation.attributions) == len(explanation.parts) > 5
    explanation.save(tmp_path / "explained.png")
