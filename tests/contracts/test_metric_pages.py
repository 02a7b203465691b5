"""What docs/metrics.md says: its recipe composes, its function is a metric, its table has every metric."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from maas.config import compose
from maas.config.schema import METRICS
from maas.scoring.own import own_metric
from maas.scoring.values import value_for_labels

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).group(1)


def test_command_composes_when_it_is_typed():
    recipe, metric = shlex.split(block("sh"))[3:]
    assert compose(recipe.removeprefix("recipe="), metric).metric == "log_loss"


def test_recipe_composes_when_it_is_written(tmp_path):
    path = tmp_path / "stops_early.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    config = compose(str(path))
    assert config.callbacks["early_stopping"]["mode"] == "min"


def test_function_is_a_metric_when_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "shop.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    own_metric.cache_clear()
    assert compose("digits_mlp", "metric=shop.cost").metric == "shop.cost"
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert value_for_labels("shop.cost")(np.array([0, 0, 1]), probabilities) == pytest.approx(11 / 3)


@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_table_has_every_metric_when_a_task_has_it(task):
    assert all(f"`{name}`" in PAGE for name in METRICS[task])
