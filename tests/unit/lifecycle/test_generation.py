"""A pretrained decoder goes through the whole line by a recipe: tuned, exported, proven, registered, compared."""

import json
from dataclasses import replace

import mlflow
import msgspec
import numpy as np
import pytest
import torch

import maas
from maas import lifecycle
from maas.errors import BundleError, ConfigError, DataError, ParityError
from maas.evidence.comparing import compare_bundles
from maas.exporting.language_model_of import language_model_of
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.lifecycle.generation import GenerationSource, compare_generation
from maas.runtime.bundle import Bundle
from maas.summary import stage_table
from tests.unit import tiny_llama

TUNED = [
    "data=extraction", "data.max_rows=null", "model=decoder_lora", "objective=next_token", "optimizer=adamw",
    "schedule=cosine", "trainer=cpu", "batch_size=4", "name=tuned",
]  # fmt: skip
ROWS = ["data.source.rows=24", "data.source.test_rows=4", "processor.max_tokens=224", "model.context=224"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.save(tmp_path_factory.mktemp("tuned"), max_position_embeddings=256, initializer_range=0.1)


@pytest.fixture(scope="module")
def make(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")

    def config(*overrides: str, is_trained: bool = True, is_registered: bool = True) -> maas.RunConfig:
        training = ["trainer.max_epochs=2", "optimizer.lr=1e-2"] if is_trained else ["trainer=null"]
        places = [f"registry.tracking_uri=sqlite:///{root}/mlflow.db", f"registry.artifacts={root}/mlartifacts"]
        return maas.compose(
            "smollm2", *TUNED, *ROWS, f"model.pretrained={folder}", f"runs_dir={root}", *training,
            *(places if is_registered else ["registry=null"]), *overrides,
        )  # fmt: skip

    return config


@pytest.fixture(scope="module")
def line(make):
    return lifecycle.run(make())


def test_answers_are_learnt_when_a_decoder_is_tuned(line, make):
    history = line.checkpoint.record.history
    assert history[-1]["validation_log_likelihood"] > history[0]["validation_log_likelihood"]
    assert line.compressed is None
    metrics = line.bundle.evidence.metrics
    assert set(metrics) == {"trained", "shipped"}
    assert metrics["shipped"]["log_likelihood"].value == pytest.approx(metrics["trained"]["log_likelihood"].value, 1e-5)
    assert 0 <= metrics["shipped"]["exact_match"].value <= 1
    untuned = lifecycle.run(make("name=untuned", is_trained=False, is_registered=False))
    before = untuned.bundle.evidence.metrics["shipped"]["log_likelihood"].value
    assert before < metrics["shipped"]["log_likelihood"].value


def test_texts_are_those_of_torch_when_the_bundle_is_opened(line):
    (parity,) = line.bundle.evidence.parity
    assert (parity.left, parity.rows, parity.agreement.value) == ("torch", 50, 1.0)
    (row,) = lifecycle.checkpoint_of(line.bundle).processor().arrays(["a text"])
    logits = language_model_of(line.checkpoint).logits(row)
    assert logits.shape == (len(row), 320)
    assert line.bundle.manifest.generation.context_length == 224


def test_weights_are_plain_when_products_were_trained(line, folder):
    net = line.checkpoint.model()
    assert list(net.model.state_dict()) == list(PretrainedDecoder.open(str(folder)).model.state_dict())
    assert str(folder) not in json.dumps(line.checkpoint.record.net.arguments)


def test_version_is_opened_by_its_alias_when_it_is_registered(line, make):
    uri = make().registry["tracking_uri"]
    assert (line.version.version, line.version.aliases) == ("1", ("champion",))
    bundle = maas.load("models:/tuned@champion", uri)
    assert bundle.digest == line.bundle.digest
    mlflow.set_tracking_uri(uri)
    found = mlflow.pyfunc.load_model("models:/tuned@champion").predict(["the"])
    assert found["text"].tolist() == [line.bundle.generate("the").text]


def test_stages_are_shown_when_the_line_has_ended(line, make):
    table = stage_table(line, make())
    stages, gave = ([*column.cells] for column in table.columns[:2])
    assert stages == ["train", "export", "verify", "register"]
    assert gave[2] == "all texts equal"
    assert "exact_match" in table.caption


def test_evidence_is_measured_again_when_a_bundle_is_verified(line, make):
    before = line.bundle.evidence
    (line.bundle.folder / "evidence.json").unlink()
    again = lifecycle.newest_bundle(make(), check_evidence=False)
    evidence = lifecycle.verify(make(), lifecycle.checkpoint_of(again), again)
    assert evidence.metrics == before.metrics
    assert Bundle.open(line.bundle.folder).evidence.parity == before.parity


def test_bundle_is_refused_when_its_manifest_means_something_else(line, make):
    generation = msgspec.structs.replace(line.bundle.manifest.generation, end_tokens=(1,))
    altered = replace(line.bundle, manifest=msgspec.structs.replace(line.bundle.manifest, generation=generation))
    with pytest.raises(BundleError, match="names other tokens, another template or another context"):
        lifecycle.verify(make(), line.checkpoint, altered)


def test_bytes_are_the_same_when_a_run_is_made_again(line, make):
    again = lifecycle.run(make("resume=never", is_registered=False))
    assert again.folder.path != line.folder.path
    assert again.bundle.manifest.files == line.bundle.manifest.files


def test_gain_is_in_percent_of_the_perplexity_when_two_bundles_are_compared(line, make):
    untuned = lifecycle.run(make("name=untuned", is_trained=False, is_registered=False)).bundle
    rows = make().data.build().test.inputs
    found = compare_generation(line.bundle, untuned, rows)
    values = [one.evidence.metrics["shipped"]["log_likelihood"].value for one in (line.bundle, untuned)]
    assert [found.new, found.old] == pytest.approx(values, rel=1e-6)
    assert found.gain.value == pytest.approx(100 * (1 - np.exp(found.old - found.new)), rel=1e-6)
    assert found.gain.low < found.gain.value < found.gain.high
    same = compare_generation(line.bundle, line.bundle, rows)
    assert (same.gain.low, same.gain.value, same.gain.high) == (0, 0, 0)


def test_bundles_are_not_compared_when_one_predicts(line, bundles, tmp_path):
    other = Bundle.open(bundles.array_bundle(tmp_path / "b", width=4, labels=3, seed=0))
    with pytest.raises(DataError, match="one of both generates texts, the other does not"):
        compare_generation(line.bundle, other, ["a"])


def test_predictions_are_not_compared_when_a_bundle_gives_texts(line, make):
    with pytest.raises(BundleError, match="holds a model that generates texts: it does not predict"):
        compare_bundles({"one": line.bundle, "other": line.bundle}, make().data.build().test, (), None)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "int8",
            "quantize_dynamic, quantize_static without a limit of what texts may lose: .* compress=generation",
        ),
        ("prune", "prune, distil, which take nets that predict; .* or leave it out: ~compress.passes.prune"),
    ],
)
def test_passes_are_refused_in_one_line_when_they_are_not_for_texts(line, make, part, message):
    for refused in (
        lambda: lifecycle.run(make(f"compress={part}")),
        lambda: lifecycle.compress(make(f"compress={part}"), line.checkpoint),
    ):
        with pytest.raises(ConfigError, match=message):
            refused()


def test_nothing_is_compressed_when_no_pass_is_requested(line, make):
    with pytest.raises(ConfigError, match="No pass is requested; python -m maas.export recipe=tuned ships"):
        lifecycle.compress(make(), line.checkpoint)


def test_nothing_is_written_when_the_graph_generates_otherwise(line, make, monkeypatch):
    logits = PretrainedDecoder.logits
    monkeypatch.setattr(PretrainedDecoder, "logits", lambda self, tokens: -logits(self, tokens))
    before = line.bundle.digest
    with pytest.raises(ParityError, match="onnxruntime does not predict as torch on 50 rows"):
        lifecycle.export(make(), line.checkpoint)
    assert Bundle.open(line.bundle.folder).digest == before


def test_prompts_are_conversations_and_those_that_ship_when_rows_are_few(line, make):
    source = GenerationSource.of(line.checkpoint, make().data.build())
    assert len(source.prompts) == 50
    assert [one[-1]["role"] for one in source.prompts[:4]] == ["user"] * 4
    assert isinstance(source.prompts[4], str)


def test_all_weights_learn_when_there_is_no_adapter(make, folder):
    checkpoint = lifecycle.train(make("model=decoder", "trainer.max_epochs=1", "name=whole"))
    before = PretrainedDecoder.open(str(folder)).model.state_dict()
    moved = [name for name, one in checkpoint.model().model.state_dict().items() if not torch.equal(one, before[name])]
    assert moved == list(before)
