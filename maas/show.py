"""Shows one thing: a recipe, a part with its arguments, a run, or a model.

usage: python -m maas.show X [runs_dir=FOLDER] [-cd DIR] [--json]

    X    a recipe's name or file; a part, such as model/mlp or mlp; a run's folder, NAME/RUN below runs, or NAME for
         the newest finished one; a bundle's folder; models:/NAME@ALIAS or models:/NAME/VERSION in the registry

example: python -m maas.show model/mlp
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from maas import cli
from maas.command_line import CommandLine
from maas.config.recipe_files import RECIPE_SUFFIXES, NamedRecipe
from maas.errors import ConfigError
from maas.opening import load
from maas.outcomes import VerbOutcome
from maas.overrides import key_of
from maas.registry.reading.addresses import MODELS
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle_files import MANIFEST
from maas.shell.recipes_and_parts import PartLine, comment_of, part_details, part_lines, recipe_lines
from maas.shell.runs_and_models import model_details, run_line, run_lines
from maas.shell.tables import model_text, part_text, run_text
from maas.suggesting import nearest_of

RUNS_DIR = "runs_dir"


def main(arguments: Sequence[str] | None = None) -> None:
    """Shows."""
    cli.enter_named("show", __doc__, _shown, arguments)


def _shown(line: CommandLine) -> VerbOutcome:
    """Returns what has the name that a command line gives.

    Raises:
        ConfigError: nothing has it, several parts do, or there is no such setting.
        MaasError: a model cannot be opened.
    """
    if len(line.names) > 1:
        raise ConfigError(f"{len(line.names)} things are named; show takes one. See maas show --help.")
    if others := [one for one in line.overrides if key_of(one) != RUNS_DIR]:
        raise ConfigError(f"{others[0]} is no setting of maas show.{nearest_of(key_of(others[0]), [RUNS_DIR])}")
    name = line.names[0]
    root = Path(line.value(RUNS_DIR) or "runs")
    if name.startswith(MODELS) or (Path(name) / MANIFEST).is_file():
        details = model_details(load(name))
        return VerbOutcome({"model": details}, model_text(details))
    if (folder := _run_folder(name, root)) is not None:
        run = run_line(folder)
        return VerbOutcome({"run": run}, run_text(run))
    if name.endswith(RECIPE_SUFFIXES) or name in [one.name for one in recipe_lines(line.config_dir)]:
        return _recipe(name, line.config_dir)
    return _part(name, line.config_dir, [one.name for one in run_lines(root)])


def _run_folder(name: str, root: Path) -> RunFolder | None:
    """Returns the run of a name: its folder, `NAME/RUN`, or the newest finished one of `NAME`."""
    places = (Path(name), root / name, root / name / "latest")
    found = next((place for place in places if (place / "run.json").is_file()), None)
    return None if found is None else RunFolder(found.resolve())


def _recipe(name: str, config_dir: str | None) -> VerbOutcome:
    file = NamedRecipe.of(name, config_dir).file
    if file is None:
        raise ConfigError(f"There is no recipe {name}.")
    text = file.read_text(encoding="utf-8")
    return VerbOutcome(
        {"recipe": {"name": file.stem, "about": comment_of(file), "file": file, "text": text}}, text.rstrip("\n")
    )


def _part(name: str, config_dir: str | None, runs: Sequence[str]) -> VerbOutcome:
    parts = part_lines(config_dir)
    found = [one for one in parts if name in (one.name, one.name.partition("/")[2])]
    if len(found) > 1:
        raise ConfigError(f"{name} is the name of {' and '.join(one.name for one in found)}. Name one of them.")
    if not found:
        raise ConfigError(f"There is no {name}.{_near(name, parts, runs, config_dir)}")
    details = part_details(found[0])
    return VerbOutcome(details, part_text(details))


def _near(name: str, parts: Sequence[PartLine], runs: Sequence[str], config_dir: str | None) -> str:
    """Returns what was meant, or where names are listed."""
    names = [one.name for one in recipe_lines(config_dir)]
    names += [one for part in parts for one in (part.name, part.name.partition("/")[2])]
    hint = nearest_of(name, [*names, *runs, *(run.partition("/")[0] for run in runs)])
    return hint if "mean" in hint else " maas list recipes, parts, runs and models have names."


if __name__ == "__main__":
    main(sys.argv[1:])
