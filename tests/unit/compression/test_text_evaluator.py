"""Candidates of a model that generates: perplexity, next tokens, and what the other texts of a batch change."""

from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec
import numpy as np
import onnx
import pytest

from maas.compression.budget import Budget
from maas.compression.candidates import CandidateBuilder
from maas.compression.choosing import choice
from maas.compression.passes import PassContext
from maas.compression.passes.quantize_blocks import QuantizeBlocks
from maas.compression.search import Search
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore
from maas.compression.text_evaluator import TextEvaluator
from maas.data.splits import Split, Splits
from maas.errors import DataError
from maas.records.evidence import CandidateRecord, DataRecord, Interval

pytestmark = pytest.mark.usefixtures("few_steps")
WORDS = [f"the model reads {index} prompts and writes {index * index} texts 这是 {index % 7}" for index in range(60)]
FREE = Budget(None, None, None, None, None, None)


@dataclass(frozen=True)
class Dynamic:
    """Rounds what is multiplied to int8 by one scale for all that is in a batch."""

    side: ClassVar[str] = "onnx"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent, out, calibration) -> None:
        model, nodes = onnx.load(parent), []
        for node in model.graph.node:
            if node.op_type == "MatMul":
                names = [f"{node.name}/{one}" for one in ("codes", "scale", "zero", "rounded")]
                nodes.append(onnx.helper.make_node("DynamicQuantizeLinear", node.input[:1], names[:3]))
                nodes.append(onnx.helper.make_node("DequantizeLinear", names[:3], names[3:]))
                node.input[0] = names[3]
            nodes.append(node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        onnx.save(model, out)


@pytest.fixture(scope="module")
def evaluator(bundle_of_llama):
    return TextEvaluator(bundle_of_llama, Split(WORDS, None), seed=0, tokens=300)


@pytest.fixture
def searched(evaluator, tmp_path):
    def search(budget: Budget, **passes):
        texts = Split(WORDS, None)
        splits = Splits(texts, texts, texts, (), DataRecord("0" * 64, {}, {}))
        context = PassContext(None, splits, None, tmp_path, seed=0)
        settings = CompressionSettings(budget, passes)
        return Search(CandidateBuilder(evaluator, context, settings, CandidateStore(tmp_path, "key"))).run()

    return search


def test_candidate_is_measured_against_fp32_when_weights_are_rounded(searched, evaluator):
    found = searched(FREE, eight=QuantizeBlocks(block_size=16))
    root, eight = found.record.candidates
    assert found.record.metric == "perplexity"
    assert found.record.rows == evaluator.size == pytest.approx(300, abs=40)
    assert (root.perplexity_ratio, root.agreement, root.changed_texts) == (Interval(1, 1, 1), 1.0, 0)
    assert eight.metric.value == pytest.approx(root.metric.value * eight.perplexity_ratio.value)
    assert eight.perplexity_ratio.low <= eight.perplexity_ratio.value <= eight.perplexity_ratio.high < 1.1
    assert 0.9 < eight.agreement < 1
    assert [one.batch_size for one in eight.latencies] == [1, 8, 24]
    assert eight.latency == eight.latencies[0]
    assert eight.peak_bytes > 0
    assert found.record.chosen == "eight"
    assert "the perplexity is 1.0" in found.record.reason
    assert found.record.reason.endswith("times that of fp32.")


def test_model_stays_in_fp32_when_nothing_keeps_the_budget_of_perplexity(searched):
    found = searched(replace(FREE, max_perplexity_ratio=0.5), eight=QuantizeBlocks(block_size=16))
    assert found.record.chosen == "fp32"
    assert found.record.is_unmet
    (reason,) = found.record.candidates[1].reasons
    assert reason.startswith("its perplexity may be that of the model as exported times 1.0")
    assert reason.endswith(", allowed is 0.5")


def test_texts_change_by_their_batch_mates_when_activations_are_scaled_in_every_run(searched):
    found = searched(FREE, dynamic=Dynamic())
    dynamic = found.record.candidates[1]
    assert dynamic.changed_texts > 0
    assert dynamic.batch_effect > 1e-3
    assert f"{dynamic.changed_texts} texts are others alone than in a batch, allowed are 0" in dynamic.reasons
    assert found.record.chosen == "fp32"


def test_what_was_measured_is_not_measured_again_when_a_search_is_resumed(searched, evaluator, monkeypatch):
    first = searched(FREE, eight=QuantizeBlocks(block_size=16))
    monkeypatch.setattr(TextEvaluator, "evaluated", None)
    assert searched(FREE, eight=QuantizeBlocks(block_size=16)).record == first.record


def test_calibration_gives_beginnings_of_training_texts_when_a_pass_asks(evaluator):
    calibration = evaluator.calibration(Split(WORDS, None), seed=3)
    batches = list(calibration.model_inputs(20))
    assert calibration.output == "logits"
    assert [len(one["tokens"]) for one in batches] == [16, 4]
    again = list(calibration.model_inputs(20))
    for one, other in zip(batches, again, strict=True):
        np.testing.assert_array_equal(one["tokens"], other["tokens"])
    assert batches[0]["past.key.0"].shape == (16, 2, 0, 16)
    assert batches[0]["total_length"] == batches[0]["last_positions"].max() + 1


def test_evaluation_is_refused_when_no_text_has_two_tokens(evaluator):
    with pytest.raises(
        DataError, match=r"^No text has two tokens, so that none can be predicted; give longer texts\.$"
    ):
        evaluator.windows_of(Split(["a", "b"], None))


def test_steps_are_to_be_fast_for_one_text_when_the_budget_names_no_number(evaluator):
    assert evaluator.target(Budget()) == (evaluator.target(Budget(batch_size=1, threads=1)))
    assert evaluator.target(Budget(batch_size=8, threads=2)).batch_size == 8


def test_reason_says_by_how_much_perplexity_rises_when_one_ships():
    root = CandidateRecord("fp32", "", "", 1000, 0.0)
    small = msgspec.structs.replace(root, name="small", bytes=250, perplexity_ratio=Interval(1.0052, 1.004, 1.006))
    best, reason = choice([root, small], {})
    assert best is small
    assert reason == "4.00 times smaller, a batch takes 1.00 of the time, the perplexity is 1.0052 times that of fp32."
