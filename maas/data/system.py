"""What a data set needs from this machine: packages that the user installs, named with the command that brings them."""

from importlib.util import find_spec
from pathlib import Path

from maas.errors import DataError


def debian_package_missing(package: str, purpose: str, instead: str) -> DataError:
    """Returns the error for a Debian package or one of its programs that is not there.

    Args:
        package: as apt names it.
        purpose: purpose for the data, a verb and its object: `holds these images`.
        instead: overrides that take such data from the hub.

    Example:
        >>> print(debian_package_missing("espeak-ng", "speaks these words", "data=hub data.source.id=OWNER/NAME"))
        The Debian package espeak-ng speaks these words and is not installed. Run: sudo apt-get install espeak-ng (or take such data from the hub: data=hub data.source.id=OWNER/NAME)
    """  # noqa: E501 - a message is one line
    return DataError(
        f"The Debian package {package} {purpose} and is not installed. Run: sudo apt-get install {package} "
        f"(or take such data from the hub: {instead})"
    )


def python_package_missing(package: str) -> DataError:
    """Returns the error for a Python package that holds data and is not there."""
    return DataError(f"The package {package} holds this data and is not installed. Run: pip install {package}")


def package_folder(package: str) -> Path:
    """Returns the folder of an installed Python package, without importing it.

    Raises:
        DataError: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise python_package_missing(package)
    return Path(next(iter(spec.submodule_search_locations)))


def file_of_package(package: str, file: str) -> Path:
    """Returns a file of an installed Python package.

    Raises:
        DataError: the package is not installed, or lacks the file.
    """
    path = package_folder(package) / file
    if not path.is_file():
        raise DataError(f"There is no file {file} in the package {package}.")
    return path
