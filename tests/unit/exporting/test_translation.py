"""A sequence-to-sequence net becomes a bundle that translates as the net does, alone, together and by beams."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from maas.errors import BundleError, ExportError, InputError, ParityError
from maas.exporting.sequence_bundling import build_sequence_bundle
from maas.exporting.sequence_proof import forced_step_logits, prove_sequences
from maas.exporting.trained_translator import TrainedTranslator
from maas.records.evidence import DataRecord
from maas.records.manifest import ServingSettings, Translation
from maas.records.schemas import schema_bytes
from maas.runtime.bundle import Bundle
from maas.runtime.pyfunc import BundlePyfunc
from maas.runtime.translation.graphs import TranslationGraphs

DATA = DataRecord("0" * 64, {"test": 8}, {})


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = loaded("tiny_seq2seq")
TEXTS = [text[:20] for text in tiny.TEXTS]


@pytest.fixture(scope="module")
def model(save, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator") / "checkpoint"
    made = save(folder, tiny.net(), tiny.processor(), "maas.models.seq2seq.Seq2Seq", (), task="translation",
                rows=TEXTS, arguments=tiny.arguments())  # fmt: skip
    return TrainedTranslator(made)


@pytest.fixture
def build(model, lineage, tmp_path):
    def make(name="bundle", model=model, batch_size=3):
        (tmp_path / name).mkdir()
        return build_sequence_bundle(
            tmp_path / name, model=model, name="tiny", serving=ServingSettings(batch_size=batch_size), lineage=lineage,
            rows=TEXTS, opset=20,
        )  # fmt: skip

    return make


def files(bundle):
    folder = bundle.folder
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def greedy(model, text):
    """Returns what torch makes of a text, one token after the other."""
    source = torch.from_numpy(model.processor.arrays([text])[0])[None]
    written = [0]
    while len(written) <= model.processor.max_tokens:
        with torch.inference_mode():
            written.append(int(model.net(source, torch.tensor([written]))[0, -1].argmax()))
        if written[-1] == 0:
            break
    return model.processor.text_of(written)


def by_beams(model, text, num_beams, length_penalty):
    """Returns what torch makes of a text by beam search without any cache, each beam read from its beginning."""
    source = torch.from_numpy(model.processor.arrays([text])[0])[None]
    beams, best, most = [((), 0.0)], None, model.processor.max_tokens
    while beams:
        continued = []
        for tokens, total in beams:
            with torch.inference_mode():
                logs = model.net(source, torch.tensor([[0, *tokens]]))[0, -1].double().log_softmax(0).tolist()
            continued += [((*tokens, token), total + one) for token, one in enumerate(logs)]
        beams = []
        for tokens, total in sorted(continued, key=lambda one: -one[1]):
            if len(beams) == num_beams:
                break
            if tokens[-1] != 0 and len(tokens) < most:
                beams.append((tokens, total))
            elif best is None or total / len(tokens) ** length_penalty > best[0]:
                best = (total / len(tokens) ** length_penalty, tokens)
    return model.processor.text_of(best[1])


def test_texts_are_those_of_torch_when_a_checkpoint_is_exported(build, model):
    expected = [greedy(model, text) for text in TEXTS]
    bundle = build()
    assert [one["translation"] for one in bundle.predict(TEXTS)] == bundle.translate(TEXTS) == expected
    assert len(set(map(len, expected))) > 2, "lengths differ"


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("num_beams", [2, 4])
def test_beams_are_those_of_torch_without_a_cache_when_several_are_followed(build, model, num_beams, length_penalty):
    texts = TEXTS[num_beams - 2 :: 2]
    found = build().translate(texts, num_beams=num_beams, length_penalty=length_penalty)
    assert found == [by_beams(model, text, num_beams, length_penalty) for text in texts]


def test_parity_is_proven_when_texts_are_the_same(build, model):
    evidence = prove_sequences(build(), model, TEXTS, TEXTS, data=DATA, trained={})
    (parity,) = evidence.parity
    assert (parity.rows, parity.agreement.value) == (len(TEXTS), 1.0)
    assert parity.max_difference < 1e-4
    assert {"chrf", "bleu", "exact_match"} == evidence.metrics["shipped"].keys()


def test_log_probability_is_that_of_the_nets_own_logits_when_a_text_is_translated(build, model):
    bundle = build()
    for text, one in zip(TEXTS, bundle.predict(TEXTS), strict=True):
        features = model.processor.arrays([text])[0]
        (found,) = bundle.predictor.graph.hypotheses({"source": features[None]})
        logs = torch.from_numpy(model.logits({"token_ids": features}, found.tokens)).double().log_softmax(1)
        expected = float(logs[torch.arange(len(found.tokens)), torch.tensor(found.tokens)].sum())
        assert one["log_probability"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_text_is_the_one_that_it_is_alone_when_it_shares_a_batch(build, num_beams):
    bundle = build(batch_size=8)
    together = bundle.translate(TEXTS, num_beams=num_beams)
    assert together == [bundle.translate([text], num_beams=num_beams)[0] for text in TEXTS]


def test_logits_are_the_same_when_a_text_is_padded_further(build, model):
    graphs = build().predictor.graph.graphs
    source, written = model.processor.arrays(["the meeting"])[0][None], [(5, 9, 31, 7)]
    alone = forced_step_logits(graphs, {"source": source}, written, Translation(0, 24))
    beside = forced_step_logits(graphs, {"source": np.pad(source, ((0, 0), (0, 9)))}, written, Translation(0, 24))
    np.testing.assert_allclose(beside, alone, rtol=1e-5, atol=1e-5)


def test_bytes_are_equal_when_the_same_net_is_exported_twice(build):
    assert files(build("one")) == files(build("two"))


def test_manifest_names_both_graphs_when_a_bundle_is_built(build):
    bundle = build()
    manifest = json.loads((bundle.folder / "manifest.json").read_bytes())
    jsonschema.validate(manifest, json.loads(schema_bytes("manifest")), cls=jsonschema.Draft202012Validator)
    assert manifest["schema_version"] == 4, "readers of version 3 refuse it by its number"
    assert manifest["graphs"] == {"encode": "encoder.onnx", "decode": "model.onnx"}
    assert manifest["translation"] == {"end_token": 0, "max_tokens": 24, "num_beams": 1, "length_penalty": 1.0}
    assert manifest["state"][0] == {"name": "key.0", "datatype": "FP32", "shape": [-1, 4, -1, 8]}
    assert set(manifest["files"]) == set(files(bundle)) - {"manifest.json"}


def test_bundle_opens_again_and_predicts_when_it_lies_on_the_disk(build):
    bundle = build()
    again = Bundle.open(bundle.folder)
    assert again.check_golden() == 0
    assert again.predict(TEXTS) == bundle.predict(TEXTS)
    assert list(BundlePyfunc(again).predict(TEXTS)["translation"]) == again.translate(TEXTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, "is of version 3, which does not fit what it holds"),
        ({"graphs": {"decode": "model.onnx"}}, "writes texts of what it reads and names no graph to encode"),
        ({"state": []}, r"do not fit together: past\.key\.0\. Export the model again"),
    ],
)
def test_bundle_is_refused_when_its_manifest_is_another(build, change, message):
    bundle = build()
    path = bundle.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle.folder).predict(TEXTS)


def test_export_is_refused_when_the_graphs_have_another_weight(build, model):
    name = "decoder.1.cross.keys.weight"
    altered = TrainedTranslator(model.checkpoint)
    vars(altered)["weights"] = {**model.weights, name: 1.05 * model.weights[name]}

    with pytest.raises(ParityError, match="The first text that differs: row|differ"):
        prove_sequences(build(model=altered), model, TEXTS, TEXTS, data=DATA, trained={})


def test_graph_is_refused_when_a_weight_is_missing(build, model):
    altered = TrainedTranslator(model.checkpoint)
    vars(altered)["weights"] = {
        name: one for name, one in model.weights.items() if name != "decoder.0.cross.values.weight"
    }

    with pytest.raises(ExportError, match=r"The net has no weight decoder\.0\.cross\.values\.weight; the graph is"):
        build(model=altered)


def test_net_is_refused_when_it_is_no_sequence_to_sequence_net(nets, save, text_processor, tmp_path):
    arguments = {"vocabulary_size": text_processor.net_arguments["vocabulary_size"], "outputs": 2, "width": 8}
    made = save(
        tmp_path / "checkpoint", nets.Convolution(**arguments), text_processor, nets.__name__ + ".Convolution",
        ("a", "b"), arguments=arguments,
    )  # fmt: skip
    with pytest.raises(ExportError, match=r"with a text processor cannot be exported to translate; maas\.models\.seq2"):
        TrainedTranslator(made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 0}, "The model cannot write with {'num_beams': 0}: Expected `int` >= 1"),
        ({"length_penalty": -1.0}, "Expected `float` >= 0"),
        ({"max_tokens": "many"}, "Expected `int`, got `str`"),
        ({"temperature": 1.0}, "The model has no setting temperature; it has num_beams, length_penalty, max_tokens"),
        ({"end_token": 3}, "The model has no setting end_token"),
    ],
)
def test_setting_is_refused_when_it_has_no_such_value(build, settings, message):
    with pytest.raises(InputError, match=message):
        build().translate(["x"], **settings)


def test_text_is_shorter_when_the_most_tokens_are_fewer(build):
    bundle = build()
    translator = bundle.checked_predictor.graph.changed({"max_tokens": 2})
    assert all(len(one.tokens) <= 2 for one in translator.hypotheses({"source": np.array([[0, 5, 6], [0, 7, 8]])}))


def test_text_is_refused_when_it_is_too_long_or_none(build):
    bundle = build()
    with pytest.raises(InputError, match="Row 1 has .* the model takes 24 tokens"):
        bundle.predict(["x", "x " * 40])
    with pytest.raises(InputError, match="predict takes a list of inputs; it was given one str"):
        bundle.translate("x")


def test_model_that_labels_is_refused_when_it_is_to_translate(bundles, tmp_path):
    with pytest.raises(BundleError, match="holds a model that does not translate; call predict"):
        Bundle.open(bundles.text_bundle(tmp_path / "text")).translate(["x"])


def test_keys_and_values_of_the_given_text_are_computed_once_when_a_text_is_written(build, monkeypatch):
    bundle, reads, steps = build(), [], []
    read, step = TranslationGraphs.read, TranslationGraphs.step
    monkeypatch.setattr(TranslationGraphs, "read", lambda *given: reads.append(1) or read(*given))
    monkeypatch.setattr(TranslationGraphs, "step", lambda *given: steps.append(given[2].shape) or step(*given))
    (one,) = bundle.make_predictor().graph.hypotheses({"source": np.array([[0, 9, 8, 7]])})
    assert (len(reads), len(steps)) == (1, len(one.tokens))
    assert set(steps) == {(1,)}, "one new token each"


def test_settings_of_the_manifest_apply_when_it_has_some(build, model):
    translator = build().predictor.graph
    assert translator.settings == Translation(end_token=0, max_tokens=24)
    assert translator.changed({"num_beams": 4}).settings == Translation(0, 24, 4)
