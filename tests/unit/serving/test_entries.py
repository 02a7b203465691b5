"""Entries of the command line and of a file of models."""

import pytest

from maas.errors import ConfigError
from maas.serving.entries import ModelEntry, entry_of
from maas.serving.models_file import ModelsFile, read_models_file
from maas.serving.settings import ServerSettings
from maas.serving.starting import entries_of

ADVICE = "Leave it out, or write models:/NAME/2."


@pytest.mark.parametrize(
    ("argument", "name", "model"),
    [
        ("runs/x/bundle", None, "runs/x/bundle"),
        ("mood=runs/x/bundle", "mood", "runs/x/bundle"),
        ("情感=models:/zh@champion", "情感", "models:/zh@champion"),
        ("models:/a=b@champion", None, "models:/a=b@champion"),
        ("./a=b", None, "./a=b"),
    ],
)
def test_argument_is_an_address_with_or_without_a_name(argument, name, model):
    assert entry_of(argument) == ModelEntry(model=model, name=name)


@pytest.mark.parametrize(
    ("model", "alias"),
    [("models:/a@champion", "champion"), ("models:/a/3", None), ("runs/a@b", None)],
)
def test_alias_is_known_when_the_registry_has_one(model, alias):
    assert ModelEntry(model=model).alias == alias


def test_file_is_read_with_its_types(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(
        "default: mood\nmodels:\n"
        "  - model: models:/digits@champion\n    batch_size: 32\n"
        "  - {model: runs/x, name: mood, version: 2, labels: [trial], lazy: true, default: true, max_queue: 9}\n"
    )
    mood = ModelEntry(model="runs/x", name="mood", version=2, labels=("trial",), lazy=True, default=True, max_queue=9)
    assert read_models_file(path) == ModelsFile(
        (ModelEntry(model="models:/digits@champion", batch_size=32), mood), "mood"
    )


def test_every_fault_of_a_file_has_a_line_with_its_entry(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(
        "models:\n"
        "  - {model: a, batch_sise: 3}\n"
        "  - {name: b}\n"
        "  - {model: c, threads: 0}\n"
        "  - {model: 'models:/d/1', version: 2}\n"
        "  - e\n"
        "  - {model: f}\n"
        "default: [g]\n"
        "modles: []\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_models_file(path)
    assert str(caught.value).splitlines() == [
        f"{path}: modles is not known here. Did you mean models?",
        f"{path}: default is ['g']; it must be the name of a model.",
        f"{path}, entry 1: batch_sise is not known here. Did you mean batch_size?",
        f"{path}, entry 2: Object missing required field `model`.",
        f"{path}, entry 3: Expected `int` >= 1 - at `$.threads`.",
        f"{path}, entry 4: version is set, and models:/d/1 has one in the registry. {ADVICE}",
        f"{path}, entry 5: it is 'e'; write model: ADDRESS and what else it needs.",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no mapping"),
        ("a: [", "is no YAML"),
        ("models: []", "has no list of models"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_file_is_refused_in_one_line_when_it_is_no_list_of_models(content, message, tmp_path):
    path = tmp_path / "models.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_models_file(path)
    assert "\n" not in str(caught.value)


def test_entries_of_the_command_line_come_first_and_its_default_wins(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("default: b\nmodels: [{model: b}]\n")
    entries, default = entries_of(ServerSettings(model=("a",), models=str(path)))
    assert [entry.model for entry in entries] == ["a", "b"]
    assert default == "b"
    assert entries_of(ServerSettings(model=("a",), models=str(path), default="a"))[1] == "a"
