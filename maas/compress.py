"""`python -m maas.compress recipe=NAME key=value …` makes the newest checkpoint smaller."""

import maas
from maas import cli


def main() -> None:
    """Compresses."""
    cli.run("compress", _compress)


def _compress(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    cli.say(f"chosen: {compressed.record.chosen}. {compressed.record.reason}\ncompressed: {compressed.folder}")


if __name__ == "__main__":
    main()
