"""What the READMEs say is what happens."""

import re
import shlex
from pathlib import Path

import pytest

import maas
from maas.config import CONF

HERE = Path(__file__).parents[2]
READMES = [HERE / "README.md", HERE / "README.zh.md"]
PARTS = {"model/mine.yaml": "_target_: maas.models.text_cnn.TextCNN\nwidth: 128\n"}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("python -m maas.run")]
    assert found
    return found


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the READMEs ask a user to write, as they are written there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("review,stars\ngood,5\nbad,1\n")
    recipe = next(block for block in blocks(READMES[0], "yaml") if block.startswith("# my_reviews.yaml"))
    (tmp_path / "my_reviews.yaml").write_text(recipe)
    for name, content in PARTS.items():
        (tmp_path / "parts" / name).parent.mkdir(parents=True)
        (tmp_path / "parts" / name).write_text(content)


@pytest.mark.usefixtures("own_files")
@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_commands_compose(path: Path) -> None:
    for command in commands(path):
        arguments = command[3:]
        config_dir = arguments[arguments.index("-cd") + 1] if "-cd" in arguments else None
        overrides = [argument for argument in arguments if argument not in ("-cd", config_dir)]
        recipe = next(argument for argument in overrides if argument.startswith("recipe="))
        overrides.remove(recipe)
        assert maas.compose(recipe.removeprefix("recipe="), *overrides, config_dir=config_dir).name


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    makefile = (HERE / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", path.read_text(encoding="utf-8")):
        assert re.search(rf"^([a-z-]+ )*{target}( [a-z-]+)*:", makefile, re.MULTILINE), target


def test_parts_are_those_in_conf_when_they_are_listed() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| (?:[^|]|\\\|)+ \| ([^|]+) \|$", READMES[0].read_text(), re.MULTILINE)
    listed = {part for _, parts in rows for part in re.findall(r"`(\w+)`", parts)}
    there = {path.stem for path in CONF.glob("*/*.yaml")}
    assert listed >= there, there - listed


def test_recipe_is_shown_as_it_is() -> None:
    shown = next(block for block in blocks(READMES[0], "yaml") if "name: digits_mlp" in block)
    assert shown.strip() == (HERE / "recipes" / "digits_mlp.yaml").read_text(encoding="utf-8").strip()


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    fitting, stages = blocks(READMES[0], "python")[:2]
    names: dict[str, object] = {}
    exec(fitting, names)
    assert names["line"].bundle.predict(names["frame"].head(1))[0]["label"] == "0"
    exec(stages, names)
    assert names["bundle"].predict([[0] * 64])[0]["label"] in map(str, range(10))
