"""A recipe's model that generates texts is made smaller inside the line, and judged by what it is to predict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import maas
from maas import lifecycle
from maas.compression.passes.quantize_blocks import QuantizeBlocks
from maas.compression.text_evaluator import TextEvaluator, prompt_within
from maas.data.splits import Split
from maas.errors import BundleError, ParityError
from maas.evidence.text_metrics import perplexity_ratio
from maas.exporting import smaller_generation_proof
from maas.lifecycle import compressed
from maas.lifecycle.generation import GenerationSource
from maas.lifecycle.recipe import BuiltRecipe
from maas.planning.generation_stages import generation_stages_of
from maas.records.evidence import Interval
from maas.summary import stage_table
from tests.unit import tiny_llama
from tests.unit.lifecycle.test_generation import ROWS, TUNED

pytestmark = pytest.mark.usefixtures("few_steps")
EIGHT = ["compress=generation", "~compress.passes.mixed_bits"]
FREE = ["compress.budget.speedup=null", "compress.budget.max_perplexity_ratio=1.5", "compress.budget.min_agreement=0.5"]
GPT = [
    "bible_gpt", "data=files", "data.target=none", "data.source.label=null", "processor.max_tokens=64",
    "processor.vocabulary_size=300", "model.width=32", "model.layers=2", "model.heads=2", "model.feed_forward=64",
    "batch_size=4", "trainer.max_epochs=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    llama = tiny_llama.save(root / "llama", max_position_embeddings=256, initializer_range=0.1)
    lines = [f"the model reads {index} prompts and writes {index * index} texts" for index in range(80)]
    (root / "texts.csv").write_text("\n".join(["text", *lines]), encoding="utf-8")
    kinds = {
        "texts": [*GPT, f"data.source.path={root / 'texts.csv'}"],
        "conversations": [
            "smollm2", *TUNED, *ROWS, f"model.pretrained={llama}", "trainer.max_epochs=1", "optimizer.lr=1e-2",
        ],
    }  # fmt: skip

    def config(kind: str, *overrides: str, passes: tuple[str, ...] = (*EIGHT, *FREE)) -> maas.RunConfig:
        return maas.compose(*kinds[kind], "registry=null", f"name={kind}", f"runs_dir={root}", *passes, *overrides)

    return config


@pytest.fixture(scope="module")
def lines(make):
    return {kind: lifecycle.run(make(kind)) for kind in ("texts", "conversations")}


@pytest.mark.parametrize("kind", ["texts", "conversations"])
def test_smaller_graph_ships_when_it_keeps_the_budget(lines, kind):
    line = lines[kind]
    root, eight = line.compressed.record.candidates
    assert line.compressed.record.chosen == eight.name == "eight_bits"
    assert (line.compressed.record.metric, root.perplexity_ratio) == ("perplexity", Interval(1, 1, 1))
    assert line.bundle.manifest.precision == "eight_bits"
    assert line.bundle.model_path.stat().st_size == eight.bytes < root.bytes
    assert len(line.bundle.generate("the", max_tokens=8, ignore_end=True).tokens) == 8
    evidence = line.bundle.evidence
    assert (evidence.compression, evidence.parent_sha256) == (line.compressed.record, "")
    exact, kept = evidence.parity
    assert (exact.left, exact.right, exact.agreement.value) == ("torch", "onnxruntime", 1)
    assert (kept.left, kept.right) == ("fp32", "shipped")
    shipped = evidence.metrics["shipped"]
    assert shipped["perplexity_ratio"].low <= shipped["perplexity_ratio"].value <= 1.5
    assert shipped["perplexity"].value != evidence.metrics["trained"]["perplexity"].value
    assert ("exact_match" in shipped) == (kind == "conversations")


@pytest.mark.parametrize("kind", ["texts", "conversations"])
def test_tokens_that_count_are_those_that_are_learnt_when_candidates_are_evaluated(lines, make, kind):
    rows, processor = make(kind).data.build().validation.inputs, lines[kind].checkpoint.processor()
    predicted = sum(int(one.is_predicted.sum()) for one in processor.passages(rows))
    assert lines[kind].compressed.record.rows == predicted


def test_ratio_is_that_of_torch_when_the_rows_for_testing_are_read(lines, make):
    source = GenerationSource.of(lines["conversations"].checkpoint, make("conversations").data.build())
    passages = source.checkpoint.processor().passages(source.rows.test.inputs)

    def nats(logits) -> np.ndarray:
        found = []
        for tokens, is_predicted in passages:
            rows = logits(tokens).astype(np.float64)
            logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
            given = logs[np.arange(len(tokens) - 1), tokens[1:]]
            found.append(-given[is_predicted[1:]].sum())
        return np.array(found)

    counts = np.array([int(one.is_predicted.sum()) for one in passages])
    decoder = lines["conversations"].bundle.generator.decoder

    def by_graph(tokens) -> np.ndarray:
        cache = decoder.new_cache(1, len(tokens))
        return np.concatenate([decoder.step(cache, [int(token)]) for token in tokens])

    expected = perplexity_ratio(nats(source.model.logits), nats(by_graph), counts)
    found = lines["conversations"].bundle.evidence.metrics["shipped"]["perplexity_ratio"]
    assert found.value == pytest.approx(expected.value, abs=1e-5)


def test_prompts_end_before_answers_when_rows_are_conversations(lines, make):
    line, config = lines["conversations"], make("conversations")
    source = GenerationSource.of(line.checkpoint, config.data.build())
    evaluator = source.evaluator(line.bundle, 0)
    written = [line.bundle.generator.tokenizer.decode(prompt_within(one, 0).tolist()) for one in evaluator.windows]
    assert all(one.endswith("assistant\n") for one in written)
    (batch,) = evaluator.calibration(Split(source.rows.train.inputs[:3], None), seed=0).model_inputs(3)
    answers = [row[-1]["content"] for row in source.rows.train.inputs[:3]]
    read = {
        line.bundle.generator.tokenizer.decode(row[: last + 1].tolist()).partition("assistant\n")[2]
        for row, last in zip(batch["tokens"], batch["last_positions"], strict=True)
    }
    assert {any(answer.startswith(one) for answer in answers) for one in read} == {True}
    assert all(read)


def test_stages_are_shown_when_the_line_has_ended(lines, make):
    table = stage_table(lines["texts"], make("texts"))
    stages, gave = ([*column.cells] for column in table.columns[:2])
    assert stages == ["train", "compress", "export", "verify"]
    assert gave[1] == "eight_bits"
    assert gave[3].endswith("of next tokens kept")
    assert "eight_bits is" in table.caption
    assert "perplexity_ratio" in table.caption


@pytest.fixture(scope="module")
def trained(make):
    return lifecycle.train(make("texts", "name=stages"))


def test_stages_give_the_same_when_they_are_run_one_by_one(lines, make, trained):
    config = make("texts", "name=stages")
    found = lifecycle.compress(config, trained)
    bundle = lifecycle.export(config, trained, lifecycle.compressed_of(config, trained))
    assert found.record.candidate("eight_bits").sha256 == bundle.manifest.files["model.onnx"]
    assert bundle.manifest.files["model.onnx"] == lines["texts"].bundle.manifest.files["model.onnx"]
    before = bundle.evidence
    (bundle.folder / "evidence.json").unlink()
    again = lifecycle.newest_bundle(config, check_evidence=False)
    evidence = lifecycle.verify(config, trained, again)
    for field in ("metrics", "parity", "compression"):
        assert getattr(evidence, field) == getattr(before, field)


def test_model_ships_in_fp32_and_says_so_when_nothing_keeps_the_budget(lines, make, trained):
    config = make("texts", "name=stages", "compress.budget.max_perplexity_ratio=0.5")
    found = lifecycle.compress(config, trained)
    assert (found.record.chosen, found.record.is_unmet) == ("fp32", True)
    assert found.record.reason.startswith("Nothing that was tried keeps the budget, so fp32 is kept (eight_bits: its ")
    bundle = lifecycle.export(config, trained, found)
    assert (bundle.manifest.precision, len(bundle.evidence.parity)) == ("fp32", 1)
    assert bundle.evidence.compression == found.record
    assert "perplexity_ratio" not in bundle.evidence.metrics["shipped"]
    caption = stage_table(replace(lines["texts"], compressed=found, bundle=bundle), config).caption
    assert caption.startswith(f"fp32 is {bundle.model_path.stat().st_size:,} bytes; it is kept, as nothing that was")


def test_another_choice_is_refused_when_a_bundle_is_verified(make, trained):
    config, plain = make("texts", "name=stages"), make("texts", "name=stages", passes=("compress=none",))
    lifecycle.compress(config, trained)
    assert lifecycle.compressed_of(plain, trained) is None
    whole = lifecycle.export(plain, trained)
    assert whole.manifest.precision == "fp32"
    with pytest.raises(BundleError, match=r"holds another model than .* chose since then. Run python -m maas.export"):
        lifecycle.verify(config, trained, whole)


@pytest.mark.parametrize(
    ("place", "name", "left"),
    [(compressed, "compression_picture", "candidates.plain"), (GenerationSource, "metrics", "compress")],
)
def test_nothing_is_made_again_when_a_line_is_resumed(make, monkeypatch, place, name, left):
    config = make("texts", f"name={name}")
    with monkeypatch.context() as patch:
        patch.setattr(place, name, lambda *_: 1 / 0)  # it ends in the midst of a stage
        with pytest.raises(ZeroDivisionError):
            lifecycle.run(config)
    (run,) = Path(config.runs_dir, name).glob("[0-9]*")
    assert {one.name for one in run.iterdir() if one.is_dir()} >= {"train", left}
    assert not (run / "bundle").exists()
    monkeypatch.setattr(QuantizeBlocks, "apply", None)
    monkeypatch.setattr(TextEvaluator, "evaluated", None)
    line = lifecycle.run(config)
    assert line.folder.path == run
    assert line.bundle.manifest.precision == "eight_bits"
    assert not (run / "candidates.plain").exists()


def test_bytes_are_those_of_the_line_when_it_is_planned(lines, make, tmp_path):
    recipe, line = BuiltRecipe.of(make("texts")), lines["texts"]
    splits = recipe.training.rows()
    few = replace(splits, validation=splits.validation.spread(4), test=splits.test.spread(4))
    later = generation_stages_of(recipe, line.checkpoint, splits, few, tmp_path)
    assert later.bytes == {one.name: one.bytes for one in line.compressed.record.candidates}
    assert later.compress_s > 0


def test_nothing_ships_when_the_rows_for_testing_contradict_the_choice(lines, make, monkeypatch):
    worse = Interval(9.0, 8.0, 10.0)
    monkeypatch.setattr(smaller_generation_proof, "perplexity_ratio", lambda *_: worse)
    line, config = lines["texts"], make("texts")
    before = line.bundle.digest
    with pytest.raises(ParityError, match=r"the perplexity of eight_bits is 9\.0000 times that of fp32, at least 8"):
        lifecycle.export(config, line.checkpoint, line.compressed)
    assert maas.Bundle.open(line.bundle.folder).digest == before
