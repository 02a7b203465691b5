"""`python -m maas.run recipe=NAME key=value …` takes a recipe through the whole line."""

import maas
from maas import cli, summary


def main() -> None:
    """Runs the line and prints what each stage gave."""
    cli.run("run", _run)


def _run(config: maas.RunConfig) -> None:
    summary.show(maas.lifecycle.run(config), config)


if __name__ == "__main__":
    main()
