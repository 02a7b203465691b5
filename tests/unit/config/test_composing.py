"""Composing: shipped and own recipes, own parts, what is filled in."""

import pytest

import maas
from maas.config import RunConfig, compose
from maas.errors import ConfigError

OWN = """defaults:
  - override /data: digits
  - override /processor: array
  - override /model: {model}
name: {name}
"""


def test_recipe_is_composed_when_its_name_is_given():
    config = compose("digits_mlp", "trainer.max_epochs=2", "seed=7")
    assert isinstance(config, RunConfig)
    assert (config.name, config.seed, config.trainer["max_epochs"]) == ("digits_mlp", 7, 2)
    assert config.overrides == ("trainer.max_epochs=2", "seed=7")
    assert config.model.target == "maas.models.mlp.MLP"


def test_compose_is_the_one_of_the_package_when_it_is_reached_through_maas():
    assert maas.compose is compose


def test_same_recipe_gives_equal_configs_when_composed_twice():
    assert compose("digits_mlp", "seed=7") == compose("digits_mlp", "seed=7")


def test_recipe_file_is_composed_when_it_lies_outside_the_checkout(tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text(OWN.format(model="mlp", name="elsewhere"))
    assert compose(str(path), "model.hidden=[5]").model["hidden"] == [5]


def test_own_part_and_recipe_are_composed_when_a_config_dir_is_given(tmp_path):
    for folder in ("recipes", "model"):
        (tmp_path / folder).mkdir()
    (tmp_path / "recipes/my_recipe.yaml").write_text(OWN.format(model="my_part", name="mine"))
    (tmp_path / "model/my_part.yaml").write_text("_target_: maas.models.mlp.MLP\nhidden: [3, 4]\n")
    config = compose("my_recipe", config_dir=tmp_path)
    assert (config.name, config.model["hidden"]) == ("mine", [3, 4])


def test_own_part_stands_before_nothing_shipped_when_its_name_is_taken(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/other.yaml").write_text("_target_: maas.models.mlp.MLP\nhidden: [9]\n")
    assert compose("digits_mlp", "model=other", config_dir=tmp_path).model["hidden"] == [256]  # the recipe's own value
    assert compose("digits_mlp").model["hidden"] == [256]


def test_section_is_none_when_null_is_chosen():
    assert compose("digits_mlp", "registry=null").registry is None
    assert compose("digits_mlp", "baseline=tfidf").baseline.target.endswith("tfidf_logistic")


def test_section_is_none_when_it_is_removed():
    assert compose("digits_mlp", "~registry").registry is None


def test_pass_is_changed_or_removed_when_it_is_named_by_its_key():
    config = compose(
        "digits_mlp", "compress.passes.quantize_static.calibration_rows=7", "~compress.passes.quantize_dynamic"
    )
    assert set(config.compress["passes"]) == {"quantize_static"}
    assert config.compress["passes"]["quantize_static"]["calibration_rows"] == 7


def test_tracking_server_is_the_environments_when_it_names_one(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert compose("digits_mlp").registry["tracking_uri"] == "http://server:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert compose("digits_mlp").registry["tracking_uri"] == "sqlite:///mlflow.db"


def test_key_of_no_part_is_added_when_the_part_takes_it():
    config = compose("digits_mlp", "+trainer.gradient_clip_val=0.5")
    assert config.trainer["gradient_clip_val"] == 0.5


def test_composing_leaves_an_outer_hydra_alone_when_it_is_called_inside_one(repository):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        compose("digits_mlp")
        assert GlobalHydra.instance().hydra is outer


@pytest.mark.parametrize("name", ["absent.yaml", "folder/absent.yml"])
def test_recipe_file_is_named_when_it_does_not_exist(name):
    with pytest.raises(
        ConfigError, match=rf"^The recipe file {name} does not exist\. Name a file, or a recipe: .*digits"
    ):
        compose(name)


def test_recipe_file_is_refused_when_it_is_a_list_or_no_yaml(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match=r"list\.yaml holds a list; a recipe is a mapping of sections\.$"):
        compose(str(tmp_path / "list.yaml"))
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match=r"broken\.yaml is not YAML: "):
        compose(str(tmp_path / "broken.yaml"))


def test_recipe_file_builds_on_a_shipped_recipe_when_it_is_named_alike(tmp_path):
    (tmp_path / "digits_mlp.yaml").write_text("defaults: [digits_mlp, _self_]\nname: mine\nbatch_size: 7\n")
    own = compose(str(tmp_path / "digits_mlp.yaml"))
    shipped = compose("digits_mlp")
    assert (own.name, own.batch_size, own.model) == ("mine", 7, shipped.model)
    assert (shipped.name, shipped.batch_size) == ("digits_mlp", 32)


def test_config_dir_is_refused_when_it_is_no_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"^The config dir .*absent is not a folder\. Name one that holds recipes/"):
        compose("digits_mlp", config_dir=tmp_path / "absent")


def test_part_is_left_out_with_what_the_recipe_sets_for_it_when_it_is_null():
    assert compose("flights").baseline["categories"] == ["month"]
    assert compose("flights", "baseline=null").baseline is None
