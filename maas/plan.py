"""`python -m maas.plan recipe=NAME key=value …` estimates what a recipe will take: minutes, memory, bytes."""

import os
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from maas import cli
from maas.config import RunConfig
from maas.planning import plan
from maas.planning.result import as_json, plan_table

JSON = "--json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Plans; with `--json` for machines."""
    with cli.reported("plan"):
        line = cli.read("plan", arguments, [JSON])
        cli.follow(line, partial(_plan, is_json=JSON in line.flags))


def _plan(config: RunConfig, *, is_json: bool) -> None:
    found = plan(config)
    if is_json:
        cli.say(as_json(found))
        return
    Console(width=None if os.isatty(1) else 110).print(plan_table(found))
    for warning in found.warnings:
        cli.say(f"warning: {warning}")


if __name__ == "__main__":
    main()
