"""Every shipped recipe is short, says what to expect, composes and checks."""

import re

import pytest
import yaml

from maas.config import compose
from maas.config.recipe_files import RECIPES
from tests.contracts.test_heads import GENERATIVE, SPEECH_TO_TEXT

FILES = sorted(RECIPES.glob("*.yaml"))


def header(text: str) -> str:
    """Returns the comment lines that a file begins with."""
    lines = text.splitlines()
    count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(lines[:count])


def test_recipes_are_yaml_files_in_one_folder_when_they_are_listed():
    assert FILES
    assert sorted(path for path in RECIPES.rglob("*") if path.is_file()) == FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_is_at_most_40_lines_when_it_is_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("the metric with a number", r"[Mm]etric:[^.\n]*\d"),
        ("the time with a number", r"[Tt]ime:[^\n]*(\d|second|minute|hour)"),
        ("the machine", r"\b(cores?|CPU|GPU)\b"),
    ],
)
def test_header_names_what_to_expect_when_a_recipe_is_opened(path, what, pattern):
    assert re.search(pattern, header(path.read_text(encoding="utf-8"))), f"the header of {path.name} lacks {what}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_figures_are_measured_when_a_header_gives_them(path):
    assert not re.search(r"TODO|not measured|estimated", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_composes_and_checks_when_it_is_named(path):
    config = compose(path.stem)
    assert config.name == path.stem == yaml.safe_load(path.read_text(encoding="utf-8"))["name"]
    assert compose(str(path)) == config


def test_gallery_shows_every_recipe_that_the_line_takes_when_it_is_read():
    docs = RECIPES.parent / "docs"
    shown = re.findall(r"^\| \[`(\w+)`\]", (docs / "gallery.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert shown == [path.stem for path in FILES if compose(path.stem).task not in GENERATIVE + SPEECH_TO_TEXT]
    assert all((docs / "gallery" / f"{name}.png").is_file() for name in shown)
