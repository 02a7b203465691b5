"""`python -m maas.plan recipe=NAME key=value …` estimates what a recipe will take: minutes, memory, bytes."""

import os
from collections.abc import Sequence

from rich.console import Console

from maas import cli
from maas.config import RunConfig
from maas.outcomes import VerbOutcome
from maas.planning import plan
from maas.planning.result import RecipePlan, plan_record, plan_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Plans."""
    cli.enter("plan", plan, arguments, _shown)


def _shown(found: RecipePlan, _: RunConfig) -> VerbOutcome:
    def show() -> None:
        Console(width=None if os.isatty(1) else 110).print(plan_table(found))
        for warning in found.warnings:
            cli.say(f"warning: {warning}")

    return VerbOutcome(plan_record(found), show)


if __name__ == "__main__":
    main()
