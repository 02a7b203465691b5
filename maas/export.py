"""`python -m maas.export recipe=NAME key=value …` turns the newest checkpoint, compressed or not, into a bundle."""

import maas
from maas import cli


def main() -> None:
    """Exports and proves."""
    cli.run("export", _export)


def _export(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    bundle = maas.lifecycle.export(config, checkpoint, maas.lifecycle.compressed_of(config, checkpoint))
    cli.say(f"bundle: {bundle.folder}")


if __name__ == "__main__":
    main()
