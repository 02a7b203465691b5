"""A Whisper becomes a bundle that writes down speech as transformers does, by the whole line of a recipe."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace

import httpx
import jsonschema
import msgspec
import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from transformers import WhisperFeatureExtractor

import maas
from maas import lifecycle
from maas.doctor import examine
from maas.errors import BundleError, ConfigError, ExportError, ParityError
from maas.exporting.sequence_bundling import build_sequence_bundle
from maas.exporting.sequence_proof import prove_sequences
from maas.exporting.trained_transcriber import SpeechTranscriber
from maas.importing.speech.pretrained import opened_whisper
from maas.lifecycle.recipe import load_rows
from maas.lifecycle.registering import compare_transcripts
from maas.lifecycle.sequences import sequence_model_of
from maas.onnx_graphs.whisper import speech_encoder_graph
from maas.planning import plan
from maas.records.manifest import ServingSettings
from maas.records.schemas import schema_bytes
from maas.runtime.bundle import Bundle
from maas.runtime.pyfunc import BundlePyfunc
from maas.runtime.translation.graphs import TranslationGraphs
from maas.training.checkpoint import Checkpoint
from maas.training.heads import task_head_of
from maas.training.recipe import TrainingRecipe
from tests.unit import tiny_whisper

SOUNDS = tiny_whisper.sounds(12)
LONG = np.concatenate([*SOUNDS[:4]])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of sounds with what is said in them, and one of a model."""
    root = tmp_path_factory.mktemp("speech")
    for split, part in {"train": SOUNDS[:4], "test": SOUNDS[4:]}.items():
        (root / "sounds" / split).mkdir(parents=True)
        for number, sound in enumerate(part):
            soundfile.write(root / "sounds" / split / f"{number}.wav", sound, tiny_whisper.RATE)
            (root / "sounds" / split / f"{number}.txt").write_text("turn on the light")
    tiny_whisper.save(root / "model")
    return root


@pytest.fixture(scope="module")
def config(place):
    return maas.compose(
        "whisper", "data=audio_texts", f"data.source.path={place}/sounds", "data.max_rows=null",
        "data.validation_fraction=0.5", "registry=null",
        f"model.pretrained={place}/model", f"runs_dir={place}/runs", "serve.batch_size=3",
    )  # fmt: skip


@pytest.fixture(scope="module")
def line(config):
    return lifecycle.run(config)


NET, EXTRACTOR = tiny_whisper.whisper(), WhisperFeatureExtractor(feature_size=16, chunk_length=1)


def greedy(sound):
    """Returns the tokens that transformers' net gives for one sound, read from the beginning for each of them."""
    heard = EXTRACTOR(sound, sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        memory = NET.model.encoder(heard["input_features"].float())
    written = []
    while len(written) < 12 and (not written or written[-1] != 0):
        with torch.inference_mode():
            tokens = torch.tensor([[1, 2, *written]])
            logits = NET(encoder_outputs=memory, decoder_input_ids=tokens, use_cache=False).logits[0, -1]
        logits = logits.clone()
        logits[[*tiny_whisper.SUPPRESSED, *([] if written else tiny_whisper.SUPPRESSED_FIRST)]] = -math.inf
        written.append(int(logits.argmax()))
    return written


def test_texts_are_those_of_transformers_when_sounds_are_written_down(line):
    translator, processor = line.bundle.predictor.graph, line.bundle.predictor.processor
    features = processor.preprocess(SOUNDS)
    readings = translator.readings(processor.batch(features))
    found = [one for given in readings for one in translator.hypotheses(given)]
    expected = [greedy(sound) for sound in SOUNDS]
    assert [list(one.tokens) for one in found] == expected
    assert len({tuple(one) for one in expected}) > 4, "what is written depends on what is heard"
    assert len(set(map(len, expected))) > 1, "some end, and some never"
    texts = [tiny_whisper.tokenizer().decode(one).strip() for one in expected]
    assert [one["text"] for one in line.bundle.predict(SOUNDS)] == texts


def test_spectrogram_is_that_of_transformers_when_it_is_made_in_the_graph(place, tmp_path):
    whisper = opened_whisper(str(place / "model"))
    model = speech_encoder_graph(whisper.shape, whisper.weights, opset=20)
    (first,) = (node for node in model.graph.node if node.input[1:2] == ["model.encoder.conv1.weight"])
    del model.graph.output[:]
    model.graph.output.add(name=first.input[0])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for sound in [*SOUNDS, np.zeros(800, np.float32)]:
        samples = np.pad(sound, (0, tiny_whisper.WINDOW - len(sound)))
        (found,) = session.run(None, {"samples": samples[None]})
        exact = EXTRACTOR._np_extract_fbank_features(samples[None].astype(np.float64), "cpu")
        assert found.shape == exact.shape == (1, 16, 100)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-3)


def test_line_ends_in_a_proven_bundle_when_a_recipe_takes_a_whisper(line, config):
    manifest = json.loads((line.bundle.folder / "manifest.json").read_bytes())
    jsonschema.validate(manifest, json.loads(schema_bytes("manifest")), cls=jsonschema.Draft202012Validator)
    assert manifest["schema_version"] == 5, "readers of version 4 refuse it by its number"
    assert manifest["task"] == "automatic-speech-recognition"
    assert manifest["graphs"] == {"encode": "encoder.onnx", "decode": "model.onnx"}
    assert manifest["transcription"] == {
        "end_token": 0, "max_tokens": 12, "num_beams": 1, "length_penalty": 1.0, "prompt": [1, 2],
        "suppressed_tokens": [1, 2, 7, 40], "suppressed_first": [0, 9],
    }  # fmt: skip
    assert "translation" not in manifest
    (parity,) = line.bundle.evidence.parity
    assert (parity.rows, parity.agreement.value) == (8, 1.0)
    assert {"wer", "cer", "word_accuracy"} <= line.bundle.evidence.metrics["shipped"].keys()
    evidence = lifecycle.verify(config, line.checkpoint, line.bundle)
    assert evidence.metrics == line.bundle.evidence.metrics


def test_bundle_opens_again_and_predicts_when_it_lies_on_the_disk(line):
    again = Bundle.open(line.bundle.folder)
    assert again.check_golden() == 0
    assert again.predict(SOUNDS) == line.bundle.predict(SOUNDS)
    assert list(BundlePyfunc(again).predict([SOUNDS[0].tolist()])["text"]) == [again.predict(SOUNDS[:1])[0]["text"]]


def test_text_is_the_one_that_it_is_alone_when_it_shares_a_batch(line):
    together = [one["text"] for one in line.bundle.predict([*SOUNDS, LONG])]
    assert together == [line.bundle.predict([one])[0]["text"] for one in [*SOUNDS, LONG]]


def test_windows_are_joined_when_a_sound_is_longer_than_one(line):
    processor = line.bundle.predictor.processor
    (windows,) = processor.arrays([LONG])
    assert len(windows) > 2
    texts = [tiny_whisper.tokenizer().decode(greedy(window)) for window in windows]
    assert line.bundle.predict([LONG])[0]["text"] == "".join(texts).strip()


def test_sounds_are_written_down_over_http_when_a_client_sends_a_file(line, start, place):
    sounds = [(place / "sounds/test" / f"{number}.wav").read_bytes() for number in range(3)]
    expected = [one["text"] for one in line.bundle.predict(sounds)]
    with start(f"model={line.bundle.folder}") as url:
        for sound, text in zip(sounds, expected, strict=True):
            form = {"files": {"file": ("sound.wav", sound)}, "timeout": 60}
            path = f"{url}/v1/audio/transcriptions"
            assert httpx.post(path, data={"model": "whisper"}, **form).json() == {"text": text}
            assert httpx.post(path, data={"response_format": "text"}, **form).text == f"{text}\n"
        wav, route = {"content-type": "audio/wav"}, f"{url}/v1/automatic-speech-recognition"
        reply = httpx.post(route, content=sounds[0], headers=wav, timeout=60)
    assert reply.json() == line.bundle.predict(sounds[:1])[0]


def test_bundle_is_opened_without_torch_when_the_install_is_light(line):
    code = (
        "import sys\n"
        "for one in ('torch', 'transformers', 'lightning', 'onnx', 'pandas'):\n"
        "    sys.modules[one] = None\n"
        "import json, maas\n"
        "bundle = maas.Bundle.open(sys.argv[1])\n"
        "print(json.dumps(bundle.predict(bundle.golden.inputs)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(line.bundle.folder)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == line.bundle.golden.predictions


def test_few_windows_are_read_at_once_when_a_batch_has_many(line, monkeypatch):
    sizes, read = [], TranslationGraphs.read
    monkeypatch.setattr(
        TranslationGraphs, "read", lambda graphs, given: sizes.append(len(given["samples"])) or read(graphs, given)
    )
    assert len(line.bundle.make_predictor(batch_size=2).predict([LONG, LONG])) == 2
    assert sizes == [4, 4], "of eight windows"


def test_beams_are_followed_when_settings_are_changed(line):
    graph = line.bundle.predictor.graph
    beams = line.bundle.predictor.with_graph(graph.changed({"num_beams": 4, "length_penalty": 0.0}))
    for alone, one in zip(line.bundle.predict(SOUNDS), beams.predict(SOUNDS), strict=True):
        assert one["log_probability"] >= alone["log_probability"] - 1e-4


def test_export_is_refused_when_the_graphs_have_another_weight(line, config, lineage, tmp_path):
    model, altered = (sequence_model_of(line.checkpoint) for _ in range(2))
    name = "model.decoder.layers.1.encoder_attn.v_proj.weight"
    vars(altered.speech)["weights"] = {**model.speech.weights, name: 1.2 * model.speech.weights[name]}
    bundle = build_sequence_bundle(
        tmp_path, model=altered, name="tiny", serving=ServingSettings(), lineage=lineage, rows=SOUNDS[:2], opset=20
    )
    with pytest.raises(ParityError, match="The first text that differs: row|differ"):
        prove_sequences(bundle, model, SOUNDS[:4], [], data=load_rows(config).record, trained={})


def test_bytes_are_equal_when_the_same_net_is_exported_twice(line, config):
    before = {path: path.read_bytes() for path in sorted(line.bundle.folder.glob("*.onnx"))}
    again = lifecycle.export(config, line.checkpoint)
    assert before == {path: path.read_bytes() for path in sorted(again.folder.glob("*.onnx"))}
    assert (again.folder / "manifest.json").read_bytes() == (line.bundle.folder / "manifest.json").read_bytes()


def test_bundle_is_not_verified_when_its_manifest_names_another_prompt(line, config):
    manifest = line.bundle.manifest
    other = msgspec.structs.replace(manifest.transcription, prompt=(1,))
    altered = replace(line.bundle, manifest=msgspec.structs.replace(manifest, transcription=other))
    with pytest.raises(BundleError, match="begins or ends its texts by other tokens .* recipe=whisper"):
        lifecycle.verify(config, line.checkpoint, altered)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 4}, "is of version 4, which does not fit what it holds"),
        ({"graphs": {"decode": "model.onnx"}}, "writes texts of what it reads and names no graph to encode"),
    ],
)
def test_bundle_is_refused_when_its_manifest_is_another(line, tmp_path, change, message):
    folder = shutil.copytree(line.bundle.folder, tmp_path / "bundle")
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    with pytest.raises(BundleError, match=message):
        Bundle.open(folder, check_evidence=False)


def test_gain_is_none_when_a_bundle_is_compared_with_itself(line, config):
    found = compare_transcripts(line.bundle, line.bundle, load_rows(config).test)
    assert found.new == found.old == line.bundle.evidence.metrics["shipped"]["word_accuracy"].value
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)


def test_other_stages_refuse_in_one_line_when_there_is_nothing_to_do(line, config):
    with pytest.raises(ConfigError, match="No pass is requested; python -m maas.export recipe=whisper ships the model"):
        lifecycle.compress(config, line.checkpoint)
    with pytest.raises(ConfigError, match=r"task is speech_to_text, and compress.passes holds .* Set compress=none\.$"):
        lifecycle.run(maas.compose("whisper", "compress=int8", "model.pretrained=nowhere"))
    with pytest.raises(BundleError, match="holds a model that does not translate; call predict"):
        line.bundle.translate(["x"])


def test_doctor_finds_nothing_when_a_model_is_taken_as_it_comes(line, config):
    assert examine(TrainingRecipe.of(config), load_rows(config), line.checkpoint.processor()) == []


def test_training_is_refused_when_a_recipe_has_a_trainer(line):
    head = task_head_of("speech_to_text", ())
    with pytest.raises(ConfigError, match="takes its model as it comes. Set trainer=null, or task=transcription"):
        head.dataset(None, line.checkpoint.processor())


def test_net_is_refused_when_its_processor_is_another(line, tmp_path):
    folder = shutil.copytree(line.checkpoint.folder, tmp_path / "train")
    record = json.loads((folder / "checkpoint.json").read_bytes())
    record["processor"] = {"kind": "speech", "rate": 16000, "seconds": 1.0, "pad_seconds": 0.5}
    (folder / "checkpoint.json").write_text(json.dumps(record))
    with pytest.raises(ExportError, match="with a speech processor cannot be exported to write down speech; maas"):
        SpeechTranscriber.of(Checkpoint.open(folder))


@pytest.mark.slow
def test_recipe_is_planned_when_it_takes_a_whisper(config, line):
    found = plan(config)
    assert [stage.name for stage in found.stages] == ["start", "train", "export"]
    assert found.artifact_bytes["fp32"] == line.bundle.model_path.stat().st_size


@pytest.mark.parametrize("method", ["shapley", "occlusion"])
def test_windows_share_the_difference_when_a_sound_is_explained(line, place, method):
    for row in (LONG, place / "sounds/test/0.wav", {"samples": SOUNDS[0].tolist(), "rate": tiny_whisper.RATE}):
        found = maas.explain(line.bundle, row, parts=4, orders=2, method=method)
        assert len(found.parts) == 4
        if method == "shapley":
            assert found.attributions.sum() == pytest.approx(found.value - found.baseline, abs=1e-4)


def test_few_windows_are_read_at_once_when_a_bundle_is_proven(line, config, monkeypatch):
    sizes, read = [], TranslationGraphs.read
    monkeypatch.setattr(
        TranslationGraphs, "read", lambda graphs, given: (sizes.append(len(given["samples"])), read(graphs, given))[1]
    )
    bundle = Bundle.open(line.bundle.folder)
    prove_sequences(
        bundle, sequence_model_of(line.checkpoint), [LONG] * 4, [], data=load_rows(config).record, trained={}
    )
    assert max(sizes) == 4


def test_folds_are_refused_when_a_model_is_taken_as_it_comes(config):
    with pytest.raises(ConfigError, match=r"models of the task speech_to_text are not cross-validated\. Set folds=0\."):
        lifecycle.train(replace(config, folds=3))
