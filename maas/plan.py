"""`python -m maas.plan recipe=NAME key=value …` tells what a recipe will take: minutes, memory, bytes."""

import os
import sys

from rich.console import Console

from maas import cli
from maas.config import RunConfig
from maas.planning import plan
from maas.planning.result import as_json, plan_table

JSON = "--json"


def main() -> None:
    """Plans; with `--json` for machines."""
    is_json = JSON in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != JSON]

    def tell(config: RunConfig) -> None:
        found = plan(config)
        if is_json:
            cli.say(as_json(found))
            return
        Console(width=None if os.isatty(1) else 110).print(plan_table(found))
        for warning in found.warnings:
            cli.say(f"warning: {warning}")

    cli.run("plan", tell)


if __name__ == "__main__":
    main()
