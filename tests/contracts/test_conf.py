"""Every part in conf/ is small, imports, binds to its signature and composes into a recipe."""

from pathlib import Path

import pytest
import yaml

from maas.config import CONF, compose, target_of
from maas.config.part import DIRECTIVES, is_part
from maas.config.recipe_files import RECIPES
from maas.config.schema import FILLED

PARTS = sorted(CONF.glob("*/*.yaml"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in PARTS]
UNSET = "???"


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def parts_in(node: object) -> list[dict]:
    """Returns every mapping with a `_target_`, the outer ones first."""
    if isinstance(node, dict):
        return [*([node] if is_part(node) else []), *(part for value in node.values() for part in parts_in(value))]
    return [part for value in node for part in parts_in(value)] if isinstance(node, list) else []


def unset_in(node: object, path: str) -> list[str]:
    if isinstance(node, dict):
        return [key for name, value in node.items() for key in unset_in(value, f"{path}.{name}")]
    return [path] if node == UNSET else []


def chosen() -> set[str]:
    """Returns every group/option that conf/config.yaml or a recipe names."""
    defaults = content(CONF / "config.yaml")["defaults"]
    for recipe in RECIPES.glob("*.yaml"):
        defaults += content(recipe).get("defaults", [])
    pairs = [pair for entry in defaults if isinstance(entry, dict) for pair in entry.items()]
    return {
        f"{group.removeprefix('override ').lstrip('/')}/{option}"
        for group, options in pairs
        for option in (options if isinstance(options, list) else [options])
    }


def test_every_file_is_an_option_of_a_section_when_conf_is_listed():
    sections = {
        key.removeprefix("override ")
        for entry in content(CONF / "config.yaml")["defaults"]
        if isinstance(entry, dict)
        for key in entry
    }
    own = [CONF / "config.yaml", CONF / "hydra/sweeper/optuna.yaml"]
    assert sorted(CONF.rglob("*.y*ml")) == sorted([*own, *PARTS])
    assert {path.parent.name for path in PARTS} <= sections


def test_every_choice_is_a_file_when_config_and_recipes_are_read():
    missing = {one for one in chosen() if "hydra" not in one and not one.endswith(("/None", "/???"))} - set(NAMES)
    assert not missing


@pytest.mark.parametrize("path", PARTS, ids=NAMES)
def test_part_is_at_most_20_lines_when_it_is_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20


@pytest.mark.parametrize("path", PARTS, ids=NAMES)
def test_every_target_imports_and_binds_when_a_part_is_read(path):
    found = parts_in(content(path))
    assert found, "a part is a mapping with a _target_"
    for part in found:
        target, parameters = target_of(part["_target_"])
        assert callable(target)
        given = set(part) - DIRECTIVES
        takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        assert takes_any or given <= set(parameters), f"{part['_target_']} takes {sorted(parameters)}"
        required = {
            one.name
            for one in parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        }
        assert part.get("_partial_") or required <= given | FILLED


@pytest.mark.parametrize("path", PARTS, ids=NAMES)
def test_recipe_composes_and_checks_when_it_chooses_the_part(path, tmp_path):
    group = path.parent.name
    bare = tmp_path / "bare.yaml"  # a recipe that says nothing else, so that no key of its own meets the part
    bare.write_text(f"defaults:\n  - override /{group}: {path.stem}\nname: bare\n")
    values = [f"{key}={path}" for key in unset_in(content(path), group)]
    config = compose(str(bare), *values)
    composed, part = getattr(config, group), content(path)
    if is_part(part):
        assert composed.target == part["_target_"]
    else:  # a section of parts by name, of which this is one
        assert composed.keys() == part.keys()
