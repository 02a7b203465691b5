"""`python -m maas.register recipe=NAME key=value …` makes a version of the newest bundle."""

from collections.abc import Sequence

import maas
from maas import cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Registers."""
    cli.enter("register", _register, arguments)


def _register(config: maas.RunConfig) -> None:
    version = maas.lifecycle.register(config, maas.lifecycle.newest_bundle(config))
    cli.say(f"{version.uri}: {version.note}")


if __name__ == "__main__":
    main()
