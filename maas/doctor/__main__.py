"""`python -m maas.doctor recipe=NAME key=value …` examines a recipe for classic mistakes."""

import sys
from collections.abc import Sequence

from maas import cli
from maas.config import RunConfig
from maas.doctor.examining import check_names, examine
from maas.training.recipe import TrainingRecipe


def main(arguments: Sequence[str] | None = None) -> None:
    """Examines."""
    cli.enter("doctor", _doctor, arguments)


def _doctor(config: RunConfig) -> None:
    recipe = TrainingRecipe.of(config)
    splits = recipe.rows()
    findings = examine(recipe, splits, recipe.fitted_processor(splits.train.fitting_rows))
    for finding in findings:
        cli.say(str(finding))
    if not findings:
        cli.say(f"{config.name} is well: {len(check_names())} checks found nothing.")
    if any(finding.severity == "error" for finding in findings):
        sys.exit(cli.USAGE_STATUS)


if __name__ == "__main__":
    main()
