"""A recipe that names another part than the usual one gets nothing of what the usual one had set."""

import sys

import pytest

from maas.config import Part, compose
from maas.errors import ConfigError

NETS = """
class Net:
    def __init__(self, width=1, hidden=(7,), dropout=0.5, **more):
        self.width, self.hidden, self.dropout, self.more = width, hidden, dropout, more


class Loss:
    def __init__(self, weight=1.0, label_smoothing=0.3):
        self.weight, self.label_smoothing = weight, label_smoothing


class Words:
    def __init__(self, size):
        self.size = size
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_parts.py").write_text(NETS)
    yield
    sys.modules.pop("own_parts", None)


def recipe(tmp_path, text: str, name: str = "mine.yaml") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_net_gets_its_own_arguments_alone_when_the_recipe_names_it_in_place_of_the_usual_one(tmp_path):
    config = compose(recipe(tmp_path, "name: mine\nmodel: {_target_: own_parts.Net, width: 3}\n"))
    assert config.model == Part("own_parts.Net", {"width": 3}, "model")


def test_net_gets_its_own_arguments_alone_when_the_recipe_also_chooses_a_part_of_the_same_names(tmp_path):
    text = "defaults: [{override /model: mlp}]\nname: mine\nmodel: {_target_: own_parts.Net, width: 3}\n"
    assert dict(compose(recipe(tmp_path, text)).model) == {"width": 3}  # not hidden and dropout of conf/model/mlp.yaml


def test_what_two_recipes_set_is_kept_when_one_builds_on_the_other(tmp_path, monkeypatch):
    recipe(tmp_path, "defaults: [digits_mlp, _self_]\nname: a\nmodel: {_target_: own_parts.Net, width: 3}\n", "a.yaml")
    path = recipe(tmp_path, "defaults: [digits_mlp, _self_]\nname: b\nmodel: {_target_: own_parts.Net, dropout: 0.1}\n")
    assert dict(compose(path).model) == {"dropout": 0.1}  # nothing of digits_mlp's hidden and scale


def test_values_of_the_usual_part_stay_when_the_recipe_names_the_same(tmp_path):
    text = "defaults: [{override /model: mlp}]\nname: mine\nmodel: {_target_: maas.models.mlp.MLP, dropout: 0.25}\n"
    assert dict(compose(recipe(tmp_path, text)).model) == {"hidden": [256], "dropout": 0.25, "scale": 1.0}


def test_part_inside_a_part_is_replaced_alone_when_the_recipe_names_another(tmp_path):
    config = compose(recipe(tmp_path, "name: mine\nobjective: {loss: {_target_: own_parts.Loss, weight: 2.0}}\n"))
    assert dict(config.objective["loss"]) == {"weight": 2.0}
    assert config.objective["l2"] == 0.0


def test_command_line_reaches_a_replaced_part_when_it_sets_its_argument(tmp_path):
    path = recipe(tmp_path, "name: mine\nmodel: {_target_: own_parts.Net, width: 3}\n")
    assert dict(compose(path, "model.width=5", "+model.dropout=0.1").model) == {"width": 5, "dropout": 0.1}


def test_command_line_replaces_a_part_when_it_names_a_target():
    config = compose("digits_mlp", "model._target_=own_parts.Net", "+model.width=4")
    assert dict(config.model) == {"width": 4}


def test_argument_that_is_wanted_is_named_when_the_recipe_leaves_it_out(tmp_path):
    with pytest.raises(ConfigError) as caught:
        compose(recipe(tmp_path, "name: mine\nprocessor: {_target_: own_parts.Words}\n"))
    assert "processor.size is missing; own_parts.Words requires it." in str(caught.value)


def test_key_of_no_section_is_refused_with_the_nearest_when_a_recipe_file_misspells_one(tmp_path):
    with pytest.raises(ConfigError, match=r"^batchsize is no key of the recipe\. Did you mean batch_size\?$"):
        compose(recipe(tmp_path, "name: mine\nbatchsize: 3\n"))


def test_recipe_file_needs_no_header_and_may_have_one_when_it_is_composed(tmp_path):
    plain = recipe(tmp_path, "name: mine\nbatch_size: 3\n")
    headed = recipe(tmp_path, "# @package _global_\nname: mine\nbatch_size: 3\n", "headed.yaml")
    assert compose(plain) == compose(headed)
