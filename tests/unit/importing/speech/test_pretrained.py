"""A Whisper is opened from a folder of transformers or of CTranslate2; what is none is refused in one line."""

import json

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from maas.errors import ConfigError
from maas.importing.speech.net import WhisperNet, spoken_text_processor
from maas.importing.speech.pretrained import opened_whisper, speech_files_at
from maas.importing.speech.speech_files import MULTILINGUAL_FROM, SpeechFiles
from maas.records.manifest import Transcription
from tests.unit import tiny_llama, tiny_whisper

MANY = tiny_whisper.config(vocab_size=MULTILINGUAL_FROM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_whisper.save(tmp_path_factory.mktemp("speech") / "whisper")


@pytest.fixture(scope="module")
def samples():
    return np.stack([np.pad(one, (0, tiny_whisper.WINDOW - len(one))) for one in tiny_whisper.sounds(3)])


def test_settings_are_those_of_the_folder_when_it_is_opened(folder):
    assert opened_whisper(str(folder)).settings == Transcription(
        end_token=0, max_tokens=12, prompt=(1, 2), suppressed_tokens=(1, 2, 7, 40), suppressed_first=(0, 9)
    )


def test_settings_are_those_of_the_model_when_there_is_no_file_of_its_generation(tmp_path):
    folder = tiny_whisper.save(tmp_path / "whisper")
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())  # which held them before that file existed
    (folder / "config.json").write_text(
        json.dumps({**config, "suppress_tokens": [7, 41], "begin_suppress_tokens": [0]})
    )
    settings = opened_whisper(str(folder)).settings
    assert (settings.suppressed_tokens, settings.suppressed_first) == ((7, 41), (0,))


def test_net_is_the_same_when_it_comes_from_ctranslate2(folder, samples, tmp_path):
    found, other = (opened_whisper(str(one)) for one in (folder, tiny_whisper.save_ctranslate2(tmp_path / "ct")))
    assert other.settings == found.settings
    for one in samples:
        np.testing.assert_array_equal(other.logits(one, [5, 6, 0]), found.logits(one, [5, 6, 0]))


def test_logits_are_those_of_transformers_when_a_text_is_given(folder, samples):
    whisper = opened_whisper(str(folder))
    heard = WhisperFeatureExtractor(feature_size=16, chunk_length=1)(samples[0], sampling_rate=16000)
    features = torch.tensor(np.array(heard["input_features"]), dtype=torch.float32)
    tokens = [1, 2, 30, 31]
    with torch.inference_mode():
        expected = tiny_whisper.whisper()(features, decoder_input_ids=torch.tensor([tokens])).logits[0, 1:]
    np.testing.assert_allclose(whisper.logits(samples[0], [30, 31, 0]), expected, rtol=1e-5, atol=1e-5)


def test_first_logits_of_each_window_are_given_when_the_net_is_run(folder, samples):
    net, whisper = WhisperNet(str(folder)), opened_whisper(str(folder))
    found = net.eval()(torch.from_numpy(samples[None, :2]))
    assert found.shape == (1, 2, tiny_whisper.tokenizer().get_vocab_size())
    for window, logits in zip(samples[:2], found[0].detach().numpy(), strict=True):
        np.testing.assert_allclose(logits, whisper.logits(window, [0])[0], rtol=1e-4, atol=1e-4)


def test_net_is_rebuilt_without_its_folder_when_its_weights_are_kept(folder, samples):
    net = WhisperNet(str(folder)).eval()
    arguments = net.rebuild()
    assert arguments.pop("_target_") == "maas.importing.speech.net.WhisperNet"
    again = WhisperNet(**arguments).eval()
    again.load_state_dict(net.state_dict())
    windows = torch.from_numpy(samples[:, None])
    torch.testing.assert_close(again(windows), net(windows), rtol=0, atol=0)
    assert again.speech_model().settings == net.speech_model().settings


def test_processor_has_the_windows_and_tokens_of_the_model_when_it_is_made(folder):
    processor = spoken_text_processor(str(folder), max_windows=3)
    assert processor.record() == {"kind": "spoken_text", "window_s": 1, "max_windows": 3, "is_cut": True}
    tokens = tiny_whisper.tokenizer().encode(" turn on the light").ids
    assert processor.text_of([*tokens, 0]) == " turn on the light"


def test_prompt_names_language_and_task_when_a_model_knows_many():
    made = tiny_whisper.tokenizer()
    made.add_special_tokens(["<|de|>", "<|transcribe|>"])
    numbers = [
        made.token_to_id(one) for one in ("<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>")
    ]
    assert SpeechFiles(made.to_str()).settings(MANY, "de", "it").prompt == tuple(numbers)


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (None, "it knows many languages; set model.language, e.g. model.language=en"),
        ("xx", r"The tokenizer of it has no token <\|xx\|>; name a Whisper with its own"),
    ],
)
def test_language_is_required_when_a_model_knows_many(language, message):
    with pytest.raises(ConfigError, match=message):
        SpeechFiles(tiny_whisper.tokenizer().to_str()).settings(MANY, language, "it")


def test_language_is_refused_when_a_model_knows_english_alone(folder):
    with pytest.raises(ConfigError, match="knows English alone; model.language is de. Leave it out"):
        opened_whisper(str(folder), "de")


def test_other_models_are_refused_by_their_type_when_they_are_named(tmp_path):
    with pytest.raises(ConfigError, match="is a model of type llama; speech is written down by a Whisper"):
        opened_whisper(str(tiny_llama.save(tmp_path / "llama")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_function": "relu"}, "is a variant of Whisper"),
        ({"encoder_attention_heads": 2}, "is a variant of Whisper"),
        ({"max_source_positions": 60}, "reads windows of 60 frames, which are no whole seconds"),
    ],
)
def test_variants_are_refused_when_the_graphs_do_not_compute_them(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        opened_whisper(str(tiny_whisper.save(tmp_path / "whisper", **change)))


def test_folder_of_ctranslate2_is_refused_in_one_line_when_a_weight_has_another_name(tmp_path):
    path = tiny_whisper.save_ctranslate2(tmp_path / "ct") / "model.bin"
    path.write_bytes(path.read_bytes().replace(b"encoder/conv2", b"encoder/conv3"))
    with pytest.raises(ConfigError, match="does not hold the weights of a Whisper: ") as caught:
        opened_whisper(str(path.parent))
    assert "\n" not in str(caught.value)


def test_folder_is_refused_in_one_line_when_it_is_none(tmp_path):
    for made in (opened_whisper, speech_files_at):
        with pytest.raises(ConfigError, match="cannot be opened as a Whisper: ") as caught:
            made(str(tmp_path))
        assert "\n" not in str(caught.value)


def test_nothing_is_guessed_when_no_model_is_named():
    with pytest.raises(ConfigError, match=r"model\.pretrained is missing"):
        WhisperNet()
    with pytest.raises(ConfigError, match=r"processor\.pretrained is missing"):
        spoken_text_processor(None)
