"""`python -m maas.run recipe=NAME key=value …` takes a recipe through the whole line.

`python -m maas.run DATA target=COLUMN key=value …` writes a recipe for data of your own first, as `python -m maas.new`.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.outcomes import VerbOutcome, give, wants_json
from maas.summary import line_record, show_summary

log = logging.getLogger("maas")

if TYPE_CHECKING:
    from maas.training.checkpoint import Checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the line and prints what each stage gave."""
    is_json = wants_json(arguments)
    with cli.reported("run", is_json=is_json):
        line = cli.read("run", arguments)
        if line.names and not line.wants_help:
            from maas.inspecting.command import with_recipe_of_data  # noqa: PLC0415 - it brings pandas and datasets

            line = with_recipe_of_data(line, log.info if is_json else cli.say)
        cli.follow(line, partial(_run, is_json=is_json))


def _run(config: maas.RunConfig, *, is_json: bool) -> "Checkpoint":
    line = maas.lifecycle.run(config)
    give(VerbOutcome(line_record(line, config), partial(show_summary, line, config)), is_json=is_json)
    return line.checkpoint  # a sweep reads the metric there


if __name__ == "__main__":
    main()
