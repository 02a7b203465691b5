"""What docs/multilabel.md says: its recipes compose, its prediction has that form, its table has every metric."""

import json
import re
from pathlib import Path

from maas.config import compose
from maas.config.schema import METRICS
from maas.runtime.postprocessors.multilabel import MultilabelPostprocessor

PAGE = (Path(__file__).parents[2] / "docs/multilabel.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).group(1)


def test_recipe_of_the_page_composes_when_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "topics.csv").write_text("text,topics\ngood match,sport\n")
    (tmp_path / "topics.yaml").write_text(block("yaml"), encoding="utf-8")
    config = compose("topics.yaml")
    assert (config.task, config.data["target"], config.data["source"]["label_separator"]) == (
        "multilabel",
        "labels",
        ";",
    )


def test_shipped_recipe_has_sets_of_labels_when_it_is_loaded():
    splits = compose("digit_properties").data.build()
    assert (splits.target, splits.labels) == ("labels", ("even", "prime", "round", "square"))
    assert "python -m maas.run recipe=digit_properties" in block("sh")


def test_prediction_has_the_form_of_the_page_when_probabilities_are_read():
    shown = json.loads(block("json"))
    postprocessor = MultilabelPostprocessor(list(shown["scores"]))
    import numpy as np

    (found,) = postprocessor.predictions({"probabilities": np.array([list(shown["scores"].values())])})
    assert found == shown


def test_table_has_every_metric_when_the_task_has_it():
    assert all(f"| `{name}` |" in PAGE for name in METRICS["multilabel"])
