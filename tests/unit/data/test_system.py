"""What is said when a data set needs something that this machine lacks."""

import pytest

from maas.data.system import debian_package_missing, file_of_package, package_folder
from maas.errors import DataError


def test_command_and_hub_id_are_named_when_a_debian_package_is_missing():
    error = debian_package_missing("espeak-ng", "speaks these words", "data=hub data.source.id=OWNER/NAME")
    assert isinstance(error, DataError)
    assert str(error) == (
        "The Debian package espeak-ng speaks these words and is not installed. Run: sudo apt-get install espeak-ng "
        "(or take such data from the hub: data=hub data.source.id=OWNER/NAME)"
    )


def test_folder_is_found_without_an_import_when_the_package_is_installed(tmp_path, monkeypatch):
    (tmp_path / "grumpy_package").mkdir()
    (tmp_path / "grumpy_package/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "grumpy_package/rows.txt").write_text("x")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("grumpy_package") == tmp_path / "grumpy_package"
    assert file_of_package("grumpy_package", "rows.txt").read_text() == "x"
    with pytest.raises(DataError, match=r"^There is no file a/b\.txt in the package grumpy_package\.$"):
        file_of_package("grumpy_package", "a/b.txt")


@pytest.mark.parametrize("package", ["absent_package", "zipfile"])
def test_remedy_is_named_when_a_python_package_is_missing_or_has_no_folder(package):
    with pytest.raises(DataError, match=f"^The package {package} holds this data and is not installed. Run: pip "):
        package_folder(package)
