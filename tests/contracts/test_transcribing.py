"""What nets and task heads of transcripts keep: logits (N, F, C), and sounds that do not hear what is around them."""

import inspect

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from maas.config.schema import FILLED, METRICS
from maas.data.splits import Split
from maas.data.symbols import symbols_of
from maas.evidence.task_metrics import task_metrics_of
from maas.exporting.torch_onnx import write_torch_onnx
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.speech import SpeechProcessor
from maas.training.evaluation import run_of, scores_of
from maas.training.heads import TaskHead, task_head_of
from maas.training.losses import ConnectionistTemporal
from tests.contracts.test_heads import TRANSCRIBING
from tests.contracts.test_models import FILES, moved, other_nets_of

NETS = [net for name in FILES for net in other_nets_of(name, "lengths")]
RATE, SECONDS, CHARACTERS = 8000, 0.6, (" ", "a", "b")
C = 1 + len(CHARACTERS)
PROCESSOR = SpeechProcessor(RATE, SECONDS, pad_seconds=0.1)
TEXTS = np.array(["ab a", "b", "a", "aab b", "ba", "bb", "a b a"], dtype=object)


def sounds(*lengths: int) -> list[np.ndarray]:
    chance = np.random.default_rng(len(lengths))
    return [(0.2 * chance.normal(size=length)).astype(np.float32) for length in lengths]


def tensors(rows: list[np.ndarray]) -> dict[str, torch.Tensor]:
    batch = PROCESSOR.batch(PROCESSOR.preprocess(rows))
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    return moved(request.param(RATE, round(RATE * SECONDS), C))


def test_nets_are_found_when_files_are_listed():
    assert NETS


@pytest.mark.parametrize("kind", NETS)
def test_arguments_have_defaults_when_neither_data_nor_processor_tells_them(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert {one.name for one in parameters if one.default is one.empty} <= FILLED


@torch.no_grad()
@pytest.mark.parametrize("lengths", [(1,), (800,), (4800, 37, 801)])
def test_logits_are_of_as_many_frames_when_sounds_are_of_any_length(net, lengths):
    logits = net(**tensors(sounds(*lengths)))
    full = net(**tensors(sounds(round(RATE * SECONDS))))
    assert logits.shape == (len(lengths), full.shape[1], C)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 79, 80, 81, 160, 799, 800, 1601, 3999])
def test_sound_is_heard_alike_when_it_is_alone_and_beside_longer_mates(net, length):
    short, *mates = sounds(length, 4800, 2400)
    together = net(**tensors([short, *mates]))
    alone = net(samples=torch.from_numpy(short)[None], lengths=torch.tensor([length]))  # without any padding
    torch.testing.assert_close(together[:1].softmax(2), alone.softmax(2), rtol=0, atol=1e-5)


@torch.no_grad()
def test_what_lies_after_a_sounds_end_is_blank_for_certain(net):
    probabilities = net(**tensors(sounds(800, 4800))).softmax(2)
    frames = -(-800 // (RATE // 100)) // 2
    assert (probabilities[0, frames:, 0] == 1).all()
    assert (probabilities[1, -1, 0] < 1).all()


def test_net_learns_when_a_gradient_step_is_taken(net):
    logits = net.train()(**tensors(sounds(4800, 2000, 1000)))
    ConnectionistTemporal()(logits, torch.from_numpy(symbols_of(["ab", "a", "b a"], CHARACTERS))).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in net.parameters())


def test_graph_hears_as_the_net_when_it_is_exported_with_a_dynamic_time(net, tmp_path):
    task_head, rows = task_head_of("transcription", CHARACTERS), sounds(4800, 37, 801, 3200, 799)
    examples = PROCESSOR.batch(PROCESSOR.preprocess(sounds(2400, 2000)))
    graph, axes = tmp_path / "net.onnx", PROCESSOR.dynamic_axes
    write_torch_onnx(net, task_head, examples=examples, axes=axes, output="probabilities", out=graph, opset=20)
    postprocessor = load_postprocessor(task_head.postprocessor_record(C))
    expected = scores_of(run_of(net, task_head, "probabilities"), postprocessor, PROCESSOR, rows)
    predictor = Predictor(graph, PROCESSOR, postprocessor)
    np.testing.assert_allclose(predictor.scores(rows), expected, rtol=0, atol=1e-5)
    for row, wanted in zip(rows, expected, strict=True):
        np.testing.assert_allclose(predictor.scores([row])[0], wanted, rtol=0, atol=1e-5)
    model_inputs = PROCESSOR.batch(PROCESSOR.preprocess(rows[1:3]))
    (found,) = ReferenceEvaluator(onnx.load(graph)).run(["probabilities"], model_inputs)
    np.testing.assert_allclose(found.reshape(2, -1), expected[1:3], rtol=0, atol=1e-5)


@pytest.fixture(params=TRANSCRIBING)
def task_head(request) -> TaskHead:
    return task_head_of(request.param, CHARACTERS)


@pytest.fixture
def logits() -> torch.Tensor:
    return 2 * torch.randn(len(TEXTS), 12, C, generator=torch.Generator().manual_seed(0))


def test_metrics_of_a_recipe_are_those_of_evidence_and_validation(task_head):
    task_metrics = task_metrics_of(task_head.postprocessor, task_head.labels)
    assert tuple(task_metrics.drop_scale) == METRICS[task_head.task]
    assert set(task_metrics.drop_scale) <= set(task_head.metrics().keys())


def test_validation_metrics_are_those_of_evidence_when_both_see_the_same_rows(task_head, logits):
    postprocessor = load_postprocessor(task_head.postprocessor_record(C))
    plain = postprocessor.scores({"probabilities": task_head.activated(logits).numpy()})
    evidence = task_metrics_of(task_head.postprocessor, task_head.labels).compute(TEXTS, plain)
    watched, symbols = task_head.metrics(), torch.from_numpy(symbols_of(TEXTS, CHARACTERS))
    for rows in (slice(0, 2), slice(2, None)):  # two batches of other sizes
        watched.update(task_head.predicted(logits[rows]), symbols[rows])
    for name, value in watched.compute().items():
        assert float(value) == pytest.approx(evidence[name].value, abs=1e-12)
        assert evidence[name].low <= evidence[name].value <= evidence[name].high


def test_drop_is_the_difference_in_points_when_a_child_is_worse(task_head, logits):
    task_metrics = task_metrics_of(task_head.postprocessor, task_head.labels)
    best, plain = task_metrics.as_scores(TEXTS), task_head.activated(logits).flatten(1).numpy()
    assert task_metrics.compute(TEXTS, best)["exact_match"].value == 1
    assert task_metrics.agrees(best, best).all()
    for name in METRICS[task_head.task]:
        found = task_metrics.drop(TEXTS, best, plain, name).value
        difference = task_metrics.compute(TEXTS, best)[name].value - task_metrics.compute(TEXTS, plain)[name].value
        assert found == pytest.approx(100 * difference)


def test_batches_hold_symbols_and_facts_the_number_of_logits_when_rows_are_texts(task_head):
    split = Split(sounds(800, 900, 1000), TEXTS[:3])
    batch = task_head.dataset(split, PROCESSOR)[[2, 0]]
    assert batch.inputs["lengths"].tolist() == [1000, 800]
    assert batch.targets.tolist() == symbols_of(TEXTS[:3], CHARACTERS)[[2, 0]].tolist()
    assert task_head.facts(split) == {"outputs": C}


def test_distance_is_zero_when_a_net_is_its_own_teacher(task_head, logits):
    assert float(task_head.distance(logits, logits, 2.0, ConnectionistTemporal())) == pytest.approx(0, abs=1e-6)
    assert float(task_head.distance(logits, -logits, 2.0, ConnectionistTemporal())) > 0.1
