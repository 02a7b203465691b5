"""What every family keeps, over the files of training/families, and the judge of its answers beside it."""

import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch

from maas.config.schema import METRICS, RunConfig
from maas.data.splits import Split
from maas.errors import ConfigError
from maas.evidence import judges
from maas.evidence.judges import judge_of
from maas.runtime import answers
from maas.runtime.answers import load_answer
from maas.training import families
from maas.training.families import BaseFamily, family_of

NAMES = sorted(module.name for module in pkgutil.iter_modules(families.__path__) if module.name != "base")
ANSWERS = sorted(module.name for module in pkgutil.iter_modules(answers.__path__) if module.name != "base")
JUDGES = sorted(module.name for module in pkgutil.iter_modules(judges.__path__) if module.name != "base")
LABELS = {"classification": ("a", "b", "c"), "binary": ("no", "yes"), "regression": (), "embedding": ()}
WIDTHS = {"classification": 3, "binary": 1, "regression": 1, "embedding": 4}
"""Labels and logits of each task; a new family adds its own here."""


@pytest.fixture(params=NAMES)
def family(request) -> BaseFamily:
    return family_of(request.param, LABELS[request.param])


@pytest.fixture
def logits(family) -> torch.Tensor:
    return torch.randn(7, WIDTHS[family.task], generator=torch.Generator().manual_seed(0))


def targets(family: BaseFamily) -> np.ndarray:
    random = np.random.default_rng(1)
    if family.target == "label":
        return random.integers(0, len(family.labels), 7)
    return random.normal(size=7).astype(np.float32)


def test_tasks_of_a_recipe_are_the_families_when_both_are_listed():
    assert sorted(METRICS) == NAMES
    assert RunConfig().task in NAMES


def test_every_answer_has_a_judge_when_both_are_listed():
    assert JUDGES == ANSWERS


def test_family_is_named_after_its_file(family):
    assert Path(__import__(type(family).__module__, fromlist=["x"]).__file__).stem == family.task


def test_metrics_of_a_recipe_are_those_of_judge_and_validation_when_a_task_has_any(family):
    judge = judge_of(family.answer, family.labels)
    assert tuple(judge.drop_scale) == METRICS[family.task]
    assert set(judge.drop_scale) <= set(family.metrics().keys())


def test_answer_reads_what_the_family_activates_when_logits_are_given(family, logits):
    numbers = family.activated(logits).numpy()
    answer = load_answer(family.answer_record(numbers.shape[-1]))
    plain = answer.predictions({answer.output: numbers})
    assert plain.shape[0] == len(answer.answers({answer.output: numbers})) == 7
    judge = judge_of(family.answer, family.labels)
    assert judge.agrees(plain, plain).all()
    assert judge.agrees(plain, plain).shape == (7,)


def test_validation_metrics_are_the_judges_when_both_see_the_same_rows(family, logits):
    if not METRICS[family.task]:
        pytest.skip("nothing to be right about")
    wanted = targets(family)
    numbers = family.activated(logits)
    answer = load_answer(family.answer_record(numbers.shape[-1]))
    watched = family.metrics()
    watched.update(numbers, torch.from_numpy(wanted))
    judged = judge_of(family.answer, family.labels).metrics(
        wanted, answer.predictions({answer.output: numbers.numpy()})
    )
    for name, value in watched.compute().items():
        if name in ("accuracy", "r2", "mae", "rmse"):  # torchmetrics leaves absent classes out of macro means
            assert judged[name].value == pytest.approx(float(value), abs=1e-5)
            assert judged[name].low <= judged[name].value <= judged[name].high


def test_drop_is_the_difference_in_points_when_a_child_is_worse(family, logits):
    judge, wanted = judge_of(family.answer, family.labels), targets(family)
    answer = load_answer(family.answer_record(WIDTHS[family.task]))
    plain = answer.predictions({answer.output: family.activated(logits).numpy()})
    if not judge.drop_scale:
        with pytest.raises(ConfigError, match=r"data\.target=none"):
            judge.metrics(wanted, plain)
        return
    best = judge.plain(wanted)
    for name, scale in judge.drop_scale.items():
        found = judge.drop(wanted, best, plain, name).value
        difference = judge.metrics(wanted, best)[name].value - judge.metrics(wanted, plain)[name].value
        assert found == pytest.approx(scale * difference, abs=1e-4)


def test_loss_is_finite_and_has_a_gradient_when_logits_are_prepared(family, logits):
    if not METRICS[family.task]:
        pytest.skip("nothing is minimised")
    losses = {
        "classification": torch.nn.CrossEntropyLoss(),
        "binary": torch.nn.BCEWithLogitsLoss(),
        "regression": torch.nn.MSELoss(),
    }
    weights = logits.requires_grad_()
    loss = losses[family.task](*family.prepared(weights, torch.from_numpy(targets(family))))
    loss.backward()
    assert loss.isfinite()
    assert weights.grad.isfinite().all()


def test_facts_name_the_logits_when_the_net_asks(family):
    if METRICS[family.task]:
        facts = family.facts(Split(list(range(7)), targets(family)))
        assert facts["outputs"] == WIDTHS[family.task]
