"""Sections given in Python: mappings, classes, objects that can be made again, and what is refused."""

import dataclasses
import functools
import sys

import msgspec
import pytest
from sklearn.linear_model import LogisticRegression
from torch import nn

from maas.config import Part, RunConfig, compose
from maas.config.in_memory import node_of
from maas.errors import ConfigError
from maas.exporting.settings import ExportSettings
from maas.models.mlp import MLP
from maas.training.pretraining import MaskedTokens


class Setting(msgspec.Struct):
    """Of another room."""

    depth: int = 2


def test_mapping_changes_a_section_and_leaves_the_rest_when_it_names_no_target():
    config = compose("digits_mlp", optimizer={"lr": 0.01}, seed=4)
    assert (config.optimizer["lr"], config.optimizer["momentum"], config.seed) == (0.01, 0.9, 4)


def test_mapping_takes_the_place_of_a_section_when_it_names_another_target():
    config = compose("digits_mlp", optimizer={"_target_": "torch.optim.RMSprop", "_partial_": True, "lr": 0.02})
    assert config.optimizer == Part("torch.optim.RMSprop", {"lr": 0.02}, "optimizer", is_deferred=True)


def test_class_with_arguments_is_the_same_recipe_when_a_file_could_name_it():
    given = compose("digits_mlp", model=functools.partial(MLP, hidden=[5]))
    written = compose("digits_mlp", "~model.scale", "~model.dropout", "model.hidden=[5]")
    assert given.digest() == written.digest()
    assert compose("digits_mlp", model=MLP).model == Part("maas.models.mlp.MLP", {}, "model")


def test_object_is_made_again_alike_when_its_arguments_are_known():
    export = ExportSettings(opset=18, tolerance=1e-4)
    assert compose("digits_mlp", export=export).export.build() == export
    assert Part.of(node_of(MaskedTokens(epochs=3), "x"), "x").build() == MaskedTokens(epochs=3)
    assert Part.of(node_of(Setting(3), "x"), "x").target.endswith("test_in_memory.Setting")
    again = Part.of(node_of(LogisticRegression(C=0.5), "x"), "x").build()
    assert again.get_params() == LogisticRegression(C=0.5).get_params()


def test_value_that_must_be_given_is_given_when_a_mapping_has_it(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    config = compose("sentiment_zh", "data=files", data={"source": {"path": str(tmp_path / "rows.csv")}})
    assert config.data["source"]["path"] == str(tmp_path / "rows.csv")


def test_net_is_refused_in_one_line_when_nothing_tells_how_it_was_made():
    with pytest.raises(ConfigError) as caught:
        compose("digits_mlp", model=nn.Linear(64, 10))
    assert str(caught.value) == (
        "model is an object of Linear, and how it was made is not known, so nothing could make it again. Give the "
        "class and its arguments: model=functools.partial(Linear, …)."
    )


def test_class_is_refused_in_one_line_when_a_notebook_defines_it(monkeypatch):
    class Net(nn.Module):
        pass

    Net.__module__, Net.__qualname__ = "__main__", "Net"
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    with pytest.raises(
        ConfigError, match=r"^model is Net, which this program or notebook defines, .* %%writefile nets"
    ):
        compose("digits_mlp", model=Net)


def test_class_is_refused_when_it_lies_inside_a_function():
    class Inner:
        pass

    with pytest.raises(ConfigError, match=r"cannot be imported as .*Inner\. Define it at the top level of a module\.$"):
        compose("digits_mlp", model=Inner)


def test_recipe_is_the_same_when_it_is_made_of_its_record():
    config = compose("sentiment_zh_bert", "compress=search")
    assert RunConfig(**config.record()) == config
    assert RunConfig(**config.record()).digest() == config.digest()
    assert dataclasses.replace(config, seed=1).digest() != config.digest()


def test_notebook_sees_one_exception_when_the_cause_is_hydras(monkeypatch):
    monkeypatch.delenv("MAAS_TRACEBACK", raising=False)
    with pytest.raises(ConfigError) as caught:
        compose("digits_mlp", "optimizer.momentun=1")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    monkeypatch.setenv("MAAS_TRACEBACK", "1")
    with pytest.raises(ConfigError) as caught:
        compose("digits_mlp", "optimizer.momentun=1")
    assert type(caught.value.__cause__).__module__.startswith("hydra")
