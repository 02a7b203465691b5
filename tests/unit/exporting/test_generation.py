"""A decoder becomes a bundle that generates as its own framework does; where it does not, nothing is written."""

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from tokenizers import Tokenizer

from maas.errors import BundleError, ExportError, ParityError
from maas.exporting import logit_parity
from maas.exporting.generation_bundling import build_generation_bundle, rebuild_generation_bundle
from maas.exporting.generation_proof import proof_prompts, prove_generation
from maas.onnx_graphs.decoder import FREQUENCIES
from maas.records.manifest import ServingSettings
from maas.records.schemas import schema_bytes
from maas.runtime.bundle import Bundle
from maas.runtime.generation import opening
from maas.runtime.pyfunc import BundlePyfunc

PROMPTS = ["the", "a longer prompt than the others", [{"role": "user", "content": "write 这是"}], "1 2 3"]


class Altered:
    """A decoder whose graph gets other weights than those that its logits are computed with."""

    def __init__(self, model, weights) -> None:
        self.weights = {**model.weights, **weights}
        self.config, self.text_files, self.origin = model.config, model.text_files, model.origin
        self.framework, self.logits = model.framework, model.logits


@pytest.fixture
def build(llama, lineage, tmp_path):
    def make(name: str, model=llama) -> Bundle:
        (tmp_path / name).mkdir()
        return build_generation_bundle(
            tmp_path / name, model=model, name="tiny", serving=ServingSettings(batch_size=3), lineage=lineage,
            golden_prompts=PROMPTS, opset=20,
        )  # fmt: skip

    return make


def files(bundle: Bundle) -> dict[str, bytes]:
    folder = bundle.folder
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_bytes_are_equal_when_the_same_decoder_is_exported_twice(build):
    assert files(build("one")) == files(build("two"))


def test_manifest_says_how_texts_are_continued_when_a_bundle_is_built(build, llama):
    bundle = build("one")
    manifest = json.loads((bundle.folder / "manifest.json").read_bytes())
    jsonschema.validate(manifest, json.loads(schema_bytes("manifest")), cls=jsonschema.Draft202012Validator)
    assert manifest["schema_version"] == 3
    assert manifest["graphs"] == {"prefill": "model.onnx", "decode": "model.onnx"}
    assert manifest["generation"] == {
        "context_length": 128, "end_tokens": [0], "tokenizer": "assets/tokenizer.json",
        "chat_template": "assets/chat_template.jinja", "special_tokens": {"eos_token": "<|end|>"},
    }  # fmt: skip
    assert [one["name"] for one in manifest["state"]] == ["key.0", "value.0", "key.1", "value.1"]
    assert manifest["state"][0] == {"name": "key.0", "datatype": "FP32", "shape": [-1, 2, -1, 16]}
    assert (bundle.folder / "assets/chat_template.jinja").read_text() == llama.text_files.chat_template
    assert set(manifest["files"]) == set(files(bundle)) - {"manifest.json"}


def test_evidence_says_that_texts_are_the_same_when_they_are_proven(build, llama):
    bundle = build("one")
    evidence = prove_generation(bundle, llama, PROMPTS)
    (parity,) = evidence.parity
    assert (parity.left, parity.right, parity.rows, parity.agreement.value) == ("torch", "onnxruntime", 4, 1.0)
    assert 0 < parity.max_difference <= parity.tolerance
    assert (evidence.manifest_sha256, evidence.data.rows) == (bundle.digest, {"prompts": 4})


def test_logit_is_named_when_the_graph_rotates_otherwise(build, llama):
    rotations = llama.weights[FREQUENCIES] * np.float32(1.001)
    bundle = build("one", Altered(llama, {FREQUENCIES: rotations}))
    with pytest.raises(ParityError, match=r"onnxruntime does not predict as torch on 4 rows: a number differs by"):
        prove_generation(bundle, llama, PROMPTS)


def test_token_is_named_when_a_text_is_another(build, llama, monkeypatch):
    monkeypatch.setattr(logit_parity, "LOGIT_TOLERANCE", 1e3)
    norm = llama.weights["model.norm.weight"]
    bundle = build("one", Altered(llama, {"model.norm.weight": -norm}))
    with pytest.raises(ParityError, match=r"The first text that differs: prompt 0, token 0 is '.+', torch's is '.*'\."):
        prove_generation(bundle, llama, PROMPTS)


def test_tokenizer_is_refused_when_it_has_more_tokens_than_the_decoder(build, llama):
    other = Altered(llama, {})
    tokenizer = Tokenizer.from_str(llama.text_files.tokenizer)
    tokenizer.add_special_tokens(["<|more|>"])
    other.text_files = replace(llama.text_files, tokenizer=tokenizer.to_str())
    with pytest.raises(ExportError, match=r"gives tokens up to 320; the decoder has 320\. They are of two models"):
        build("one", other)


def test_prompts_are_fifty_and_every_second_a_conversation_when_there_is_a_template():
    plain, mixed = proof_prompts(has_chat_template=False), proof_prompts(has_chat_template=True)
    assert len(plain) == len(set(plain)) == len(mixed) == 50
    assert mixed[0] == plain[0]
    assert mixed[1] == [{"role": "user", "content": plain[1]}]


def test_bundle_generates_when_it_is_opened(build):
    bundle = Bundle.open(build("one").folder)
    text = bundle.generate("the", max_tokens=9, ignore_end=True)
    assert len(text.tokens) == 9
    assert "".join(piece.text for piece in bundle.stream("the", max_tokens=9, ignore_end=True)) == text.text
    assert bundle.generate_many(["the", "1 2"], max_tokens=9, ignore_end=True)[0] == text
    assert bundle.generate([{"role": "user", "content": "write"}], max_tokens=1).finish_reason == "length"


def test_mlflow_gets_texts_when_it_opens_a_bundle_that_generates(build):
    bundle = build("one")
    found = BundlePyfunc(bundle).predict(["the", "1 2"])
    assert found["text"].tolist() == [one.text for one in bundle.generate_many(["the", "1 2"])]


@pytest.mark.parametrize(
    "use", [lambda one: one.predict([1]), lambda one: one.predictor, lambda one: one.load_processor()]
)
def test_prediction_is_refused_in_one_line_when_the_model_generates(build, use):
    with pytest.raises(BundleError) as caught:
        use(build("one"))
    assert str(caught.value).endswith(
        "holds a model that generates texts: it does not predict. Open it with maas.load and call generate."
    )


def test_generation_is_refused_when_the_model_predicts(bundles, tmp_path):
    bundle = Bundle.open(bundles.array_bundle(tmp_path / "bundle", width=4, labels=3))
    with pytest.raises(BundleError, match=r"holds a model that predicts; call predict, not generate\.$"):
        bundle.generate("the")


def altered(bundle: Bundle, **changes: object) -> Bundle:
    path = bundle.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))
    return bundle


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "is of version 2, which does not fit what it holds. Export the model again."),
        ({"graphs": {"decode": "model.onnx"}}, "generates texts and names no graph to prefill."),
        ({"schema_version": 4}, "is of version 4, which does not fit what it holds. Export the model again."),
        ({"schema_version": 7}, "has schema version 7; this maas reads 1 to 6. Upgrade maas."),
    ],
)
def test_manifest_is_refused_when_it_does_not_fit(build, changes, message):
    with pytest.raises(BundleError) as caught:
        Bundle.open(altered(build("one"), **changes).folder)
    assert message in str(caught.value)


def test_manifest_is_refused_when_a_file_of_generation_is_not_covered(build):
    bundle = build("one")
    generation = json.loads((bundle.folder / "manifest.json").read_bytes())["generation"]
    altered(bundle, generation={**generation, "tokenizer": "assets/other.json"})
    with pytest.raises(BundleError, match=r"does not name assets/other\.json"):
        Bundle.open(bundle.folder)


def test_generation_is_refused_when_golden_texts_became_less_likely(build, llama, monkeypatch):
    bundle = build("one")
    monkeypatch.setattr(opening, "largest_difference", lambda decoder, golden: 0.02)
    with pytest.raises(BundleError, match=r"a log probability differs by 0\.02, at most 0\.01 is allowed"):
        bundle.generate("the")


def test_golden_texts_may_differ_more_when_activations_are_rounded(build, tmp_path, monkeypatch):
    parent = build("one")
    (tmp_path / "small").mkdir()
    bundle = rebuild_generation_bundle(
        tmp_path / "small", parent=parent, model=parent.model_path, precision="eight_bits"
    )
    assert (bundle.folder / "golden/texts.json").read_bytes() == (parent.folder / "golden/texts.json").read_bytes()
    monkeypatch.setattr(opening, "largest_difference", lambda decoder, golden: 0.5)
    assert len(bundle.generate("the", max_tokens=2, ignore_end=True).tokens) == 2
    monkeypatch.setattr(opening, "largest_difference", lambda decoder, golden: 1.5)
    with pytest.raises(BundleError, match=r"a log probability differs by 1\.5, at most 1 is allowed"):
        Bundle.open(bundle.folder).generate("the")


def test_golden_texts_are_found_as_likely_when_nothing_changed(build):
    bundle = build("one")
    generator = opening.open_generator(bundle.folder, bundle.manifest)
    assert opening.check_golden(bundle.folder, generator) == 0
    golden = [replace_tokens(one) for one in json.loads((bundle.folder / "golden/texts.json").read_bytes())]
    (bundle.folder / "golden/texts.json").write_text(json.dumps(golden))
    with pytest.raises(BundleError, match="less or more likely than when it was made"):
        opening.check_golden(bundle.folder, generator)


def replace_tokens(golden: dict) -> dict:
    return {**golden, "tokens": [(one + 1) % 320 for one in golden["tokens"]]}
