"""Where something pretrained lies: on disk, inside an installed package, or on the Hugging Face hub."""

from importlib.util import find_spec
from pathlib import Path

from maas.errors import ConfigError


def local_place(place: str) -> Path | None:
    """Returns the file or folder that a place names, or None where it names a model of the hub.

    Args:
        place: a path, `package:path` inside an installed package (which is not imported), or a hub id such as
            `OWNER/NAME`.

    Raises:
        ConfigError: the package is not installed or lacks the path, or a path does not exist.
    """
    path = Path(place).expanduser()
    if path.exists():
        return path
    package, colon, inside = place.partition(":")
    if colon:
        return _inside(package, inside)
    if path.is_absolute() or place.startswith((".", "~")) or len(path.parts) > 2:
        raise ConfigError(
            f"There is no file or folder {place}. Name one, package:path, or a hub id such as OWNER/NAME."
        )
    return None


def holds(path: Path | None, name: str) -> bool:
    """Returns whether a place on disk is a folder with a file of some name.

    Args:
        path: as `local_place` returns it.
        name: of the file.
    """
    return path is not None and (path / name).is_file()


def _inside(package: str, path: str) -> Path:
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"The package {package} of {package}:{path} is not installed. Run: pip install {package}")
    found = Path(next(iter(spec.submodule_search_locations))) / path
    if not found.exists():
        raise ConfigError(f"There is no {path} in the package {package}.")
    return found
