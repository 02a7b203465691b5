"""`python -m maas.verify recipe=NAME key=value …` measures the newest bundle again and replaces its evidence."""

from collections.abc import Sequence

import maas
from maas import cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Verifies."""
    cli.enter("verify", _verify, arguments)


def _verify(config: maas.RunConfig) -> None:
    bundle = maas.lifecycle.newest_bundle(config, check_evidence=False)
    evidence = maas.lifecycle.verify(config, maas.lifecycle.checkpoint_of(bundle), bundle)
    for parity in evidence.parity:
        cli.say(f"{parity.left} and {parity.right}: {parity.rows} rows, largest difference {parity.max_difference:.3g}")
    for fault in evidence.reference_faults:
        cli.say(f"The reference was not compared: {fault}")


if __name__ == "__main__":
    main()
