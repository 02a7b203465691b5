"""`python -m maas.run recipe=NAME key=value …` takes a recipe through the whole line.

`python -m maas.run DATA target=COLUMN key=value …` writes a recipe for data of your own first, as `python -m maas.new`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.summary import show_summary

if TYPE_CHECKING:
    from maas.training.checkpoint import Checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the line and prints what each stage gave."""
    with cli.reported("run"):
        line = cli.read("run", arguments)
        if line.names and not line.wants_help:
            from maas.inspecting.command import with_recipe_of_data  # noqa: PLC0415 - it brings pandas and datasets

            line = with_recipe_of_data(line, cli.say)
        cli.follow(line, _run)


def _run(config: maas.RunConfig) -> "Checkpoint":
    line = maas.lifecycle.run(config)
    show_summary(line, config)
    return line.checkpoint


if __name__ == "__main__":
    main()
