"""A pretrained decoder becomes a bundle by one command, or nothing is written."""

import numpy as np
import pytest

import maas
from maas.errors import ConfigError, ParityError
from maas.export import main
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.lifecycle.given_decoder import GivenDecoder, export_decoder


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("the\n\na longer prompt\n这是\n", encoding="utf-8")
    return str(path)


def test_bundle_generates_as_transformers_when_a_folder_is_exported(llama, llama_folder, prompts, tmp_path, capsys):
    out = tmp_path / "bundle"
    main([str(llama_folder), f"out={out}", f"prompts={prompts}", "context=96", "name=tiny"])
    assert capsys.readouterr().out.endswith(f"bundle: {out}\n")
    bundle = maas.load(out)
    assert (bundle.manifest.name, bundle.manifest.generation.context_length) == ("tiny", 96)
    assert bundle.manifest.lineage.overrides == (f"model={llama_folder}", "context=96")
    assert bundle.evidence.parity[0].rows == 3
    text = bundle.generate("the", max_tokens=8, ignore_end=True)
    ids = bundle.generator.encode("the").tolist()
    logits = llama.logits(np.array([*ids, *text.tokens]))
    assert logits[len(ids) - 1 : -1].argmax(axis=1).tolist() == text.tokens


def test_nothing_is_written_when_the_proof_fails(llama_folder, prompts, tmp_path, monkeypatch):
    logits = PretrainedDecoder.logits
    monkeypatch.setattr(PretrainedDecoder, "logits", lambda self, tokens: -logits(self, tokens))
    with pytest.raises(ParityError, match="onnxruntime does not predict as torch on 3 rows"):
        export_decoder(GivenDecoder(str(llama_folder), prompts=prompts), tmp_path / "bundle")
    assert [one.name for one in tmp_path.iterdir()] == ["prompts.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL"], "out is missing. Set out=FOLDER; see maas export --help."),
        (["MODEL", "other", "out=x"], ", other: export takes one model. See maas export --help."),
        (["MODEL", "out=x", "opset=21"], "opset=21 does not apply to "),
        (["MODEL", "out=x", "context=many"], "context is many: Expected `int | null`, got `str`."),
        (["MODEL", "out=x", "context=0"], "context is 0: Expected `int` >= 1."),
        (["MODEL", "out=x", "prompts=none.txt"], "prompts is none.txt, which cannot be read: "),
    ],
    ids=str,
)
def test_command_is_refused_in_one_line_when_it_cannot_be_followed(
    llama_folder, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main([str(llama_folder) if word == "MODEL" else word for word in words])
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_folder_is_kept_when_it_is_there_already(llama_folder, tmp_path):
    with pytest.raises(ConfigError, match="is there already"):
        export_decoder(GivenDecoder(str(llama_folder)), tmp_path)


def test_file_of_prompts_is_refused_when_it_is_blank(llama_folder, tmp_path):
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(ConfigError, match="holds no prompt; write one in each line"):
        export_decoder(GivenDecoder(str(llama_folder), prompts=str(tmp_path / "blank.txt")), tmp_path / "bundle")
