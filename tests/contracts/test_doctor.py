"""No shipped recipe has a finding."""

import pytest

import maas
from maas.config import build
from maas.config.recipes import RECIPES
from maas.doctor import examine

HEAVY = {
    "commands",
    "fashion_resnet",
    "fashion_vgg",
    "flights",
    "reviews_minilm",
    "reviews_minilm_lora",
    "sentiment_zh_bert",
}
"""Large data, or large nets: seconds to a minute each."""
NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in HEAVY else []) for name in NAMES]
)
def test_nothing_is_found_when_a_shipped_recipe_is_examined(name):
    config = maas.compose(name)
    splits = build(config.data, "data")
    processor = build(config.processor, "processor").fit(splits.train.inputs)
    assert [str(finding) for finding in examine(config, splits, processor)] == []
