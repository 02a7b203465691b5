"""`python -m maas.export recipe=NAME key=value …` turns the newest checkpoint, compressed or not, into a bundle."""

from collections.abc import Sequence

import maas
from maas import cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports and proves."""
    cli.enter("export", _export, arguments)


def _export(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    bundle = maas.lifecycle.export(config, checkpoint, maas.lifecycle.compressed_of(config, checkpoint))
    cli.say(f"bundle: {bundle.folder}")


if __name__ == "__main__":
    main()
