"""`python -m maas.doctor recipe=NAME key=value …` examines a recipe for classic mistakes."""

from collections.abc import Sequence

from maas import cli
from maas.config import RunConfig
from maas.doctor.examining import check_names, examine
from maas.doctor.finding import Finding
from maas.outcomes import VerbOutcome
from maas.training.recipe import TrainingRecipe


def main(arguments: Sequence[str] | None = None) -> None:
    """Examines."""
    cli.enter("doctor", _doctor, arguments, _shown)


def _doctor(config: RunConfig) -> list[Finding]:
    recipe = TrainingRecipe.of(config)
    splits = recipe.rows()
    return examine(recipe, splits, recipe.fitted_processor(splits.train.fitting_rows))


def _shown(findings: list[Finding], config: RunConfig) -> VerbOutcome:
    well = f"{config.name} is well: {len(check_names())} checks found nothing."
    status = cli.USAGE_STATUS if any(finding.severity == "error" for finding in findings) else 0
    text = "\n".join(map(str, findings)) or well
    return VerbOutcome({"name": config.name, "checks": len(check_names()), "findings": findings}, text, status)


if __name__ == "__main__":
    main()
