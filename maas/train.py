"""`python -m maas.train recipe=NAME key=value …` trains a recipe's net."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli

if TYPE_CHECKING:
    from maas.training.checkpoint import Checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains."""
    cli.enter("train", _train, arguments)


def _train(config: maas.RunConfig) -> "Checkpoint":
    checkpoint = maas.lifecycle.train(config)
    cli.say(f"checkpoint: {checkpoint.folder}")
    return checkpoint


if __name__ == "__main__":
    main()
