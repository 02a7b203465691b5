"""`python -m maas.compress recipe=NAME key=value …` makes the newest checkpoint smaller.

It ends with status 3 where nothing keeps the budget and fp32 is kept; `maas.run` goes on with fp32 and ends with 0.
"""

import sys

import maas
from maas import cli


def main() -> None:
    """Compresses."""
    cli.run("compress", _compress)


def _compress(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    cli.say(f"chosen: {compressed.record.chosen}. {compressed.record.reason}\ncompressed: {compressed.folder}")
    if compressed.record.is_unmet:
        sys.exit(cli.UNMET_STATUS)


if __name__ == "__main__":
    main()
