"""`python -m maas.train recipe=NAME key=value …` trains a recipe's net."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.outcomes import VerbOutcome

if TYPE_CHECKING:
    from maas.training.checkpoint import Checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains."""
    cli.enter("train", _train, arguments, _shown)


def _train(config: maas.RunConfig) -> "Checkpoint":
    return maas.lifecycle.train(config)


def _shown(checkpoint: "Checkpoint", config: maas.RunConfig) -> VerbOutcome:
    record = checkpoint.record
    found = {
        "name": config.name,
        "checkpoint": checkpoint.folder,
        "best_epoch": record.best_epoch + 1 if record.history else None,
        "metrics": record.metrics,
        "rows": record.data.rows,
    }
    return VerbOutcome(found, f"checkpoint: {checkpoint.folder}")


if __name__ == "__main__":
    main()
