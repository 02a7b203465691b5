"""A baseline that is another recipe."""

import numpy as np
import pytest

from maas.config import compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.records.evidence import DataRecord
from maas.runtime.processors.text import TextProcessor
from maas.training.baseline import recipe
from maas.training.evaluation import run_of, scores_of
from maas.training.fitting import fit_recipe
from maas.training.heads import task_head_of
from maas.training.recipe import TrainingRecipe

SMALL = ("trainer.max_epochs=2", "model.buckets=64", "batch_size=8", "seed=3")


def reviews(count: int, first: int) -> Split:
    texts = [f"很好，喜欢 {index}" if index % 2 else f"太差，失望 {index}" for index in range(first, first + count)]
    return Split(texts, np.arange(first, first + count) % 2)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(reviews(80, 0), reviews(20, 80), reviews(20, 100), ("bad", "good"), DataRecord("", {}, {}))


def test_baseline_answers_as_its_recipe_does_when_it_is_trained_on_the_same_rows(splits, tmp_path):
    config = compose("sentiment_zh", *SMALL)
    processor = config.processor.build().fit(splits.train.inputs)
    assert isinstance(processor, TextProcessor)
    task_head = task_head_of("classification", splits.labels)
    run = run_of(fit_recipe(TrainingRecipe.of(config), splits, processor, tmp_path).model, task_head, "probabilities")
    from maas.runtime.postprocessors import load_postprocessor

    postprocessor = load_postprocessor(task_head.postprocessor_record(2))
    expected = scores_of(run, postprocessor, processor, splits.test.inputs)
    found = recipe("sentiment_zh", SMALL)(splits)
    assert found.tolist() == expected.tolist()
    assert (found.argmax(axis=1) == splits.test.targets).mean() > 0.9


def test_baseline_never_reads_test_targets_when_they_are_turned_round(splits):
    turned = Split(splits.test.inputs, 1 - splits.test.targets)
    other = Splits(splits.train, splits.validation, turned, splits.labels, splits.record)
    assert recipe("sentiment_zh", SMALL)(splits).tolist() == recipe("sentiment_zh", SMALL)(other).tolist()


def test_baseline_takes_the_recipes_seed_when_it_is_named_in_one():
    assert compose("sentiment_zh", "baseline=sentiment_zh", "seed=7").baseline["overrides"] == ["seed=7"]


def test_known_recipes_are_named_when_the_baseline_is_none_of_them():
    with pytest.raises(ConfigError, match="There is no recipe 'sentiment'. Set recipe=NAME; known are: .*sentiment_zh"):
        recipe("sentiment")


def test_baseline_is_refused_when_rows_carry_another_kind_of_target(splits):
    numbers = Split(splits.train.inputs, splits.train.targets.astype(np.float32))
    with pytest.raises(ConfigError) as caught:
        recipe("sentiment_zh", SMALL)(Splits(numbers, numbers, numbers, (), splits.record))
    assert str(caught.value) == (
        "baseline sentiment_zh learns from rows with a label, and these rows carry a number. Name another recipe, or "
        "set baseline=null."
    )
