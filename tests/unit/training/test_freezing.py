"""Frozen layers: chosen by pattern, untouched by training, and said."""

import logging

import pytest
import torch
from torch import nn

import maas
from maas.errors import ConfigError
from maas.training.fitting import fit_recipe
from maas.training.freezing import freeze_, report_frozen
from maas.training.recipe import TrainingRecipe


def net() -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    return nn.ModuleDict({"body": body, "head": nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.5))})


def trained(module: nn.Module) -> list[str]:
    return [name for name, one in module.named_parameters() if one.requires_grad]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["body"], ["head.0.weight", "head.0.bias"]),
        (["body.[01].*"], ["head.0.weight", "head.0.bias"]),
        (["*.bias"], ["body.0.weight", "body.1.weight", "head.0.weight"]),
        (["body.0", "head.0.bias"], ["body.1.weight", "body.1.bias", "head.0.weight"]),
        ([], ["body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "head.0.weight", "head.0.bias"]),
    ],
)
def test_parameters_that_a_pattern_matches_are_not_trained(patterns, left):
    module = net()
    freeze_(module, patterns)
    assert trained(module) == left


def test_layers_act_as_in_evaluation_when_all_of_their_parameters_are_frozen():
    module = net()
    freeze_(module, ["body"])
    assert [one.training for one in module["body"].modules()] == [False] * 4
    assert all(one.training for one in module["head"].modules())


def test_refusal_names_the_nearest_layer_when_a_pattern_matches_nothing():
    with pytest.raises(ConfigError) as caught:
        freeze_(net(), ["bodi"])
    assert str(caught.value) == "freeze has 'bodi', which no parameter of the net matches. Did you mean body?"


def test_refusal_says_what_to_do_when_nothing_is_left_to_train():
    with pytest.raises(ConfigError) as caught:
        freeze_(net(), ["*"])
    assert str(caught.value) == (
        "freeze leaves nothing to train: * match all 6 parameters. Leave the last layer out, or set trainer=null to "
        "take the model as it comes."
    )


def test_count_of_trained_parameters_is_logged_when_some_are_frozen(caplog):
    module = net()
    with caplog.at_level(logging.INFO, "maas"):
        report_frozen(module)
        assert not caplog.messages
        freeze_(module, ["body"])
        report_frozen(module)
    assert caplog.messages == ["train     14 of 56 parameters are trained, the others are frozen"]


def small_convolutions(tmp_path, *overrides):
    """A recipe of small pictures, its rows, and its processor."""
    config = maas.compose(
        "digits_mlp", "processor=image", "processor.height=8", "processor.width=8", "model=small_conv",
        "model.widths=[4,6]", "trainer.max_epochs=2", f"runs_dir={tmp_path}", *overrides,
    )  # fmt: skip
    return TrainingRecipe.of(config)


@pytest.fixture(scope="module")
def pictures():
    from maas.data.sources import scikit_learn
    from maas.data.splits import Split, Splits, prepare

    splits = prepare(scikit_learn("sklearn.datasets.load_digits"), 0.1, 0.1)

    def turned(split):
        import numpy as np

        return Split(
            [(np.reshape(row, (8, 8)) * 15).astype(np.uint8) for row in split.inputs[:200]], split.targets[:200]
        )

    return Splits(turned(splits.train), turned(splits.validation), turned(splits.test), splits.labels, splits.record)


def test_weights_and_averages_stay_as_they_were_when_layers_are_frozen(tmp_path, pictures):
    recipe = small_convolutions(tmp_path, "freeze=[body.0]")
    processor = recipe.fitted_processor(pictures.train.inputs)
    states = [
        fit_recipe(one, pictures, processor, tmp_path / str(number)).model.state_dict()
        for number, one in enumerate([recipe, small_convolutions(tmp_path, "freeze=[body.0]", "optimizer.lr=0.01")])
    ]
    same = [name for name in states[0] if torch.equal(states[0][name], states[1][name])]
    frozen = [name for name in states[0] if name.startswith("body.0.")]
    assert set(frozen) <= set(same)
    assert states[0]["body.0.1.running_mean"].abs().max() == 0  # as it was built
    assert not torch.equal(states[0]["head.weight"], states[1]["head.weight"])


def test_refusal_names_freeze_when_nothing_is_trained(tmp_path, pictures):
    recipe = small_convolutions(
        tmp_path, "freeze=[body]", "trainer=null", "objective=null", "optimizer=null", "schedule=null"
    )
    with pytest.raises(ConfigError, match=r"^freeze is body, and a recipe without a trainer trains no net here\. Set "):
        fit_recipe(recipe, pictures, recipe.fitted_processor(pictures.train.inputs), tmp_path)


def test_refusal_names_the_form_when_freeze_is_no_list():
    with pytest.raises(ConfigError, match=r"^freeze is 'body'; it must be a list of patterns\. Set e\.g\. freeze="):
        maas.compose("digits_mlp", "freeze=body")
