"""`python -m maas.train recipe=NAME key=value …` trains a recipe's net."""

import maas
from maas import cli


def main() -> None:
    """Trains."""
    cli.run("train", _train)


def _train(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.train(config)
    cli.say(f"checkpoint: {checkpoint.folder}")


if __name__ == "__main__":
    main()
