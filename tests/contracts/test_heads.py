"""What every task head keeps, over the files of training/heads, and the metrics of its answers beside it."""

import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch

from maas.config.schema import METRICS, RunConfig
from maas.data.splits import Split
from maas.errors import ConfigError
from maas.evidence import task_metrics as kinds_of_metrics
from maas.evidence.task_metrics import task_metrics_of
from maas.runtime import postprocessors
from maas.runtime.postprocessors import load_postprocessor
from maas.scoring.names import is_loss, monitored
from maas.training import heads
from maas.training.heads import TaskHead, task_head_of
from maas.training.losses import BinaryCrossEntropy

NAMES = sorted(module.name for module in pkgutil.iter_modules(heads.__path__) if module.name != "base")
ANSWERS = sorted(module.name for module in pkgutil.iter_modules(postprocessors.__path__) if module.name != "base")
METRICS_OF = sorted(module.name for module in pkgutil.iter_modules(kinds_of_metrics.__path__) if module.name != "base")
LABELS = {
    "classification": ("a", "b", "c"),
    "binary": ("no", "yes"),
    "regression": (),
    "embedding": (),
    "multilabel": ("a", "b", "c"),
}
WIDTHS = {"classification": 3, "binary": 1, "regression": 1, "embedding": 4, "multilabel": 3}
"""Labels and logits of each task; a new task head adds its own here."""
GENERATIVE = ("generation", "translation")
"""Tasks of logits at each token; tests/contracts/test_language_models.py has what they keep."""
SPEECH_TO_TEXT = ("speech_to_text",)
"""Tasks of models that are taken as they come; tests/unit/exporting/test_whisper.py has what they keep."""
TRANSCRIBING = ("transcription",)
"""Tasks of logits at each frame; tests/contracts/test_transcribing.py has what they keep."""

RANKING = ("recommendation",)
"""Tasks whose rows have several targets; tests/unit/training/heads/test_recommendation.py has what they keep."""
OTHERS = GENERATIVE + SPEECH_TO_TEXT + TRANSCRIBING + RANKING


@pytest.fixture(params=[name for name in NAMES if name not in OTHERS])
def task_head(request) -> TaskHead:
    return task_head_of(request.param, LABELS[request.param])


@pytest.fixture
def logits(task_head) -> torch.Tensor:
    return torch.randn(7, WIDTHS[task_head.task], generator=torch.Generator().manual_seed(0))


def targets(task_head: TaskHead) -> np.ndarray:
    random = np.random.default_rng(1)
    if task_head.target == "labels":
        return (random.random((7, 3)) < 0.5).astype(np.float32)
    if task_head.target == "label":
        return random.integers(0, len(task_head.labels), 7)
    return random.normal(size=7).astype(np.float32)


def test_tasks_of_a_recipe_are_the_task_heads_when_both_are_listed():
    assert sorted(METRICS) == NAMES
    assert RunConfig.__dataclass_fields__["task"].default in NAMES


def test_every_postprocessor_has_metrics_when_both_are_listed():
    assert METRICS_OF == ANSWERS


def test_task_head_is_named_after_its_file(task_head):
    assert Path(__import__(type(task_head).__module__, fromlist=["x"]).__file__).stem == task_head.task


def test_metrics_of_a_recipe_are_those_of_evidence_and_validation_when_a_task_has_any(task_head):
    task_metrics = task_metrics_of(task_head.postprocessor, task_head.labels)
    assert tuple(task_metrics.drop_scale) == METRICS[task_head.task]
    for name, scale in task_metrics.drop_scale.items():
        assert monitored(name) in set(task_head.watched(name).keys())
        assert (scale < 0) is is_loss(name)


def test_answer_reads_what_the_task_head_activates_when_logits_are_given(task_head, logits):
    numbers = task_head.activated(logits).numpy()
    postprocessor = load_postprocessor(task_head.postprocessor_record(numbers.shape[-1]))
    plain = postprocessor.scores({postprocessor.output: numbers})
    assert plain.shape[0] == len(postprocessor.predictions({postprocessor.output: numbers})) == 7
    task_metrics = task_metrics_of(task_head.postprocessor, task_head.labels)
    assert task_metrics.agrees(plain, plain).all()
    assert task_metrics.agrees(plain, plain).shape == (7,)


def test_validation_metrics_are_those_of_evidence_when_both_see_the_same_rows(task_head, logits):
    if not METRICS[task_head.task]:
        pytest.skip("nothing to be right about")
    wanted = targets(task_head)
    numbers = task_head.activated(logits)
    postprocessor = load_postprocessor(task_head.postprocessor_record(numbers.shape[-1]))
    scores = postprocessor.scores({postprocessor.output: numbers.numpy()})
    for name in METRICS[task_head.task]:
        watched = task_head.watched(name)
        for part in (slice(0, 3), slice(3, None)):
            watched.update(numbers[part], torch.from_numpy(wanted[part]))
        value = float(watched.compute()[monitored(name)])
        task_metrics = task_metrics_of(task_head.postprocessor, task_head.labels, name)
        evidence = task_metrics.compute(wanted, scores)[name]
        assert evidence == task_metrics.value(wanted, scores, name)
        assert evidence.value == pytest.approx(value, abs=1e-5)
        assert evidence.low <= evidence.value <= evidence.high


def test_drop_is_the_difference_in_points_when_a_child_is_worse(task_head, logits):
    task_metrics, wanted = task_metrics_of(task_head.postprocessor, task_head.labels), targets(task_head)
    postprocessor = load_postprocessor(task_head.postprocessor_record(WIDTHS[task_head.task]))
    plain = postprocessor.scores({postprocessor.output: task_head.activated(logits).numpy()})
    if not task_metrics.drop_scale:
        with pytest.raises(ConfigError, match=r"data\.target=none"):
            task_metrics.compute(wanted, plain)
        return
    best = task_metrics.as_scores(wanted)
    in_points = {
        name: of for name, of in task_metrics.drop_scale.items() if task_metrics.unit(name) == "percentage points"
    }
    for name, scale in in_points.items():
        found = task_metrics.drop(wanted, best, plain, name).value
        difference = task_metrics.compute(wanted, best)[name].value - task_metrics.compute(wanted, plain)[name].value
        assert found == pytest.approx(scale * difference, abs=1e-4)


def test_loss_is_finite_and_has_a_gradient_when_logits_are_prepared(task_head, logits):
    if not METRICS[task_head.task]:
        pytest.skip("nothing is minimised")
    losses = {
        "classification": torch.nn.CrossEntropyLoss(),
        "binary": torch.nn.BCEWithLogitsLoss(),
        "regression": torch.nn.MSELoss(),
        "multilabel": BinaryCrossEntropy(),
    }
    weights = logits.requires_grad_()
    loss = losses[task_head.task](*task_head.prepared(weights, torch.from_numpy(targets(task_head))))
    loss.backward()
    assert loss.isfinite()
    assert weights.grad.isfinite().all()


def test_facts_name_the_logits_when_the_net_asks(task_head):
    if METRICS[task_head.task]:
        facts = task_head.facts(Split(list(range(7)), targets(task_head)))
        assert facts["outputs"] == WIDTHS[task_head.task]
