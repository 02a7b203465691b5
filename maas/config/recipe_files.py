"""Where recipes lie: the shipped ones, those of a folder of the user's, and single files.

Hydra reads them through `RecipeSource`, a source of its plugin interface, so that a recipe is a plain file: it needs no
`# @package _global_`, may lie anywhere, and may be named in any script.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf

from maas.errors import ConfigError, one_line, visible_cause
from maas.suggesting import hint_of

_PACKAGE = Path(__file__).parent.parent
_SHIPPED = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent  # in a wheel, or in a checkout
CONF, RECIPES, CONSTRAINTS = _SHIPPED / "conf", _SHIPPED / "recipes", _PACKAGE / "constraints.txt"
GROUP, SCHEME = "recipe", "recipes"
RECIPE_SUFFIXES = (".yaml", ".yml")


def recipe_names(config_dir: str | Path | None = None) -> list[str]:
    """Returns the names of the recipes that are shipped or lie in a folder of the user's.

    Args:
        config_dir: folder that holds `recipes/`; None for the shipped ones alone.
    """
    return sorted({file.stem for folder in _folders(config_dir) for file in folder.glob("*.yaml")})


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe as Hydra's group knows it.

    Args:
        name: option of the group; no more than ASCII.
        file: where it lies; None where there is no such recipe.
    """

    name: str
    file: Path | None

    @classmethod
    def of(cls, recipe: str, config_dir: str | Path | None = None) -> "NamedRecipe":
        """Finds a recipe.

        Args:
            recipe: its name, or the path of a file.
            config_dir: folder of the user's that holds `recipes/`.

        Raises:
            ConfigError: the file is missing or cannot be read.
        """
        if not recipe.endswith(RECIPE_SUFFIXES):
            found = (folder / f"{recipe}.yaml" for folder in _folders(config_dir))
            return cls(recipe, next((file for file in found if file.is_file()), None))
        path = Path(recipe)
        if not path.is_file():
            known = ", ".join(recipe_names(config_dir))
            hint = hint_of(path.stem, recipe_names(config_dir))
            raise ConfigError(f"The recipe file {recipe} does not exist. Name a file, or a recipe: {known}.{hint}")
        return cls(_name_of(path, _content_of(path, recipe)), path.absolute())

    @property
    def address(self) -> str | None:
        """An entry of Hydra's search path that holds it; None where it lies in a folder of recipes."""
        if self.file is None or (self.file.parent == RECIPES and self.name == self.file.stem):
            return None
        return f"{SCHEME}://{self.file}"

    def layers(self, config_dir: str | Path | None = None) -> Iterator[Mapping[str, Any]]:
        """Yields what the recipes that this one builds on set, and what it sets itself, in the order of merging."""
        content = _content_of(self.file, str(self.file)) if self.file else {}
        entries = content.get("defaults") or []
        own = {key: value for key, value in content.items() if key != "defaults"}
        for entry in [*entries, *(() if "_self_" in entries else ("_self_",))]:
            if entry == "_self_":
                yield own
            elif isinstance(entry, str) and entry != self.name:
                yield from NamedRecipe.of(entry.removeprefix(f"/{GROUP}/"), config_dir).layers(config_dir)


def search_path(recipe: NamedRecipe | None, config_dir: str | Path | None) -> list[str]:
    """Returns the entries of Hydra's search path beside `conf/`, the first of which wins.

    Args:
        recipe: that is composed; None for none.
        config_dir: the user's own parts and recipes.
    """
    own = [recipe.address] if recipe and recipe.address else []
    parts = [f"file://{Path(config_dir).resolve()}"] if config_dir else []
    return [*own, *parts, *(f"{SCHEME}://{folder}" for folder in _folders(config_dir))]


class RecipeSource(ConfigSource):
    """Recipes in a folder, or one in a file, as options of the group `recipe` that set keys at the top level."""

    @staticmethod
    def scheme() -> str:
        """Returns how entries of the search path begin."""
        return SCHEME

    def available(self) -> bool:
        """Returns whether the folder or the file is there."""
        return Path(self.path).exists()

    def is_group(self, config_path: str) -> bool:
        """Returns whether a path is the one group that there is, or lies above it."""
        return config_path in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        """Returns whether a path names a recipe."""
        return self._file(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Lists the group, or the recipes in it."""
        if config_path == GROUP:
            return sorted(self._files()) if results_filter is not ObjectType.GROUP else []
        return [GROUP] if config_path == "" and results_filter is not ObjectType.CONFIG else []

    def load_config(self, config_path: str) -> ConfigResult:
        """Reads a recipe."""
        file = self._file(config_path)
        content = OmegaConf.create(dict(_content_of(file, str(file)))) if file else OmegaConf.create()
        return ConfigResult(
            provider=self.provider, path=f"{SCHEME}://{self.path}", config=content, header={"package": "_global_"}
        )

    def _file(self, config_path: str) -> Path | None:
        group, _, name = config_path.rpartition("/")
        return self._files().get(name.removesuffix(".yaml")) if group == GROUP else None

    def _files(self) -> Mapping[str, Path]:
        path = Path(self.path)
        if path.is_file():
            return {_name_of(path, _content_of(path, str(path))): path}
        return {file.stem: file for file in path.glob("*.yaml")}


def _folders(config_dir: str | Path | None) -> Sequence[Path]:
    own = [Path(config_dir).resolve() / "recipes"] if config_dir else []
    return [folder for folder in [*own, RECIPES] if folder.is_dir()]


def _name_of(path: Path, content: Mapping[str, Any]) -> str:
    """Returns the name of a single file: its own, unless Hydra's grammar cannot write it or it builds on that name."""
    name = path.stem
    if name.isascii() and _is_text(name) and name not in (content.get("defaults") or ()):
        return name
    return f"recipe_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _is_text(name: str) -> bool:
    """Returns whether Hydra reads a name as a text, and not as a number or a truth value."""
    try:
        return isinstance(OverridesParser.create().parse_override(f"{GROUP}={name}").value(), str)
    except HydraException:
        return False


def _place_of(error: Exception) -> str:
    """Returns what is wrong with YAML, and where, as a part of a line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return one_line(error)


def _content_of(path: Path, shown_as: str) -> Mapping[str, Any]:
    try:
        node = OmegaConf.load(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"The recipe file {shown_as} is not YAML: {_place_of(error)}.") from visible_cause(error)
    if not isinstance(node, DictConfig):
        raise ConfigError(f"The recipe file {shown_as} holds a list; a recipe is a mapping of sections.")
    return cast("Mapping[str, Any]", OmegaConf.to_container(node))
