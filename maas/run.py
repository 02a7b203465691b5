"""`python -m maas.run recipe=NAME key=value …` takes a recipe through the whole line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.summary import show_summary

if TYPE_CHECKING:
    from maas.training.checkpoint import Checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the line and prints what each stage gave."""
    cli.enter("run", _run, arguments)


def _run(config: maas.RunConfig) -> "Checkpoint":
    line = maas.lifecycle.run(config)
    show_summary(line, config)
    return line.checkpoint


if __name__ == "__main__":
    main()
