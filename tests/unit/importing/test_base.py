"""A package that is not there is named with the command that brings it."""

import sys

import pytest

from maas.errors import ConfigError
from maas.importing.base import needed


def test_module_is_returned_when_its_package_is_installed():
    assert needed("skops.io").__name__ == "skops.io"


def test_refusal_names_the_extra_when_the_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ConfigError) as caught:
        needed("keras")
    assert str(caught.value) == (
        "This model needs the package keras, which is not installed. In a checkout of maas: pip install '.[import]'"
    )


def test_other_failure_is_shown_as_it_is_when_a_package_is_broken(monkeypatch, tmp_path):
    (tmp_path / "broken_package.py").write_text("import a_part_that_is_gone")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_gone"):
        needed("broken_package")
