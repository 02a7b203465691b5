"""Lists what there is to run, to build recipes of, or to use.

usage: python -m maas.list recipes|parts|runs|models [key=value …] [--json]

    recipes    recipes that are shipped, or lie in the folder of -cd
    parts      parts of recipes, by section; section=NAME for one of them
    runs       runs below runs_dir=FOLDER (runs), the newest first
    models     models of the registry: MLFLOW_TRACKING_URI, or mlflow.db here
    -cd DIR    parts and recipes of your own
    --json     prints one object

example: python -m maas.list parts section=model
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from maas import cli
from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.outcomes import VerbOutcome
from maas.overrides import key_of
from maas.shell.recipes_and_parts import part_lines, recipe_lines
from maas.shell.runs_and_models import model_lines, run_lines
from maas.shell.tables import print_table
from maas.suggesting import nearest_of

SECTION, RUNS_DIR = "section", "runs_dir"


def main(arguments: Sequence[str] | None = None) -> None:
    """Lists."""
    cli.enter_named("list", __doc__, _listed, arguments)


def _listed(line: CommandLine) -> VerbOutcome:
    """Returns the list that a command line names.

    Raises:
        ConfigError: there is no such list, or it has no such setting.
    """
    kind = line.names[0]
    if len(line.names) > 1 or kind not in LISTED_THINGS:
        raise ConfigError(f"There is no list of {' '.join(line.names)}.{nearest_of(kind, LISTED_THINGS)}")
    make, known = LISTED_THINGS[kind]
    for one in line.overrides:
        if key_of(one) not in known:
            raise ConfigError(f"{one} is no setting of maas list {kind}.{nearest_of(key_of(one), known)}")
    return make(line)


def _recipes(line: CommandLine) -> VerbOutcome:
    found = recipe_lines(line.config_dir)
    rows = [(one.name, one.about) for one in found]
    return VerbOutcome({"recipes": found}, partial(print_table, ("recipe", "about"), rows, "There are no recipes."))


def _parts(line: CommandLine) -> VerbOutcome:
    found, section = part_lines(line.config_dir), line.value(SECTION)
    sections = list(dict.fromkeys(one.name.partition("/")[0] for one in found))
    if section is not None and section not in sections:
        raise ConfigError(f"There is no section {section}.{nearest_of(section, sections)}")
    kept = [one for one in found if section in (None, one.name.partition("/")[0])]
    rows = [(one.name, one.target or one.about) for one in kept]
    return VerbOutcome({"parts": kept}, partial(print_table, ("part", "calls"), rows, "There are no parts."))


def _runs(line: CommandLine) -> VerbOutcome:
    root = Path(line.value(RUNS_DIR) or "runs")
    found = run_lines(root)
    rows = [
        (one.name, one.state, next((f"{name} {value}" for name, value in one.metrics.items()), "")) for one in found
    ]
    return VerbOutcome(
        {"runs": found}, partial(print_table, ("run", "state", "test rows"), rows, f"{root} holds no runs.")
    )


def _models(_: CommandLine) -> VerbOutcome:
    found = model_lines()
    rows = [
        (one.name, len(one.versions), ", ".join(f"{alias} → {version}" for alias, version in one.aliases.items()))
        for one in found
    ]
    nothing = "The registry holds no models; maas run makes a version."
    return VerbOutcome({"models": found}, partial(print_table, ("model", "versions", "aliases"), rows, nothing))


LISTED_THINGS: Mapping[str, tuple[Callable[[CommandLine], VerbOutcome], tuple[str, ...]]] = {
    "recipes": (_recipes, ()),
    "parts": (_parts, (SECTION,)),
    "runs": (_runs, (RUNS_DIR,)),
    "models": (_models, ()),
}
"""Lists by name, and the settings of each."""


if __name__ == "__main__":
    main(sys.argv[1:])
