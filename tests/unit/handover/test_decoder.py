"""What is read of a bundle, and which bundles are refused; the command that does it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from maas.errors import ConfigError, ExportError
from maas.handover.__main__ import main
from maas.handover.decoder import HandedDecoder
from maas.importing.decoders.pretrained import PretrainedDecoder


@pytest.fixture(scope="module")
def folder(llama, bundle_of):
    return bundle_of(llama).folder


def test_folder_and_file_are_written_when_the_command_is_typed(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main([str(folder), "target=vllm", "out=handed"])
    main([str(folder), "target=gguf", "out=handed.gguf", "weights=f16"])
    assert capsys.readouterr().out == "vllm: handed\ngguf: handed.gguf\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["handed", "handed.gguf"]
    for place in ("handed", "handed.gguf"):
        assert PretrainedDecoder.open(place).config.vocabulary_size == 320


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["target=gguf", "out=x"], "0 models are named; handover takes one. See maas handover --help."),
        (["MODEL", "out=x"], "target is missing; it must be vllm or gguf."),
        (["MODEL", "target=onnx", "out=x"], "target is onnx; it must be vllm or gguf."),
        (["MODEL", "target=gguf"], "out is missing. Set out=PLACE, a folder for vllm or a file for gguf."),
        (["MODEL", "target=vllm", "out=."], ". is there already. Name another place by out=, or remove it."),
        (["MODEL", "target=vllm", "out=x", "weights=q8_0"], "weights is q8_0; target=vllm takes f32, f16."),
        (["MODEL", "target=gguf", "out=none/x"], "none/x cannot be written: No such file or directory."),
        (["MODEL", "target=gguf", "out=x", "bits=8"], "bits=8 does not apply; set target, out, weights."),
        (["none", "target=gguf", "out=x"], "none holds no manifest.json"),
    ],
    ids=str,
)
def test_command_is_refused_in_one_line_when_it_cannot_be_followed(
    folder, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main([str(folder) if word == "MODEL" else word for word in words])
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_bundle_is_refused_when_it_predicts(bundles, tmp_path):
    from maas.runtime.bundle import Bundle

    folder = bundles.array_bundle(tmp_path / "digits")
    with pytest.raises(ConfigError) as caught:
        HandedDecoder.of(Bundle.open(folder))
    assert str(caught.value) == (
        f"{folder} is for tabular-classification; models that generate are handed over. Its graph "
        f"{folder / 'model.onnx'} is a file of ONNX, which other runtimes open as it is."
    )


def test_decoder_is_refused_when_no_engine_knows_its_biases(llama, bundle_of):
    import numpy as np

    name = "model.layers.0.mlp.up_proj.bias"

    biases = dict.fromkeys((name, name.replace(".0.", ".1.")), np.ones(64, np.float32))
    biased = SimpleNamespace(
        config=llama.config, text_files=llama.text_files, weights={**llama.weights, **biases}, framework="none"
    )
    with pytest.raises(ExportError, match="The decoder has biases of up_proj; without any it is Llama"):
        HandedDecoder.of(bundle_of(biased))


def test_tokenizer_is_refused_when_it_adds_more_than_a_first_token(plain, with_tokenizer):
    around = {
        "type": "TemplateProcessing", "pair": [],
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|end|>", "type_id": 0}}],
        "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0], "tokens": ["<|end|>"]}},
    }  # fmt: skip
    assert plain.first_token is None
    with pytest.raises(ExportError, match="adds more than a first token"):
        _ = with_tokenizer(plain, post_processor=around).first_token
    assert replace(plain).special_id("eos_token") == 0
    assert plain.special_id("bos_token") is None
